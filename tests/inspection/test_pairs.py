"""For whom a file with Q/DQ pairs is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.exporting.command import export
from edgekit.inspection.command import inspect
from edgekit.inspection.pairs import in_words, quantized_for
from edgekit.records.runtime import RUNTIMES, refusal


def file(path: Path, zero: Any, bias: type = np.float32, as_nodes: bool = False) -> Path:
    """A file with one pair, whose zero point is given (None: not), and a constant that is dequantized unless float32.

    `as_nodes`: constants are nodes of the file, as some exporters write them.
    """
    onnx = pytest.importorskip("onnx")
    make, of = onnx.helper, onnx.numpy_helper.from_array
    kept = [of(np.float32(0.1), "scale"), of(np.ones(4, bias), "bias")]
    kept += [] if zero is None else [of(np.asarray(zero), "zero")]
    pair = ["scale"] if zero is None else ["scale", "zero"]
    nodes = [make.make_node("Constant", [], [one.name], value=one) for one in kept] if as_nodes else []
    nodes += [
        make.make_node("QuantizeLinear", ["x", *pair], ["q"]),
        make.make_node("DequantizeLinear", ["q", *pair], ["r"]),
        make.make_node("Identity", ["bias"], ["b"])
        if bias is np.float32
        else make.make_node("DequantizeLinear", ["bias", "scale"], ["b"]),
        make.make_node("Add", ["r", "b"], ["y"]),
    ]
    given, taken = (make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy")
    graph = make.make_graph(nodes, "pairs", [given], [taken], [] if as_nodes else kept)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10), str(path))
    return path


@pytest.mark.parametrize("as_nodes", [False, True])
@pytest.mark.parametrize(
    ("zero", "bias", "refused"),
    [
        (np.int8(0), np.float32, []),
        (None, np.float32, []),
        (np.int8(3), np.float32, ["zero points that are not 0"]),
        (np.uint8(128), np.float32, ["uint8 values", "zero points that are not 0"]),
        (np.int16(0), np.float32, ["int16 values"]),
        (np.int8(0), np.int32, ["int32 biases"]),
        (np.int8(0), np.int8, []),
        (np.int8(0), np.uint8, ["uint8 values"]),
    ],
)
def test_what_tensorrt_refuses_is_found(
    tmp_path: Path, zero: Any, bias: type, refused: list[str], as_nodes: bool
) -> None:
    path = file(tmp_path / "x.onnx", zero, bias, as_nodes)
    found = quantized_for(str(path))
    assert found["tensorrt_refuses"] == refused and ("TensorRT" in found["runtimes"]) == (not refused)
    assert inspect(path).to_json()["quantized_for"] == found
    told = in_words(found)
    assert ("--format tensorrt" in told) == bool(refused) and told.startswith("onnxruntime")


def test_our_own_file_is_for_onnxruntime_and_its_export_says_so(tmp_path: Path) -> None:
    made = export("lenet5", format=["onnx"], precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path)
    plain, quantized = (inspect(one.path).to_json()["quantized_for"] for one in made.artifacts)
    assert plain is None and quantized["runtimes"] == ["onnxruntime"]
    assert quantized["tensorrt_refuses"] == ["int32 biases", "uint8 values", "zero points that are not 0"]
    assert any("TensorRT refuses" in note and "--format tensorrt" in note for note in made.notes)


def test_no_other_export_says_so(tmp_path: Path) -> None:
    made = export("lenet5", format=["onnx"], out=tmp_path)
    assert not any("TensorRT" in note for note in made.notes)


@pytest.mark.parametrize(
    "cause",
    [
        "TensorrtExecutionProvider was asked for and runs no node; CPUExecutionProvider does",
        "x.onnx: TensorRT EP failed: Non-zero zero point is not supported",
    ],
)
def test_the_remedy_of_the_provider_names_the_format(cause: str) -> None:
    assert "--format tensorrt --precision int8" in refusal("backend", cause, RUNTIMES["onnxruntime"]).remedy
