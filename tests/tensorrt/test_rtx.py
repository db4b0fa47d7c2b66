"""Engines built for real by TensorRT for RTX, on the processor; no GPU runs them here, and the records say so."""

from __future__ import annotations

import importlib.util
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench.links.local import LocalLink
from edgekit.bench.ondevice import cuda
from edgekit.bench.ondevice.engines import RTX, product_of
from edgekit.errors import BackendMissing, UsageError
from edgekit.exporting.command import export
from edgekit.inspection.command import inspect
from edgekit.inspection.pairs import quantized_for
from edgekit.measure.command import bench
from edgekit.records.runtime import choose
from edgekit.tensorrt.capabilities import TABLES, targets
from edgekit.tensorrt.orders import Order, Refused
from edgekit.tensorrt.python_builder import WithPython, probe
from tests.inspection.test_pairs import file as of_pairs

PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(autouse=True, scope="module")
def rtx() -> None:
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed")
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("TensorRT is installed, and goes first")
    try:
        cuda.Driver(look=True)
    except RuntimeError:
        return
    pytest.skip("this machine has a CUDA GPU, which would run the engines")


@pytest.fixture
def builder() -> WithPython:
    return WithPython(LocalLink(), probe(LocalLink(), RTX), RTX)


def exported(folder: Path, model: str, **more: Any) -> Any:
    """The only engine of an export."""
    result = export(
        model, format=["tensorrt"], out=folder, synthetic_calibration=more.get("precision") == ["int8"], **more
    )
    assert not result.failed and result.exit_code == 0
    (artifact,) = result.artifacts
    return artifact, result


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("model", "more"), [("lenet5", {}), ("mobilenet", {"alpha": 0.25, "res": 128})])
def test_an_engine_is_built_and_told_to_be_not_run(
    tmp_path: Path, model: str, more: dict[str, Any], precision: str
) -> None:
    artifact, result = exported(tmp_path, model, precision=[precision], **more)
    manifest, (row,) = artifact.manifest, result.to_json()["artifacts"]
    details, parity = manifest.details, manifest.parity
    assert parity.passed is None and parity.cosine is None and parity.n == 0
    assert row["parity"]["passed"] is None and row["parity"]["reasons"] == list(parity.reasons)
    assert parity.reasons[0].startswith("built, not run: there is no GPU here")
    assert any(note.startswith("built, not run") for note in result.notes)
    assert details["proof"]["device"] is None and details["proof"]["source"]["runtime"] == "onnxruntime"
    assert details["proof"]["source"]["parity"]["passed"] is True
    assert details["tensorrt_rtx"] and "tensorrt" not in details and "gpu" not in details
    assert details["target_gpus"] == [] and details["built_from"]["precision"] == precision
    kind = {"fp32": "float32", "fp16": "float16", "int8": "int8"}[precision]
    layers = {"lenet5": 5, "mobilenet": 28}[model]
    assert details["computed_in"] == {kind: layers} and details["weights_bytes"] < artifact.path.stat().st_size
    assert ("quantize" in details) == (precision == "int8")
    assert product_of(str(artifact.path)) == RTX and choose(artifact.path).name == RTX
    assert not list(artifact.path.parent.glob("*.onnx"))


def test_int8_keeps_its_weights_once_and_quantizes_between_kernels(tmp_path: Path) -> None:
    """Where the bytes of an int8 engine are: docs/tensorrt.md."""
    artifact, _ = exported(tmp_path, "mobilenet", alpha=0.25, res=128, precision=["int8"])
    details = artifact.manifest.details
    for half in ("quantize", "dequantize"):  # 28 pairs of weights and 30 of activations
        assert details[half]["nodes"] == 58
    assert details["dequantize"]["fused"] >= 56 and details["quantize"]["fused"] < 58
    assert details["layer_kinds"]["kgen"] >= 28


def test_the_batch_may_be_free(tmp_path: Path) -> None:
    artifact, _ = exported(tmp_path, "lenet5", precision=["fp16"], dynamic_batch=True, max_batch=4)
    assert artifact.manifest.inputs[0].shape[0] == -1


def test_ahead_for_other_gpus(tmp_path: Path) -> None:
    artifact, _ = exported(tmp_path, "lenet5", precision=["fp32"], target_gpu="8.9,sm86")
    assert artifact.manifest.details["target_gpus"] == ["8.9", "8.6"]
    assert artifact.path.name == "lenet5_32_random0_fp32_sm89_sm86.engine"
    result = export("lenet5", format=["tensorrt"], target_gpu="7.5", out=tmp_path)
    (failed,) = result.failed
    assert result.exit_code == 5 and "TensorRT for RTX" in failed.error.message
    assert "FP32 GEMM is not supported" in failed.error.message and "--target-gpu" in failed.error.remedy
    assert not list(tmp_path.rglob("*75*"))


