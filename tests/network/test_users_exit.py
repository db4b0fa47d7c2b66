"""A user's file that calls sys.exit() ends itself: never the command with exit code 0, and never who called us."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import edgekit
from edgekit.cli.failure import describe
from edgekit.errors import UsageError
from edgekit.sweeps.command import sweep
from edgekit.sweeps.result import SweepResult

pytest.importorskip("torch")
pytest.importorskip("onnx")

NET = """
import os
import sys
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.calls = 0
{init}
    def forward(self, x):
        self.calls += 1
        {forward}
        return self.conv(x).mean((2, 3))


def build():
    {build}
    return Net()


{end}
"""
PLACES = {
    "at its end": {"end": "sys.exit({code})"},
    "in its function": {"build": "sys.exit({code})"},
    "in its forward": {"forward": "sys.exit({code})"},
    "when it is run": {"forward": "if self.calls > 1: sys.exit({code})"},
}


def written(folder: Path, place: str, code: str = "0") -> str:
    parts = {"init": "", "forward": "", "build": "", "end": ""} | PLACES[place]
    text = NET.format(**{name: part.replace("{code}", code) for name, part in parts.items()})
    (folder / "net.py").write_text(text)
    return f"{folder / 'net.py'}:build"


@pytest.mark.parametrize("code", ["0", "", "3", "'done'"])
@pytest.mark.parametrize("place", PLACES)
def test_an_export_says_it_and_is_a_usage_error(place: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it calls sys\.exit\(" + code) as caught:
        edgekit.export(written(tmp_path, place, code), input=(1, 3, 8, 8), format=["onnx"], out=tmp_path / "out")
    assert "__main__" in caught.value.remedy or place not in ("at its end", "in its function")


@pytest.mark.parametrize("place", [place for place in PLACES if place != "at its end"])
def test_a_sweep_has_it_as_the_reason_of_a_cell(place: str, tmp_path: Path) -> None:
    result = swept(place, tmp_path)
    assert result.exit_code == 2 and all("sys.exit(0)" in json.dumps(cell.to_json()) for cell in result.cells)


@pytest.mark.parametrize("place", PLACES)
def test_os_exit_is_told_as_sys_exit_is(place: str, tmp_path: Path) -> None:
    network = written(tmp_path, place)
    (tmp_path / "net.py").write_text((tmp_path / "net.py").read_text().replace("sys.exit(", "os._exit("))
    with pytest.raises(UsageError, match=r"it calls os\._exit\(0\)"):
        edgekit.export(network, input=(1, 3, 8, 8), format=["onnx"], out=tmp_path / "out")


def test_a_sweep_of_a_file_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be imported: it calls sys.exit"):
        swept("at its end", tmp_path)


def swept(place: str, folder: Path) -> SweepResult:
    with ThreadPoolExecutor(1) as here:
        return sweep(
            written(folder, place), input=(1, 3, 8, 8), format=["onnx"], precision=["fp32"], export_only=True,
            yes=True, out=folder / "out", store=f"sqlite:///{folder}/s.db", executor=here,
        )  # fmt: skip


def test_whatever_ends_a_command_is_no_success() -> None:
    assert describe(SystemExit(0), []).exit_code == describe(SystemExit(None), []).exit_code == 2
