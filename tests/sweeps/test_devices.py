"""`sweep --device`: what runs a file, and who the device is, are the device's matter and not this machine's."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.errors import BackendMissing, DeviceUnreachable
from edgekit.records.runtime import Runtime
from edgekit.sweeps import measure, run
from edgekit.sweeps.command import sweep
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.result import CellResult
from tests.bench.adb_peer import Peer
from tests.device.phone import phone as phone
from tests.device.phone import phones as phones
from tests.device.test_over_ssh import describe
from tests.device.test_over_ssh import here as here

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

for package in ("torch", "onnx", "onnxruntime", "ai_edge_litert"):
    pytest.importorskip(package)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measure, "INVALID", "none is")  # this machine may be busy with anything
    monkeypatch.setattr(run, "PATIENCE", Patience(0.01, never_seen=2, seen=2))


def only(**asked: Any) -> CellResult:
    """The one cell of a sweep of a small network."""
    usual: dict[str, Any] = {"alpha": (0.25,), "res": (32,), "classes": 4, "continue_": True}
    with ThreadPoolExecutor(1) as pool:
        (cell,) = sweep("mobilenet_v2", **{"executor": pool, **usual, **asked}).cells
    return cell


def test_a_phone(phone: Peer, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"device": ("pixel",), "format": ("tflite",), "preset": "test"}
    first = only(**asked)
    assert first.refusal is None and first.status == "done" and first.measurement is not None
    assert first.measurement.device == "pixel" and first.measurement.runtime == "benchmark_model"
    again = only(**asked)
    assert again.status == "cached" and again.measurement is not None
    assert again.measurement.id == first.measurement.id

    with (tmp_path / "benchmark model").open("a") as program:
        program.write("\n# a newer one\n")
    assert only(**asked).status == "done", "another benchmark_model"

    phone.unplug()
    lost = only(**asked)
    assert lost.status == "failed" and lost.refusal is not None
    assert (lost.refusal.exit_code, lost.refusal.code) == (DeviceUnreachable.exit_code, DeviceUnreachable.code)
    assert lost.refusal.message.startswith("pixel (")
    assert only(**asked, dry_run=True).status == "planned"
    no_onnx = only(**{**asked, "format": ("onnx",)})
    assert no_onnx.refusal is not None and no_onnx.refusal.exit_code == BackendMissing.exit_code


def test_a_board(server: Server, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = here / "packages"
    server.script("python-there", f'#!/bin/sh\nPYTHONPATH="{packages}" exec {sys.executable} "$@"\n')
    describe(server, python="python-there")
    asked: dict[str, Any] = {"device": ("board",), "format": ("onnx",), "preset": "quick"}
    first = only(**asked)
    assert first.refusal is None and first.status == "done" and first.measurement is not None
    assert first.measurement.device == "board"
    assert only(**asked).status == "cached" and server.connections() == 1

    monkeypatch.setattr(Runtime, "installed", False)  # of this machine, which does not measure
    monkeypatch.setattr(Runtime, "version", None)
    assert only(**asked).status == "cached"
    newer = packages / "onnxruntime-99.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 99.0\n")
    upgraded = only(**asked)
    assert upgraded.refusal is None and upgraded.status == "done", "another version there"
