"""The recipes of docs/extending.md, followed word for word on a copy of the source, and how many files each touches."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT
from tests.short import SHORT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
MOST = {
    "A network": 2,
    "An operator": 4,
    "A format": 2,
    "A runtime": 2,
    "A device": 3,
    "An option of export": 2,
}  # product files
HEADER = re.compile(r"# (?P<path>\S+?)(?:, (?P<how>below|instead of): (?P<line>.*))?")
USE = """
import json, sys
from pathlib import Path
import torch
from torch import nn
import edgekit
from edgekit.errors import UsageError

out, store = Path("out"), "sqlite:///store.db"
asked = dict(format=["twin"], author="Ada", out=out)
for _ in range(2):  # the second takes the place of the first
    result = edgekit.export("tiny", precision=["fp32", "int8"], synthetic_calibration=True, **asked)
    assert not result.failed, [failure.error.message for failure in result.failed]
first = result.artifacts[0]
seen = edgekit.inspect(first.path)
measured = edgekit.bench([first.path], preset="quick", store=store).measurements[0]


class Squared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.square(self.conv(x))


both = dict(format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True)
squares = edgekit.export(Squared().eval(), input=(1, 3, 8, 8), out=out, **both)
assert not squares.failed, [failure.error.message for failure in squares.failed]
Path("devices.yaml").write_text("devices: {there: {link: loop, runtimes: [onnxruntime]}}")
single = squares.artifacts[0].path  # a folder goes to no device
away = edgekit.bench([single], device="there", preset="quick", store=store).measurements[0]
edgekit.report(out="report.md", format=("md",), store=store)
swept = edgekit.sweep("tiny", export_only=True, store=store, **asked)
found = {
    "files": sorted(path.name for path in first.path.iterdir()),
    "about": (first.path / "about.txt").read_text(),
    "parity": [artifact.manifest.parity.passed for artifact in result.artifacts],
    "operators": seen.operators,
    "bytes": [seen.bytes, sum(path.stat().st_size for path in first.path.iterdir())],
    "runtime": measured.runtime, "format": measured.format,
    "report": first.path.name in Path("report.md").read_text() or "tiny" in Path("report.md").read_text(),
    "away": [away.device, away.found["device"]["name" if "name" in away.found["device"] else "architecture"] != ""],
    "kinds": sorted({row["kind"] for row in squares.artifacts[0].manifest.details["layers"]}),
    "squares": [artifact.manifest.parity.passed for artifact in squares.artifacts],
    "swept": [cell.status for cell in swept.cells],
}
(first.path / "about.txt").write_text("by somebody else")
try:
    edgekit.inspect(first.path)
except UsageError as error:
    found["altered"] = error.message
print(json.dumps(found))
"""


def blocks(section: str) -> list[tuple[re.Match[str], str]]:
    """Each block of a section: where it goes, and its lines."""
    found = []
    for block in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        first, _, rest = block.partition("\n")
        header = HEADER.fullmatch(first)
        assert header is not None, first
        found.append((header, rest))
    return found


def follow(root: Path, header: re.Match[str], text: str) -> None:
    """Do what a block says."""
    path = root / header["path"]
    if header["how"] is None:
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (index,) = (number for number, line in enumerate(lines) if line.strip() == header["line"])
    lines[index] = text if header["how"] == "instead of" else lines[index] + text
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source in which every recipe was followed."""
    root = tmp_path_factory.mktemp("extended")
    for folder in ("edgekit", "models", "exporters", "bench"):
        shutil.copytree(ROOT / folder, root / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for section in SECTIONS.values():
        for header, text in blocks(section):
            follow(root, header, text)
    return root


def run(root: Path, folder: Path, *argv: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, *argv], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("section", MOST)
def test_a_recipe_touches_few_files(section: str) -> None:
    assert 1 <= len({header["path"] for header, _ in blocks(SECTIONS[section])}) <= MOST[section]


def test_the_page_has_every_recipe() -> None:
    assert list(SECTIONS) == [
        "A network", "An operator", "A format", "A runtime", "A device", "An option of export",
    ]  # fmt: skip


def test_what_the_recipes_add_is_there_from_one_end_to_the_other(extended: Path, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(run(extended, tmp_path, "-c", SHORT + USE))
    assert (found["files"], found["parity"]) == (["about.txt", "network.onnx"], [True, True])
    assert "by Ada" in found["about"] and found["operators"]["Conv"] == 1
    assert found["bytes"][0] == found["bytes"][1]
    assert (found["runtime"], found["format"], found["report"]) == ("twin", "twin", True)
    assert found["swept"] == ["done"] and found["away"] == ["there", True]
    assert "square" in found["kinds"] and found["squares"] == [True] * 4
    assert "is not the file that its manifest describes" in found["altered"]


def test_the_command_lines_have_what_the_recipes_add(extended: Path, tmp_path: Path) -> None:
    for command in ("export", "sweep"):
        told = run(extended, tmp_path, "-m", "edgekit", command, "--help")
        assert "--author NAME" in told and "Who made the file" in told and "twin" in told
