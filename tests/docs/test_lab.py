"""The guide docs/lab.md: its six commands, in its order, with its files, on three devices one of which is away."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from edgekit.sweeps import run as sweeping
from edgekit.sweeps.queues import Patience
from tests.bench.ssh_server import Server
from tests.docs.test_docs import run
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
# The codes that the guide foresees where one device is away, and others are busy with other tests.
CODES = {"sweep": (4,), "choose": (0, 6), "report": (0,), "compare": (0, 3, 6)}


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """What a reader types, a line each."""
    return [line for block in blocks("sh") for line in block.splitlines()]


def laid_out(folder: Path, demo: Path, server: Server) -> None:
    """What the guide expects, with the fewest cells: one network and one precision, on images of digits."""
    for name in ("weights", "weights-2", "images", "preprocess.yaml"):
        source = demo / name.removesuffix("-2")
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    devices, grid = map(yaml.safe_load, blocks("yaml"))
    for device in devices["devices"].values():
        device |= {"python": sys.executable, "folder": str(server.root)}
    grid |= {"alpha": 0.25, "res": 32, "precision": "fp32", "format": "onnx", "preset": "quick"}
    for name, value in {"devices.yaml": devices, "grid.yaml": grid}.items():
        (folder / name).write_text(yaml.safe_dump(value))
    config = server.folder / "config"
    away = "Host pi-3\n  HostName 127.0.0.1\n  Port 1\n"
    config.write_text(config.read_text().replace("Host board", "Host pi-1 pi-2") + away)


def test_it_has_six_commands() -> None:
    assert len(commands()) == 6 and all(line.startswith("edgekit ") for line in commands())


def test_it_tells_what_to_do_about_each_code_that_a_sweep_ends_with() -> None:
    assert re.findall(r"^\| (\d) \|", TEXT, re.MULTILINE) == ["0", "2", "3", "4", "5", "6"]


@pytest.mark.slow
def test_its_commands_lead_from_weights_to_the_next_release(
    small_demo: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    (folder := tmp_path / "lab").mkdir()
    laid_out(folder, small_demo / "demo", server)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path}/team.db")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sweeping, "PATIENCE", Patience(0.01, never_seen=3, seen=3))
    said = []
    for line in commands():
        code, text = run(line, folder)
        said.append(" ".join(text.split()))
        assert code in CODES[line.split()[1]], f"{line}\n{text}"
    first, later, chosen, report, _, compared = said
    assert "pi-3" in first and "cannot be reached" in first and (" cached" in later or " done" in later)
    assert chosen.startswith(("ship ", "cannot decide: every latency is invalid")) and report.endswith("report.html")
    assert "on pi-1" in compared and "on pi-2" in compared and "accuracy: passed" in compared
