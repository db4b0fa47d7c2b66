from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import GateFailed, MeasurementInvalid, UsageError
from edgekit.exporting import latency_gate
from edgekit.exporting.command import export
from edgekit.exporting.latency_gate import latency_within
from edgekit.records import measurement
from edgekit.records.measurement import Protocol


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"warmup_seconds": 0.01, "warmup_runs": 2, "min_seconds": 0.02, "min_runs": 10, "max_seconds": 10.0}
    quick = Protocol(preset="quick", processes=1, warmup_max_seconds=0.1, **short)
    monkeypatch.setitem(measurement.PRESETS, "quick", quick)


def test_a_file_within_the_limit_is_told_with_its_median(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    found = latency_within(tiny_onnx(), 10_000)
    assert 0 < found["median_ms"] < 10_000 and found["limit_ms"] == 10_000 and found["runtime"] == "onnxruntime"


def test_a_file_above_it_fails_unless_the_machine_was_too_busy_to_tell(
    tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    path = tiny_onnx()
    monkeypatch.setattr(latency_gate, "INVALID", "no such verdict")
    with pytest.raises(GateFailed, match="more than --max-latency 1e-06"):
        latency_within(path, 1e-6)
    monkeypatch.undo()
    with pytest.raises((GateFailed, MeasurementInvalid)):
        latency_within(path, 1e-6)


def test_export_publishes_nothing_that_is_too_slow(tmp_path: Path) -> None:
    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    slow = export("lenet5", format=["onnx"], max_latency=1e-6, out=tmp_path / "slow")
    assert slow.exit_code in (3, 6) and not slow.artifacts and not list((tmp_path / "slow").rglob("*.onnx*"))
    quick = export("lenet5", format=["onnx"], max_latency=60_000, out=tmp_path / "quick")
    (made,) = quick.artifacts
    assert made.manifest and made.manifest.details["latency_gate"]["median_ms"] < 60_000
    assert made.manifest.details["ideal_memory_bytes"] > made.manifest.params * 4
    with pytest.raises(UsageError, match="--max-latency cannot be '0'"):
        export("lenet5", max_latency=0)
