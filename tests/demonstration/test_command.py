"""The demo goes the whole way: three sets of images that do not overlap, files, accuracies, latencies, a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.demonstration import command
from edgekit.records.manifest import read_manifest
from edgekit.storage.store import open_store

torch = pytest.importorskip("torch")


def test_a_store_of_ones_own_in_the_same_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "COURSES", ())
    for name in ("edgekit.db", command.STORE):
        (tmp_path / name).write_text("measurements")
    command._prepare(tmp_path, command._silent)
    assert (tmp_path / "edgekit.db").exists() and not (tmp_path / command.STORE).exists()


def test_every_file_has_an_accuracy_and_a_latency(small_demo: Path) -> None:
    result = json.loads((small_demo / "result.json").read_text(encoding="utf-8"))
    assert not result["failed"] and len(result["rows"]) == 8
    for row in result["rows"]:
        assert row["n"] == 100 and row["top1"] > 0.6 and row["median_ms"] > 0
    assert Path(result["report"]).read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_int8_was_calibrated_on_images_that_were_not_tested(small_demo: Path) -> None:
    (manifest,) = (small_demo / "demo" / "artifacts" / "lenet5_32").glob("*int8.tflite.json")
    calibration = read_manifest(manifest).calibration
    assert calibration is not None and calibration.n == 50 and not calibration.synthetic
    assert read_manifest(manifest).weights.trained


def test_the_store_holds_what_was_measured(small_demo: Path) -> None:
    store = open_store(f"sqlite:///{small_demo / 'demo' / command.STORE}")
    assert len(store.measurements()) == len(store.accuracies()) == 8
