"""What goes to devices runs with every Python from 3.8 on, from a folder or a zip, and imports nothing of edgekit."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgekit.bench.links.archive import packed
from edgekit.bench.links.base import FOLDER
from edgekit.bench.links.ssh.link import BOOT, SESSION
from edgekit.bench.ondevice import session

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def interpreter(version: str) -> str:
    """A Python of that version, wherever this machine has one."""
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in [*map(str, kept), shutil.which(f"python{version}")]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"no Python {version} here")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The zip that goes to a device."""
    path = tmp_path / "ondevice.pyz"
    path.write_bytes(packed(FOLDER))
    return path


@pytest.fixture
def folder(archive: Path, tmp_path: Path) -> Path:
    """The zip, unpacked as on a device."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "tools")
    return tmp_path / "tools"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_reads_it(version: str, folder: Path) -> None:
    files = [str(path) for path in folder.rglob("*.py")]
    assert len(files) > 30
    subprocess.run([interpreter(version), "-W", "error", "-m", "py_compile", *files], check=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_looks_at_the_device(version: str, folder: Path, tmp_path: Path) -> None:
    wish = {
        "files": ["/proc/cpu*"],
        "commands": [{"argv": ["echo", "a b"]}, {"argv": ["no such program"]}],
        "packages": ["x-y"],
    }
    command = [interpreter(version), "-W", "error", str(folder), "session", str(tmp_path), "look"]
    done = subprocess.run(command, input=json.dumps(wish).encode(), capture_output=True, check=True)
    found = json.loads(done.stdout)["ok"]
    assert found["python"].startswith(version) and found["cpus"] == len(os.sched_getaffinity(0))
    assert found["commands"] == [{"code": 0, "out": "a b\n", "err": ""}, None]
    assert found["packages"] == {"x-y": None} and "/proc/cpuinfo" in found["files"]
    assert isinstance(found["managed"], bool)


def test_a_python_whose_packages_the_system_manages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PEP 668 has it: a file beside the standard library, unless in a virtual environment."""
    monkeypatch.setattr(os, "__file__", str(tmp_path / "os.py"))
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert not session._is_managed()
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    assert session._is_managed()
    monkeypatch.setattr(sys, "base_prefix", "/usr/of/the/system")
    assert not session._is_managed()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_answers_a_job(version: str, folder: Path, archive: Path) -> None:
    """Without numpy, which not every Python here has, the answer is that it is missing."""
    for command in (
        "run",
        "infer",
        "profile",
        "peaks",
        "energy",
        "idle",
        "interleave",
        "build_tensorrt",
        "run_trtexec",
    ):
        program = archive if command in ("run", "build_tensorrt") else folder
        job = b'{"mode": "baseline", "runtime": "null"}\n'
        argv = [interpreter(version), "-W", "error", str(program), command]
        done = subprocess.run(argv, input=job, capture_output=True, check=False)
        if done.returncode != 3:  # it saw its stdin end first
            assert done.stdout, done.stderr.decode()
            assert json.loads(done.stdout.splitlines()[0]).keys() <= {"ok", "error"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_locks_and_runs_detached(version: str, folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work" / ("0" * 32)
    work.mkdir(parents=True)
    (work / "undo.json").write_text("[]")
    start = [interpreter(version), "-W", "error", str(folder)]
    assert subprocess.run([*start, "device_lock", str(work)], capture_output=True, check=True).stdout == b"null\n"
    command = [*start, "run_detached", str(work), "sh", "-c", "cat >&2; echo $EDGEKIT_WORK; exit 7"]
    marked = {**os.environ, "EDGEKIT_WORK": "0" * 32}
    done = subprocess.run(command, input=b"no", capture_output=True, env=marked, check=False)
    assert (done.returncode, done.stderr) == (7, b"no\n")  # without the mark


def test_without_a_command_it_says_which_there_are(folder: Path, archive: Path) -> None:
    for argv in ([str(folder)], [str(archive), "fly"]):
        done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("give a command: run, interleave")


def test_it_runs_as_a_module_where_edgekit_is_installed() -> None:
    command = [sys.executable, "-m", "edgekit.bench.ondevice", "run"]
    job = b'{"mode": "baseline", "runtime": "nonesuch"}\n'
    done = subprocess.run(command, input=job, capture_output=True, check=False)
    assert done.returncode == 3 or json.loads(done.stdout)["error"]["kind"] == "missing"


def test_nothing_newer_is_used(folder: Path) -> None:
    """Also where no old Python is at hand."""
    vermin = shutil.which("vermin", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if vermin is None:
        pytest.skip("vermin is not installed")
    command = [vermin, "-t=3.8-", "--no-tips", "--violations", *map(str, folder.rglob("*.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_newer_is_used_that_is_often_used(folder: Path) -> None:
    """Also where neither that nor an old Python is at hand."""
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        zips = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "zip"]
        assert not [call for call in zips if call.keywords], path
        aliases = [node.value for node in tree.body if isinstance(node, ast.Assign)]
        assert not [value for value in aliases if isinstance(value, ast.Subscript)], path  # Callable[...] needs 3.9
        methods = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not methods & {"removeprefix", "removesuffix", "pairwise", "bit_count"}, path


def test_it_imports_itself_by_relative_imports_and_nothing_of_edgekit(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        depth = len(path.relative_to(folder).parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth, f"{path} imports from outside"
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [module for module in modules if module.split(".")[0] in ("edgekit", "ondevice")], path


def test_what_is_sent_ahead_imports_nothing_else_of_its_package(folder: Path) -> None:
    """Each of the texts that begin a session needs those before it alone."""
    for index, name in enumerate(SESSION):
        tree = ast.parse((folder / f"{name}.py").read_text())
        near = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
        assert near <= set(SESSION[:index])


def test_the_loader_of_a_session_is_one_line_that_every_shell_takes() -> None:
    assert "\n" not in BOOT and "!" not in BOOT
