"""The TensorRT runtime on a double of each release, made from its real API. No library of NVIDIA's is run here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench.ondevice import cuda
from edgekit.bench.ondevice.profilers import tensorrt as profile_tensorrt
from edgekit.bench.ondevice.runtimes import tensorrt as runtime_tensorrt
from edgekit.errors import BackendMissing, UsageError
from edgekit.records.runtime import open_session
from edgekit.tensorrt.builder import find
from edgekit.tensorrt.orders import Order

WriteOnnx = Callable[..., Path]
MANIFEST: dict[str, Any] = {
    "details": {"tensorrt": "8.6.1", "gpu": "Orin", "compute_capability": "8.7", "jetpack": "6.1"},
    "variant": {"model": "mobilenet", "alpha": 0.5, "resolution": 160},
    "weights": {"origin": "random"},
    "precision": "fp16",
}


@pytest.fixture
def engine(tensorrt: Any, tiny_onnx: WriteOnnx, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.engine"
    find().build(Order(tiny_onnx(), path, "fp32"), lambda stage: None)
    return path


def image(batch: int = 1) -> Any:
    return np.random.default_rng(3).standard_normal((batch, 3, 16, 16), np.float32)


def test_an_engine_answers_and_says_what_runs_it(tensorrt: Any, engine: Path, tiny_onnx: WriteOnnx) -> None:
    session = runtime_tensorrt.open_session(str(engine), {"batch": 1})
    assert session.inputs[0].dtype == "float32" and session.inputs[0].shape == (1, 3, 16, 16)
    (got,) = session.run([image()])
    np.testing.assert_allclose(got, open_session(tiny_onnx()).run([image()])[0], atol=1e-5)
    found = session.found
    assert found["runtime_version"] == tensorrt.version and found["gpu"] == "Orin" and found["cuda_driver"] == "12.6"
    assert found["activation_memory_bytes"] == 64 and "device_ms" not in found
    with pytest.raises(ValueError, match="fixes its batch at 1, and 4 was asked"):
        runtime_tensorrt.open_session(str(engine), {"batch": 4})
    with pytest.raises(ValueError, match="tensorrt has no provider"):
        runtime_tensorrt.open_session(str(engine), {"provider": "cuda"})


def test_what_is_timed_becomes_a_graph(tensorrt: Any, engine: Path) -> None:
    session = runtime_tensorrt.open_session(str(engine), {})
    step = session.prepare([image()])
    step()
    assert session.found["cuda_graph"] is False  # the first inference is plain
    step()
    step()
    found = session.found
    assert found["cuda_graph"] is True and found["device_samples"] == 3 and found["device_ms"] >= 0


def test_each_layer_of_an_engine_has_its_time(tensorrt: Any, engine: Path) -> None:
    found = profile_tensorrt.profile(runtime_tensorrt, str(engine), {}, [image()], runs=5)
    reformatting, joined, *_ = found["operators"]
    assert reformatting["op"] == "Reformatting CopyNode" and reformatting["ns"] == 1000
    assert " + PWN(" in joined["name"] and joined["ns"] == 2000
    assert found["total_ns"] == sum(one["ns"] for one in found["operators"]) and "5 inferences" in found["method"]


def test_a_profiler_that_tells_nothing_or_changes_its_mind_is_no_profile() -> None:
    assert profile_tensorrt.read([[("a", 1.0), ("a", 2.0)], [("a", 3.0), ("a", 2.0)]])["operators"] == [
        {"name": "a", "op": "a", "ns": 2_000_000},
        {"name": "a", "op": "a", "ns": 2_000_000},
    ]
    with pytest.raises(RuntimeError, match="told of no layer"):
        profile_tensorrt.read([[], []])
    with pytest.raises(RuntimeError, match="other layers from inference to inference"):
        profile_tensorrt.read([[("a", 1.0)], [("b", 1.0)]])


def test_what_cannot_be_captured_runs_plainly_and_says_so(
    tensorrt: Any, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLE_NO_CAPTURE", "1")
    session = runtime_tensorrt.open_session(str(engine), {})
    step = session.prepare([image()])
    for _ in range(3):
        step()
    assert session.found["cuda_graph"] is False
    assert "cuStreamEndCapture: operation not permitted" in session.found["cuda_graph_reason"]


def test_it_is_told_before_anything_is_loaded(tensorrt: Any, engine: Path) -> None:
    other = {**MANIFEST, "details": {"tensorrt": "99.0.0", "gpu": "Orin", "compute_capability": "8.7"}}
    Path(f"{engine}.json").write_text(json.dumps(other))
    engine.write_bytes(b"whatever is in here is not looked at")
    with pytest.raises(RuntimeError, match=re.escape("the engine was built for TensorRT 99.0.0")):
        runtime_tensorrt.open_session(str(engine), {})


def test_an_engine_of_another_release_without_a_manifest(tensorrt: Any, engine: Path) -> None:
    tensorrt.install("10.3.0" if tensorrt.major != 10 else "8.6.1")
    with pytest.raises(BackendMissing, match="built by another TensorRT or for another GPU") as caught:
        open_session(engine)
    assert caught.value.remedy.startswith("build it again on this device: ")


def test_files_that_are_no_engine(tensorrt: Any, engine: Path) -> None:
    for content in (b"", b"hello" * 100):
        engine.write_bytes(content)
        with pytest.raises(UsageError, match=r"tiny\.engine"):
            open_session(engine)


def test_without_a_driver_or_a_gpu(tensorrt: Any, engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUBLE_NO_GPU", "1")
    with pytest.raises(RuntimeError, match="the driver sees no GPU"):
        runtime_tensorrt.open_session(str(engine), {})
    monkeypatch.setenv("EDGEKIT_LIBCUDA", "/nowhere/libcuda.so")
    monkeypatch.setattr(cuda, "LIBRARIES", ())
    with pytest.raises(RuntimeError, match="no NVIDIA driver here"):
        cuda.Driver()


def test_a_call_that_fails_is_named(libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_LIBCUDA", str(libcuda))
    driver = cuda.Driver()
    with pytest.raises(RuntimeError, match="cuEventElapsedTime: not ready"):
        driver.elapsed_ms(driver.event(), driver.event())
    with pytest.raises(RuntimeError, match="too old: it has no cuFlyToTheMoon"):
        driver._call("cuFlyToTheMoon")
