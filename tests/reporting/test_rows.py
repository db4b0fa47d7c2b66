"""Rows: the latest records joined by file, what is unknown with its reason, fronts, and names that tell rows apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgekit.records.measurement import Memory
from edgekit.reporting.rows import MAX_RESAMPLED, has_latency, rows
from edgekit.reporting.text import as_csv
from edgekit.stats.latency import latency
from edgekit.stats.proportions import wilson

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


def test_a_measurement_meets_the_accuracy_of_the_same_file(make: Records) -> None:
    known, other = make.manifest(), make.manifest(format="tflite")
    measured = make.measurement(known)
    (row,) = rows([measured], [make.accuracy(known, 0.6), make.accuracy(known, 0.6)])
    assert (row.variant, row.precision, row.format, row.macs) == ("mobilenet_0.5_160", "fp32", "onnx", 76_520_000)
    assert row.top1 == 390 / 650 and row.top1_ci95 == wilson(390, 650) and row.images == 650
    time = latency(measured.runs)
    assert time is not None and (row.median_ms, row.ci95_ms, row.p90_ms) == (time.median_ms, time.ci95_ms, time.p90_ms)
    assert row.provenance["Measured"]["id"] == measured.id
    assert rows([measured], [make.accuracy(other)])[0].top1 is None


def test_the_latest_record_counts(make: Records) -> None:
    known = make.manifest()
    old = make.measurement(known, 9.0, created="2026-11-19T10:00:00Z")
    new = make.measurement(known, 1.0, created="2026-11-20T10:00:00Z")
    early = make.accuracy(known, 0.1, created="2026-11-19T10:00:00Z")
    late = make.accuracy(known, 0.7, created="2026-11-20T10:00:00Z")
    (row,) = rows([new, old], [late, early])
    assert row.median_ms == pytest.approx(1.0, rel=0.05) and row.top1 == pytest.approx(0.7)


def test_each_device_runtime_thread_count_and_batch_has_its_row(make: Records) -> None:
    known = make.manifest()
    settings = [{}, {"device": "orin"}, {"runtime": "torch"}, {"threads": 4}, {"batch": 8}]
    found = rows([make.measurement(known, **setting) for setting in settings], [])  # type: ignore[arg-type]
    assert len(found) == 5 and len({row.label for row in found}) == 5


XNNPACK = {"delegate": "xnnpack", "nodes": 9, "nodes_delegated": 9}
NO_DELEGATE = {"delegate": None, "nodes": 9, "nodes_delegated": 0}


def test_each_provider_delegate_and_power_mode_has_its_row(make: Records) -> None:
    lite, plain = make.manifest(format="tflite"), make.manifest()
    cpu, cuda = {"provider": "CPUExecutionProvider"}, {"provider": "CUDAExecutionProvider"}
    slow, fast = ({"device": {"power_mode": mode}} for mode in ("15W", "25W"))
    taken = [
        *(make.measurement(lite, ms, found=found) for ms, found in ((0.036, XNNPACK), (0.16, NO_DELEGATE))),
        *(make.measurement(plain, ms, found=found) for ms, found in ((3, cpu), (2, cuda))),
        *(make.measurement(plain, ms, device="orin", found=found) for ms, found in ((8, slow), (4, fast))),
    ]
    found = rows(taken, [make.accuracy(lite), make.accuracy(plain)])
    assert {row.setting for row in found} == {
        "local, 1 thread, batch 1, xnnpack", "local, 1 thread, batch 1, no delegate",
        "local, 1 thread, batch 1, CPU", "local, 1 thread, batch 1, CUDA",
        "orin 15W, 1 thread, batch 1", "orin 25W, 1 thread, batch 1",
    }  # fmt: skip
    assert len({row.label for row in found}) == 6 and {row.power_mode for row in found} == {None, "15W", "25W"}
    told = as_csv(found)
    assert all(word in told for word in ("no delegate", "CUDAExecutionProvider", "orin 15W"))
    fastest = {row.setting for row in found if row.front_latency}
    assert "local, 1 thread, batch 1, xnnpack" in fastest, "on one device, what runs a file is a choice"
    assert not {"local, 1 thread, batch 1, no delegate", "local, 1 thread, batch 1, CUDA"} & fastest
    assert {"orin 15W, 1 thread, batch 1", "orin 25W, 1 thread, batch 1"} <= fastest, "its power mode is none"


def test_a_delegate_that_is_not_told_is_not_denied(make: Records) -> None:
    lite = make.manifest(format="tflite")
    (row,) = rows([make.measurement(lite, found={"delegate": None, "nodes": None, "nodes_delegated": None})], [])
    assert row.setting == "local, 1 thread, batch 1" and row.way is None


def test_machines_that_share_a_devices_name_are_told_apart(make: Records) -> None:
    known = make.manifest()
    ours, theirs = make.measurement(known, 1.0), make.measurement(known, 2.0, host="00ff00ff")
    old = make.measurement(known, 3.0, host=None)
    (alone,) = rows([ours], [])
    assert (alone.place, alone.setting) == ("local", "local, 1 thread, batch 1")
    found = rows([ours, theirs, old], [make.accuracy(known)])
    assert {row.place: round(row.median_ms or 0) for row in found} == {
        "local 3fc95c0b": 1, "local 00ff00ff": 2, "local (unknown machine)": 3
    }  # fmt: skip
    assert len({row.label for row in found}) == 3 and all((row.place or "?") in (row.setting or "") for row in found)
    assert all(row.front_latency for row in found), "each is the only one on its machine"
    assert {row.device for row in found} == {"local"} and {row.host for row in found} == {"3fc95c0b", "00ff00ff", None}


def test_threads_are_those_that_were_found(make: Records) -> None:
    measured = make.measurement(make.manifest(), threads=4)
    measured = measured.model_copy(update={"found": {**measured.found, "threads": 2}})
    assert rows([measured], [])[0].threads == 2


def test_what_is_unknown_is_none_with_its_reason(make: Records) -> None:
    gone = Memory(peak_bytes=None, baseline_bytes=None, method="none", reason="the process was killed")
    (row,) = rows([make.measurement(None, memory=gone)], [])
    assert row.macs is None and "foreign" in row.missing["macs"]
    assert row.top1 is None and "edgekit eval" in row.missing["top1"]
    assert row.peak_memory_bytes is None and row.missing["peak_memory_bytes"] == "the process was killed"
    assert row.p99_ms is None and "662" in row.missing["p99_ms"], "180 samples tell no p99"
    assert row.variant == "foreign.onnx" and row.bytes == 5_000_000


def test_a_measurement_without_samples_has_no_latency(make: Records) -> None:
    empty = make.measurement(make.manifest(), processes=0)
    (row,) = rows([empty], [make.accuracy(make.manifest())])
    assert row.median_ms is None and row.quantiles_ms is None and row.missing["median_ms"] == "no sample was taken"
    assert not row.front_latency and row.front_macs


def test_a_file_that_was_only_evaluated_has_a_row(make: Records) -> None:
    (row,) = rows([], [make.accuracy(make.manifest(), 0.5)])
    assert row.top1 == 0.5 and row.median_ms is None and "edgekit bench" in row.missing["median_ms"]
    assert row.verdict == "not measured" and row.setting is None


def test_random_weights_and_synthetic_ranges_show_no_accuracy(make: Records) -> None:
    random = make.manifest(trained=False)
    synthetic = make.manifest(precision="int8", synthetic=True)
    found = rows(
        [make.measurement(random), make.measurement(synthetic)], [make.accuracy(random), make.accuracy(synthetic)]
    )
    assert [row.top1 for row in found] == [None, None]
    assert "random weights" in found[0].missing["top1"] and "synthetic" in found[1].missing["top1"]


def test_what_runs_nothing_is_ranked_with_no_file(make: Records) -> None:
    known = make.manifest()
    harness = make.measurement(known, 0.0001, runtime="null")
    found = rows([make.measurement(known), harness], [make.accuracy(known)])
    assert {row.runtime: row.front_latency for row in found} == {"onnxruntime": True, "null": False}
    assert [has_latency(row) for row in found] == [row.runtime != "null" for row in found]


def test_fronts_are_within_a_setting_and_without_invalid_rows(make: Records) -> None:
    small, large = make.manifest("net_small", macs=10), make.manifest("net_large", macs=20)
    accuracies = [make.accuracy(small, 0.5), make.accuracy(large, 0.5)]
    here = [make.measurement(small, 1.0, verdict="invalid"), make.measurement(large, 2.0)]
    there = [make.measurement(small, 4.0, device="orin"), make.measurement(large, 3.0, device="orin")]
    found = {(row.variant, row.device): row for row in rows(here + there, accuracies)}
    assert {key for key, row in found.items() if row.front_latency} == {("net_large", "local"), ("net_large", "orin")}
    assert {key[0] for key, row in found.items() if row.front_macs} == {"net_small"}
    assert {key[0] for key, row in found.items() if row.front_params} == {"net_small", "net_large"}, "equal in both"


def test_a_large_report_resamples_nothing_and_says_so(make: Records) -> None:
    known = make.manifest()
    many = [make.measurement(known, device=f"d{i}", samples=25, processes=1) for i in range(MAX_RESAMPLED + 1)]
    found = rows(many, [])
    assert all(row.ci95_ms is None and "resampling" in row.missing["ci95_ms"] for row in found)
    assert rows(many[:1], [])[0].ci95_ms is not None
