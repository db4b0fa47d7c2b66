"""What is carried to devices runs with every Python from 3.8 on, and imports nothing of edgekit."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.bench.links.base import FOLDER
from edgekit.bench.links.ssh.link import carried

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def interpreter(version: str) -> str:
    """A Python of that version, wherever this machine has one."""
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in [*map(str, kept), shutil.which(f"python{version}")]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_reads_them(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    for name, text in {**carried(), "remote.py": (FOLDER / "remote.py").read_text()}.items():
        (tmp_path / name).write_text(text)
    for path in tmp_path.glob("*.py"):
        subprocess.run([python, "-W", "error", "-m", "py_compile", str(path)], check=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_looks_at_the_device(version: str, tmp_path: Path) -> None:
    wish = {
        "files": ["/proc/cpu*"],
        "commands": [{"argv": ["echo", "a b"]}, {"argv": ["no such program"]}],
        "packages": ["x-y"],
    }
    command = [interpreter(version), "-W", "error", str(FOLDER / "remote.py"), str(tmp_path), "look"]
    done = subprocess.run(command, input=json.dumps(wish).encode(), capture_output=True, check=True)
    found = json.loads(done.stdout)["ok"]
    assert found["python"].startswith(version) and found["cpus"] == len(os.sched_getaffinity(0))
    assert found["commands"] == [{"code": 0, "out": "a b\n", "err": ""}, None]
    assert found["packages"] == {"x-y": None} and "/proc/cpuinfo" in found["files"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_answers_a_job(version: str, tmp_path: Path) -> None:
    """Without numpy, which not every Python here has, the answer is that it is missing."""
    for name, text in carried().items():
        (tmp_path / name).write_text(text)
    for script in ("runner.py", "infer.py", "profiler.py", "peaks.py"):
        job = b'{"mode": "baseline", "runtime": "null"}\n'
        done = subprocess.run(
            [interpreter(version), str(tmp_path / script)], input=job, capture_output=True, check=False
        )
        if done.returncode != 3:  # it saw its stdin end first
            answer = json.loads(done.stdout.splitlines()[0])
            assert "ok" in answer or "numpy" in answer["error"]["message"]


def test_nothing_newer_is_used(tmp_path: Path) -> None:
    """Also where no old Python is at hand."""
    vermin = shutil.which("vermin", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if vermin is None:
        pytest.skip("vermin is not installed")
    for name, text in {**carried(), "remote.py": (FOLDER / "remote.py").read_text()}.items():
        (tmp_path / name).write_text(text)
    command = [vermin, "-t=3.8-", "--no-tips", "--violations", *map(str, tmp_path.glob("*.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_they_import_nothing_of_edgekit() -> None:
    for name, text in {**carried(), "remote.py": (FOLDER / "remote.py").read_text()}.items():
        for node in ast.walk(ast.parse(text)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [module for module in modules if module.split(".")[0] == "edgekit"], name
