"""Interleaved comparisons, with processes that really run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.measure.command import bench
from edgekit.measure.pair import position_effect
from edgekit.measure.session import Patience
from edgekit.records import measurement
from edgekit.records.measurement import Protocol
from edgekit.storage.store import Store
from tests.comparison.records import record


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short = {"warmup_seconds": 0.01, "warmup_runs": 2, "min_seconds": 0.02, "min_runs": 20, "max_seconds": 10.0}
    protocol = Protocol(preset="test", processes=1, warmup_max_seconds=0.02, **short)
    monkeypatch.setitem(measurement.PRESETS, "test", protocol)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    for name in ("a.onnx", "b.onnx", "c.onnx"):
        (tmp_path / name).write_bytes(name.encode())


def test_files_are_measured_in_random_complete_blocks() -> None:
    steps: list[tuple[str, int, int]] = []
    result = bench(
        ["a.onnx", "b.onnx"], versus=True, runtime="null", preset="test", progress=lambda *s: steps.append(s)
    )
    document = json.loads(json.dumps(result.to_json()))
    assert len(document["measurements"]) == 2 and document["noise"] == 0.02
    (pair,) = document["versus"]
    assert (pair["base"], pair["new"], pair["blocks"]) == ("a.onnx", "b.onnx", 6)
    assert pair["ratio_ci95"][0] <= pair["ratio"] <= pair["ratio_ci95"][1] and pair["position_effect"] is not None
    assert pair["verdict"] in ("same", "slower", "faster", "cannot tell")
    one, two = result.measurements
    assert one.session == two.session and [run.block for run in one.runs] == list(range(6))
    places = [(run.position, other.position) for run, other in zip(one.runs, two.runs, strict=True)]
    assert {(0, 1), (1, 0)} == set(places)  # each block is complete, and both orders occur
    for run, other in zip(one.runs, two.runs, strict=True):  # one process, in which they took turns
        assert run.sensed == other.sensed and run.turns and len(run.turns) == len(other.turns or ())
        assert sum(run.turns) == len(run.samples_ns)
    assert tuple(Store("edgekit.db").measurements()) == result.measurements
    assert [done for _, done, _ in steps] == list(range(14)) and {total for *_, total in steps} == {14}


def test_each_file_is_compared_with_the_first() -> None:
    result = bench(["a.onnx", "b.onnx", "c.onnx"], versus=True, runtime="null", preset="test")
    assert [(pair.base[0], pair.new[0]) for pair in result.versus] == [("a.onnx", "b.onnx"), ("a.onnx", "c.onnx")]


def test_what_cannot_be_interleaved_is_refused() -> None:
    with pytest.raises(UsageError, match="two files or more"):
        bench("a.onnx", versus=True, runtime="null", preset="test")
    with pytest.raises(UsageError, match="one batch size"):
        bench(["a.onnx", "b.onnx"], batch=[1, 2], versus=True, runtime="null", preset="test")
    with pytest.raises(UsageError, match="does not exist"):
        bench(["a.onnx", "gone.onnx"], versus=True, runtime="null", preset="test")
    assert not Store("edgekit.db").measurements()


def test_the_place_in_a_block_has_its_effect_told() -> None:
    pair = [record(blocks=True, spread=(0.0, 0.03)) for _ in range(2)]  # every second process is in second place
    assert position_effect(pair) == pytest.approx(0.03, abs=1e-3)
    assert position_effect([record()]) is None


def test_patience_waits_for_the_first_temperature_and_not_for_ever() -> None:
    heats = iter([55.0, 52.0, 42.9])
    assert Patience(10).cool_down(40.0, lambda: next(heats), 0.001) is False and next(heats, None) is None
    assert Patience(0.005).cool_down(40.0, lambda: 55.0, 0.001) is True
    assert Patience(10).cool_down(None) is None
