"""What onnxruntime joins when it optimizes a file is read as the operators that it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization as ort
import pytest

from edgekit.errors import UsageError
from edgekit.importers.onnx.reader import open_source
from tests.importers.onnx.files import Array, node, same_as_runtime, traced, weight, write
from tests.importers.onnx.test_quantized import Images, near

ROW, PLANE, MAP = (2, 8), (1, 6, 8), (1, 4, 8, 8)
OWN = {
    "filter": weight(4, 4, 3, 3),
    "four": weight(4, seed=1),
    "eight": weight(8, seed=2),
    "square": weight(8, 8, seed=3),
    "whole": np.arange(64, dtype=np.int8).reshape(8, 8) - 32,
    "step": np.linspace(0.01, 0.02, 8, dtype=np.float32),
    "zero": np.zeros(8, np.int8),
}
Case = tuple[str, str, dict[str, Any], tuple[int, ...], list[str]]
# Operator, inputs, attributes, shape of x, and what is read.
JOINED: list[Case] = [
    ("FusedConv", "x filter four", {"activation": "Relu"}, MAP, ["conv", "relu"]),
    ("FusedConv", "x filter four z", {"pads": [1] * 4, "activation": "Relu"}, MAP, ["neg", "conv", "add", "relu"]),
    ("FusedConv", "x filter", {"activation": "Clip", "activation_params": [0.0, 6.0]}, MAP, ["conv", "clip"]),
    ("FusedConv", "x filter", {"activation": "LeakyRelu", "activation_params": [0.2]}, MAP, ["conv", "leaky_relu"]),
    ("FusedConv", "x filter", {"activation": "Tanh"}, MAP, ["conv", "tanh"]),
    (
        "FusedGemm",
        "x square eight",
        {"activation": "LeakyRelu", "activation_alpha": 0.2},
        ROW,
        ["linear", "leaky_relu"],
    ),
    ("FusedGemm", "x square eight", {"transB": 1, "activation": "Sigmoid"}, ROW, ["linear", "sigmoid"]),
    ("FusedMatMul", "x x", {"transB": 1, "alpha": 0.5}, PLANE, ["permute", "matmul", "mul"]),
    ("FusedMatMul", "x x", {"transA": 1}, PLANE, ["permute", "matmul"]),
    ("Gelu", "x", {}, PLANE, ["gelu"]),
    ("BiasGelu", "x eight", {}, PLANE, ["add", "gelu"]),
    ("FastGelu", "x eight", {}, PLANE, ["add", "gelu"]),
    ("QuickGelu", "x", {"alpha": 1.0}, MAP, ["silu"]),
    ("QuickGelu", "x", {"alpha": 1.702}, MAP, ["mul", "sigmoid", "mul"]),
    ("SkipLayerNormalization", "x x eight eight", {"epsilon": 1e-5}, PLANE, ["add", "layer_norm"]),
    ("SkipLayerNormalization", "x z eight eight eight", {}, PLANE, ["neg", "add", "add", "layer_norm"]),
    ("DynamicQuantizeMatMul", "x whole step zero eight", {}, PLANE, ["linear"]),
]


def joined(path: Path, kind: str, inputs: str, attributes: dict[str, Any], shape: Sequence[int]) -> Path:
    """A file of one such operator; z is minus x."""
    names = inputs.split()
    nodes = [node("Neg", "x", "z")] if "z" in names else []
    nodes.append(node(kind, inputs, "y", domain="com.microsoft", **attributes))
    own: dict[str, Array] = {name: OWN[name] for name in names if name in OWN}
    return write(path, nodes, {"x": shape}, ["y"], own)


@pytest.mark.parametrize(("kind", "inputs", "attributes", "shape", "kinds"), JOINED)
def test_it_answers_as_in_onnxruntime(
    tmp_path: Path, kind: str, inputs: str, attributes: dict[str, Any], shape: tuple[int, ...], kinds: list[str]
) -> None:
    tolerance = 0.03 if kind.startswith("Dynamic") else 1e-5  # of what it rounds
    graph = same_as_runtime(joined(tmp_path / "net.onnx", kind, inputs, attributes, shape), tolerance)
    assert [op.kind for op in graph][1:] == kinds


def test_the_sum_under_a_normalization_is_given(tmp_path: Path) -> None:
    names = {"inputs": "x x eight eight", "attributes": {"epsilon": 1e-5}, "shape": PLANE}
    path = joined(tmp_path / "net.onnx", "SkipLayerNormalization", **names)  # type: ignore[arg-type]
    held = onnx.load(path)
    held.graph.node[0].output.extend(["", "", "total"])
    held.graph.output.append(onnx.helper.make_tensor_value_info("total", 1, None))
    onnx.save(held, path)
    assert len(same_as_runtime(path).outputs) == 2


def optimized(path: Path, level: str) -> Path:
    """What onnxruntime makes of a file."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    settings.optimized_model_filepath = str(path.with_name("optimized.onnx"))
    settings.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return path.with_name("optimized.onnx")


def test_a_file_for_one_kind_of_processor_is_refused(tmp_path: Path) -> None:
    nodes = [node("Conv", "x filter", "y", domain="com.microsoft.nchwc")]
    path = write(tmp_path / "net.onnx", nodes, {"x": MAP}, ["y"], {"filter": OWN["filter"]})
    with pytest.raises(UsageError, match="for one kind of processor: 1 operators") as caught:
        open_source(path, None)
    assert "no further than ORT_ENABLE_EXTENDED" in caught.value.remedy


def pooled(path: Path) -> Path:
    """Two convolutions, pools and probabilities."""
    nodes = [
        node("Conv", "image a", "c", pads=[1] * 4),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "m b", "d"),
        node("GlobalAveragePool", "d", "p"),
        node("Flatten", "p", "f"),
        node("Softmax", "f", "scores"),
    ]
    own = {"a": weight(16, 3, 3, 3), "b": weight(8, 16, 1, 1, seed=1)}
    return write(path, nodes, {"image": (1, 3, 16, 16)}, ["scores"], own)


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
@pytest.mark.parametrize("activations", [ort.QuantType.QUInt8, ort.QuantType.QInt8])
def test_an_optimized_file_of_integers_is_read(tmp_path: Path, level: str, activations: Any) -> None:
    options = {"quant_format": ort.QuantFormat.QDQ, "per_channel": True, "activation_type": activations}
    ort.quantize_static(pooled(tmp_path / "float.onnx"), tmp_path / "int8.onnx", Images(), **options)
    path = optimized(tmp_path / "int8.onnx", level)
    graph = traced(path)
    assert {op.kind for op in graph} >= {"conv", "max_pool", "mean", "softmax"}
    near(path, graph, 20.0)  # without VNNI onnxruntime's sums of unsigned times signed integers saturate
