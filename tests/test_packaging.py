"""The package as it ships: the wheel holds exactly the tracked modules, and runs with nothing but what it requires."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.paths import ROOT

FOLDERS = {"edgekit": "edgekit", "models": "edgekit/models", "exporters": "edgekit/exporters", "bench": "edgekit/bench"}
OPTIONAL = (
    "torch",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
    "PIL",
    "altair",
    "vl_convert",
    "sklearn",
    "h5py",
    "distributed",
)


def tracked() -> list[str]:
    """Every file that git knows and that is there."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built from a copy so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--wheel-dir", str(out), str(source)]
    if _setuptools_is_new():
        command.insert(5, "--no-build-isolation")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "****" not in done.stdout + done.stderr, "setuptools warns of something that a user would read"
    return next(out.glob("*.whl"))


def _setuptools_is_new() -> bool:
    try:
        return Version(importlib.metadata.version("setuptools")) >= Version("77")
    except importlib.metadata.PackageNotFoundError:
        return False


def test_the_wheel_holds_exactly_the_tracked_modules(wheel: Path) -> None:
    expected = {
        f"{FOLDERS[folder]}/{rest}"
        for folder, _, rest in (name.partition("/") for name in tracked())
        if folder in FOLDERS and rest.endswith(".py")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if name.endswith(".py")} == expected
    assert {"edgekit/py.typed", "edgekit/network/zoo.json.gz"} <= set(names)


def test_the_wheel_has_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"edgekit"}


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages folder with the wheel and what it requires, and nothing else."""
    site = tmp_path_factory.mktemp("bare")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    installed = Path(sysconfig.get_paths()["purelib"])
    for name in _requirements("edgekit", set()) - {"edgekit"}:
        files = importlib.metadata.distribution(name).files or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(installed / top)
    return site


def _requirements(name: str, seen: set[str]) -> set[str]:
    """The names of a distribution and of everything that it requires without extras."""
    if name in seen:
        return seen
    seen.add(name)
    for line in importlib.metadata.requires(name) or []:
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            _requirements(required.name, seen)
    return seen


def run(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python that sees its standard library and `site` only (-S: no site-packages of its own)."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EDGEKIT_")}
    command = [sys.executable, "-S", "-P" if sys.version_info >= (3, 11) else "-B", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )


def test_the_base_install_has_none_of_the_optional_packages(bare: Path, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {OPTIONAL!r} if u.find_spec(n)])"
    assert run(bare, tmp_path, "-c", code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["--help", "--version", "doctor", "devices", "export --help", "models", "summary mobilenet --alpha 0.5"]
)
def test_the_base_install_runs(bare: Path, tmp_path: Path, command: str) -> None:
    done = run(bare, tmp_path, "-m", "edgekit", *command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout and not done.stderr


def test_doctor_says_how_to_get_what_the_base_install_lacks(bare: Path, tmp_path: Path) -> None:
    document = json.loads(run(bare, tmp_path, "-m", "edgekit", "doctor", "--json").stdout)
    missing = {row["package"]: row["install"] for row in document["packages"] if row["version"] is None}
    assert missing["onnxruntime"] == "pip install 'edgekit[onnxruntime]'"
    assert missing["torch"] == "pip install 'edgekit[export]'"


@pytest.mark.parametrize(
    "command",
    ["summary mobilenet --alpha 0.6", "export mobilenet", "bench x.onnx", "eval x.onnx --data images", "demo"],
)
def test_what_needs_more_than_the_base_install_says_so(bare: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "x.onnx").write_bytes(b"never read")
    (tmp_path / "images" / "0").mkdir(parents=True)
    (tmp_path / "images" / "0" / "a.png").write_bytes(b"never read")
    done = run(bare, tmp_path, "-m", "edgekit", *command.split(), "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (5, "backend"), error
    assert "pip install" in error["remedy"]


def test_standing_outside_the_checkout_there_is_no_models_package(tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('models', 'exporters', 'bench') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
