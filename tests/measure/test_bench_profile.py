"""`bench --profile`, from a file that edgekit wrote to the store, the JSON and what a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from edgekit.cli.views.bench import bench as view
from edgekit.errors import UsageError
from edgekit.measure.command import bench
from edgekit.records import measurement
from edgekit.records.measurement import Measurement, Protocol
from edgekit.storage.store import Store


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short = {"warmup_seconds": 0.01, "warmup_runs": 2, "min_seconds": 0.02, "min_runs": 8, "max_seconds": 10.0}
    monkeypatch.setitem(measurement.PRESETS, "test", Protocol(preset="test", processes=1, **short))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    for package in ("torch", "onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    from edgekit.exporting.command import export

    made = export("lenet5", out=tmp_path_factory.mktemp("lenet"))
    return {artifact.format: artifact.path for artifact in made.artifacts}


def shown(document: dict[str, Any], width: int = 200) -> str:
    console = Console(width=width, record=True, force_terminal=False)
    for part in view(document, width):
        console.print(part if not isinstance(part, str) else Text(part))
    return console.export_text()


def test_layers_reach_the_store_the_json_and_the_reader(lenet: dict[str, Path]) -> None:
    steps: list[tuple[str, int, int]] = []
    taken = bench(list(lenet.values()), preset="test", profile=True, progress=lambda *step: steps.append(step))
    document = json.loads(json.dumps(taken.to_json(), allow_nan=False))
    assert [done for _, done, _ in steps] == list(range(6)) and {total for *_, total in steps} == {6}
    for record, told in zip(taken.measurements, document["measurements"], strict=True):
        assert record.manifest is not None and "layers" not in record.manifest.details
        assert record.profile is not None and record.profile.peaks is not None
        found = told["profile"]
        assert found["absent"] == [] and {"f6", "output"} <= {one["name"] for one in found["layers"]}
        assert sum(one["macs"] or 0 for one in found["layers"]) == record.manifest.macs
        assert found["plain_ms"] > 0 and found["sum_ms"] > 0 and 0 < found["peak_share"] < 2
        assert found["peaks"]["threads"] == 1 and found["method"]
    assert tuple(Store("sqlite:///edgekit.db").measurements()) == taken.measurements
    assert taken.measurements[0].profile and taken.measurements[1].profile
    assert taken.measurements[0].profile.peaks == taken.measurements[1].profile.peaks, "measured once"
    text = shown(document)
    for word in (
        "by layer, on onnxruntime",
        "by layer, on litert",
        "of this machine's peak with 1 thread",
        "the layers sum to",
    ):
        assert word in text


def test_without_it_nothing_is_profiled_and_old_records_are_read(lenet: dict[str, Path]) -> None:
    (record,) = bench(lenet["onnx"], preset="test").measurements
    assert record.profile is None
    older = json.loads(record.model_dump_json())
    del older["profile"]
    assert Measurement.model_validate_json(json.dumps(older)) == record


def test_a_foreign_file_shows_the_runtimes_operators(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    document = bench(tiny_onnx(), preset="test", profile=True).to_json()
    found = document["measurements"][0]["profile"]
    assert found["layers"] and all(one["layers"] == () and one["share"] >= 0 for one in found["layers"])
    assert found["peak_share"] is None and "a foreign file has no layer table" in shown(document)


def test_a_profile_that_fails_takes_nothing_with_it(lenet: dict[str, Path]) -> None:
    document = bench(lenet["tflite"], preset="test", profile=True, delegate="none").to_json()
    (told,) = document["measurements"]
    assert told["median_ms"] > 0 and told["error"] is None and told["profile"]["layers"] == []
    assert "no profile: " in shown(document) and "with its own delegate, XNNPACK" in shown(document)


def test_what_has_no_profiler_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for runtime, name in (("null", "x.onnx"), ("torch", "x.pt2")):
        (tmp_path / name).write_bytes(b"anything")
        with pytest.raises(UsageError, match=f"tensorrt_rtx and trtexec, not of {runtime}"):
            bench(name, runtime=runtime, profile=True)
    assert not (tmp_path / "edgekit.db").exists()