def test_a_head_is_proved_on_the_source(tmp_path: Path) -> None:
    artifact, _ = exported(tmp_path, "lenet5", precision=["fp32"], output="softmax")
    assert artifact.manifest.details["proof"]["source"]["parity"]["passed"] is True


def test_what_would_have_to_run_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendMissing, match="--max-latency has to run the engine, and there is no GPU here"):
        export("lenet5", format=["tensorrt"], max_latency=5.0, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    artifact, _ = exported(tmp_path, "lenet5", precision=["fp32"])
    store = f"sqlite:///{tmp_path}/m.db"
    with pytest.raises(BackendMissing, match="no NVIDIA driver here") as caught:
        bench(artifact.path, preset="quick", store=store)
    assert caught.value.exit_code == 5 and "--device" in caught.value.remedy
    for other in ("tensorrt", "trtexec"):
        with pytest.raises(UsageError, match=f"was built by TensorRT for RTX, and {other} does not run it"):
            bench(artifact.path, preset="quick", store=store, runtime=other)
    manifest = Path(f"{artifact.path}.json")
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "details": {"tensorrt": "10.3.0"}}))
    with pytest.raises(UsageError, match="was built by TensorRT, and tensorrt_rtx does not run it"):
        bench(artifact.path, preset="quick", store=store, runtime="tensorrt_rtx")


def test_inspect_tells_who_built_it_and_what_it_is_made_of(tmp_path: Path) -> None:
    from edgekit.inspection.facts_engine import engine

    artifact, _ = exported(tmp_path, "lenet5", precision=["int8"])
    manifest = inspect(artifact.path).to_json()["manifest"]
    told = dict(engine(manifest["details"]))
    assert told["built by"].startswith("TensorRT for RTX 1.") and told["for GPUs of"].endswith("8.0 and newer")
    assert told["convolutions and products"] == "5 in int8" and "kgen" in told["layers"]
    assert re.fullmatch(r"16 in the file, \d+ fused away", told["QuantizeLinear"])


def test_a_file_for_onnxruntime_is_refused_by_its_node(builder: WithPython, tmp_path: Path) -> None:
    (made,) = export("lenet5", format=["onnx"], precision=["int8"], synthetic_calibration=True, out=tmp_path).artifacts
    with pytest.raises(Refused) as caught:
        builder.build(Order(made.path, tmp_path / "x.engine", "int8"), lambda stage: None)
    assert caught.value.nodes[0]["operator"] in ("QuantizeLinear", "DequantizeLinear")
    assert not (tmp_path / "x.engine").exists()


@pytest.mark.parametrize(
    ("zero", "stored"),
    [(None, np.int8), (np.int8(0), np.int8), (np.int8(0), np.uint8), (np.int16(0), np.int8), (np.int8(3), np.int8)],
)
def test_what_inspect_says_of_pairs_is_what_the_parser_does(
    builder: WithPython, tmp_path: Path, zero: Any, stored: type
) -> None:
    path = of_pairs(tmp_path / "x.onnx", zero, stored)
    refused, order = quantized_for(str(path))["tensorrt_refuses"], Order(path, tmp_path / "x.engine", "int8")
    with pytest.raises(Refused) if refused else nullcontext():
        builder.build(order, lambda stage: None)


def test_the_builder_ends_alone(builder: WithPython, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no ONNX file")
    with pytest.raises(Refused):
        builder.build(Order(tmp_path / "x.onnx", tmp_path / "x.engine", "fp32"), lambda stage: None)
    assert not (tmp_path / "x.engine").exists()


def test_the_table_has_the_targets_of_the_release() -> None:
    from edgekit.bench.ondevice.engines import load

    known = {name for name in vars(load(RTX).ComputeCapability) if name.startswith("SM")}
    assert {f"SM{one.replace('.', '')}" for one in TABLES[RTX][-1].targets} == known


@pytest.mark.parametrize(("text", "found"), [("8.6", ("8.6",)), (" SM120, 8.9,8.9", ("12.0", "8.9"))])
def test_target_gpus(text: str, found: tuple[str, ...]) -> None:
    assert targets(text) == found


@pytest.mark.parametrize("text", ["9.0", "", ",", "rtx4090", "8", "8.60"])
def test_other_target_gpus_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--target-gpu"):
        targets(text)
