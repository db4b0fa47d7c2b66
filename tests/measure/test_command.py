from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.device.linux import LinuxTarget
from edgekit.errors import BackendMissing, MeasurementInvalid, UsageError
from edgekit.measure.command import bench
from edgekit.measure.result import KEYS, BenchResult, row
from edgekit.records import measurement
from edgekit.records.measurement import Measurement, Memory, ProcessRun, Protocol
from edgekit.records.record import new_id, now
from edgekit.reporting.rows import rows
from edgekit.storage.store import Store
from tests.paths import ROOT

DOCUMENTED = {
    *("artifact", "foreign", "device", "runtime", "threads", "batch", "median_ms", "ci95_ms", "p90_ms", "p99_ms"),
    *("first_ms", "load_ms", "throughput_per_s", "n", "peak_memory_bytes", "memory_method", "verdict", "reasons"),
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A preset that is over in no time, and no devices.yaml but the test's own."""
    short = {"warmup_seconds": 0.01, "warmup_runs": 2, "min_seconds": 0.02, "min_runs": 80, "max_seconds": 10.0}
    monkeypatch.setitem(measurement.PRESETS, "test", Protocol(preset="test", processes=2, **short))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_foreign_file_is_measured_and_kept(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path, steps = tiny_onnx(batch="N"), []
    result = bench(path, preset="test", batch=[1, 4], progress=lambda *step: steps.append(step))
    document = json.loads(json.dumps(result.to_json()))
    assert result.exit_code in (0, 6) and [each["batch"] for each in document["measurements"]] == [1, 4]
    for each in document["measurements"]:
        assert set(each) >= DOCUMENTED
        assert each["artifact"] == str(path) and each["foreign"] is True and each["runtime"] == "onnxruntime"
        assert each["threads"] == 1 and each["n"] >= 160
        assert each["verdict"] in ("valid", "suspect", "invalid") and 0 < each["harness_us"] < 5
        assert 0 < each["min_ms"] <= each["median_ms"] and each["ci95_ms"][0] <= each["ci95_ms"][1]
        assert each["p90_ms"] and each["throughput_per_s"] > 0 and each["error"] is None
        assert any("within-run only" in reason for reason in each["reasons"])
        assert each["peak_memory_bytes"] is None or each["peak_memory_bytes"] > each["baseline_memory_bytes"] > 0
    assert tuple(Store("sqlite:///edgekit.db").measurements()) == result.measurements
    assert [done for _, done, _ in steps] == list(range(6)) and {total for *_, total in steps} == {6}


def test_null_needs_no_runtime(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"anything")
    (each,) = bench("x.onnx", runtime="null", preset="test").to_json()["measurements"]
    assert each["median_ms"] < 0.005 and each["runtime"] == "null"


def test_a_file_that_fails_is_a_row_and_hides_no_other(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    good = tiny_onnx("good.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"hello" * 50)
    (tmp_path / "x.engine").write_bytes(b"engine")
    paths: list[str | Path] = ["missing.onnx", "broken.onnx", good, "x.engine"]
    result = bench(paths, preset="test")
    rows = result.to_json()["measurements"]
    assert [each["artifact"] for each in rows] == [str(path) for path in paths]
    assert [bool(each["error"]) for each in rows] == [True, True, False, True]
    for each in (rows[0], rows[1], rows[3]):
        assert set(each) == set(rows[2]) and each["reasons"] == [each["error"]["message"]] and each["error"]["remedy"]
        assert all(each[key] is None for key in KEYS if key.endswith(("_ms", "_bytes", "_per_s")) or key == "n")
    assert [each["error"]["code"] for each in (rows[0], rows[1], rows[3])] == ["usage", "usage", "backend"]
    assert result.exit_code == 2 and len(Store("sqlite:///edgekit.db").measurements()) == 1


def test_a_single_file_that_fails_raises(tiny_onnx: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        bench("missing.onnx")
    assert not Path("edgekit.db").exists()
    pytest.importorskip("onnxruntime")
    with pytest.raises(UsageError, match="fixes its batch at 1, and 2 was asked"):
        bench(tiny_onnx(), batch=2, preset="test")
    with pytest.raises(BackendMissing, match="no provider 'nonsense'"):
        bench(tiny_onnx(), provider="nonsense", preset="test")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"preset": "defualt"}, "did you mean 'default'"),
        ({"threads": 0}, "--threads must be at least 1"),
        ({"threads": 1.5}, "--threads must be a whole number, not 1.5"),
        ({"batch": 0.5}, "--batch must be a whole number, not 0.5"),
        ({"batch": [1, -1]}, "--batch must be at least 1"),
        ({"batch": []}, "nothing to measure"),
        ({"device": "lokal"}, "did you mean 'local'"),
        ({"runtime": "litrt"}, "did you mean 'litert'"),
        ({"store": "nothing://"}, "no database URL"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], said: str) -> None:
    Path("x.tflite").write_bytes(b"x")
    with pytest.raises(UsageError, match=said):
        bench("x.tflite", **{"preset": "test", "runtime": "null"} | wrong)


def test_a_phone_runs_only_benchmark_model() -> None:
    Path("devices.yaml").write_text("devices:\n  pixel: {link: adb, runtimes: [onnxruntime]}\n")
    Path("x.onnx").touch()
    with pytest.raises(BackendMissing, match="pixel is a phone, and onnxruntime does not run there"):
        bench("x.onnx", device="pixel")


def test_far_more_threads_than_processors_are_refused() -> None:
    Path("x.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"999 threads on \d+ processors") as caught:
        bench("x.onnx", runtime="null", threads=999, preset="test")
    assert "--threads" in caught.value.remedy


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    Path("x.onnx").write_bytes(b"x")
    Path("x.onnx.json").write_text("{}")
    with pytest.raises(UsageError, match="manifest"):
        bench("x.onnx", runtime="null")


def replaced() -> None:
    """As an export does it: another file under the same name."""
    Path("draft").write_bytes(b"other bytes")
    Path("draft").replace("x.onnx")


@pytest.mark.parametrize(("change", "said"), [(replaced, "was changed"), (Path("x.onnx").unlink, "any more")])
@pytest.mark.parametrize("step", range(3))
def test_a_file_that_changes_meanwhile_gives_no_number_and_hides_no_other(
    step: int, change: Callable[[], None], said: str
) -> None:
    Path("x.onnx").write_bytes(b"x")
    Path("y.onnx").write_bytes(b"y")
    steps: list[str] = []

    def watch(message: str, *_: object) -> None:
        steps.append(message)
        if len(steps) == step + 1:
            change()

    result = bench(["x.onnx", "y.onnx"], runtime="null", preset="test", progress=watch)
    ((failure,), (kept,)) = result.failures, result.measurements
    assert said in failure.error.message and failure.error.code == "usage" and result.exit_code == 2
    assert kept.artifact == "y.onnx" and [one.artifact for one in Store("edgekit.db").measurements()] == ["y.onnx"]


def test_a_file_that_is_only_touched_meanwhile_is_the_same() -> None:
    Path("x.onnx").write_bytes(b"x")
    result = bench("x.onnx", runtime="null", preset="test", progress=lambda *_: os.utime("x.onnx"))
    assert result.measurements[0].bytes == 1


def test_a_file_that_changes_before_it_is_interleaved_gives_no_number() -> None:
    Path("x.onnx").write_bytes(b"x")
    Path("y.onnx").write_bytes(b"y")
    with pytest.raises(UsageError, match="was changed while it was used"):
        bench(["x.onnx", "y.onnx"], runtime="null", preset="test", versus=True, progress=lambda *_: replaced())
    assert not Store("edgekit.db").measurements()


def test_what_cannot_be_known_is_null_with_its_reason() -> None:
    run = ProcessRun(samples_ns=(2_000_000,) * 3, warmup_ns=(), load_ns=1, first_ns=1, wall_ns=6_000_000)
    record = Measurement(
        id=new_id(), created=now(), artifact="x", sha256="", bytes=1, format="onnx", manifest=None, device="local",
        runtime="null", protocol=Protocol(threads=8), runs=(run,), found={}, reasons=("8 threads on 2 processors",),
        memory=Memory(peak_bytes=None, baseline_bytes=None, method="VmHWM", reason="it was not told"),
    )  # fmt: skip
    found = row(record)
    assert found["median_ms"] == 2 and found["ci95_ms"] is None and found["p90_ms"] is None and found["threads"] == 8
    for said in ("8 threads on", "no interval", "no p90", "no p99", "no peak memory: it was not told"):
        assert any(said in reason for reason in found["reasons"])


def test_a_runtime_alone_that_cannot_be_read_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = LinuxTarget.ask

    def ask(target: LinuxTarget, job: Any, *more: Any) -> dict[str, Any]:
        if job.get("mode") == "baseline":
            raise MeasurementInvalid("the runner was killed", "measure again")
        return asked(target, job, *more)

    monkeypatch.setattr(LinuxTarget, "ask", ask)
    Path("x.onnx").write_bytes(b"x")
    result = bench("x.onnx", runtime="null", preset="test")
    (one,) = result.measurements
    assert (one.memory.baseline_bytes, one.memory.baseline_reason) == (None, "the runner was killed")
    (said,) = (reason for reason in row(one)["reasons"] if "alone" in reason)
    assert said == "no memory of the runtime alone: the runner was killed"
    assert rows([one], [])[0].missing["baseline_memory_bytes"] == "the runner was killed"


def test_measuring_imports_nothing_heavy() -> None:
    heavy = ("torch", "onnx", "tensorflow", "onnxruntime", "ai_edge_litert", "sqlalchemy")
    code = f"import sys, edgekit.measure.command; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_an_empty_result_is_no_failure() -> None:
    assert BenchResult(()).to_json()["measurements"] == [] and BenchResult(()).exit_code == 0
