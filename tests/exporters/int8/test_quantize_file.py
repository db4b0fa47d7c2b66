"""int8 in an ONNX file: what onnxruntime answers, and what it computes in integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.islands import thin_start
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from tests.exporters.small_networks import (
    NETWORKS,
    SHAPE,
    answers,
    graph_of,
    head,
    inputs,
    quantized,
    session,
    snr_db,
)


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("scheme", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_answers_like_the_simulation(name: str, scheme: str, opset: int, tmp_path: Path) -> None:
    graph, x = graph_of(name), inputs()
    made = quantized(graph, scheme)
    write(WriteJob(made.graph, "int8", made, opset=opset), tmp_path / "n.onnx")
    want, got = run(made, x), answers(tmp_path / "n.onnx", x, scheme)
    assert snr_db(want, got) > 35
    assert (want - got).abs().mean() < 0.005 * want.abs().max()


@pytest.mark.parametrize("name", ["separable", "grouped"])
def test_onnxruntime_and_the_simulation_agree_bit_for_bit(name: str, tmp_path: Path) -> None:
    graph, x = graph_of(name), inputs(64)
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    assert torch.equal(run(made, x), answers(tmp_path / "n.onnx", x))


@pytest.mark.parametrize("name", ["separable", "grouped", "residual", "fork", "segmentation"])
def test_onnxruntime_computes_in_integers_throughout(name: str, tmp_path: Path) -> None:
    made = quantized(graph_of(name), "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(tmp_path / "n.onnx", options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert not {"Gemm", "Clip", "Relu", "Add"} & set(kinds), kinds
    assert kinds["Conv"] + kinds["FusedConv"] == len(thin_start(made.graph))
    assert kinds["QuantizeLinear"] == 1
    assert kinds["DequantizeLinear"] <= 1


@pytest.mark.parametrize(("name", "few"), [("separable", ["0", "3"]), ("grouped", ["0", "3"]), ("tanh", ["0"])])
def test_the_first_convolutions_of_few_channels_stay_in_float_for_onnxruntime(name: str, few: list[str]) -> None:
    graph = graph_of(name)
    assert sorted(thin_start(graph)) == few
    made = quantized(graph, "onnxruntime")
    assert set(few) <= set(made.islands)
    assert graph.input.name not in made.activations
    assert all(name in quantized(graph, "tflite").weights for name in few)


def test_a_wide_first_convolution_is_computed_in_integers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3, groups=32), *head(32))
    assert thin_start(trace(network.eval(), SHAPE)) == frozenset()


def test_integers_are_stored_as_integers(tmp_path: Path) -> None:
    graph = graph_of("separable")
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    stored = {tensor.name: tensor for tensor in onnx.load(tmp_path / "n.onnx").graph.initializer}
    for op in graph:
        if op.name in made.weights:
            assert stored[f"{op.name}.weight"].data_type == onnx.TensorProto.INT8
            assert stored[f"{op.name}.bias"].data_type == onnx.TensorProto.INT32
    onnx.checker.check_model(str(tmp_path / "n.onnx"), full_check=True)


def test_a_free_batch(tmp_path: Path) -> None:
    graph, x = graph_of("residual"), inputs(7)
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made, dynamic_batch=True), tmp_path / "n.onnx")
    opened = session(tmp_path / "n.onnx")
    together = opened.run(None, {opened.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(together, answers(tmp_path / "n.onnx", x), atol=1e-6)


def test_int8_onnx_takes_float(tmp_path: Path) -> None:
    made = quantized(graph_of("separable"), "onnxruntime")
    with pytest.raises(UsageError, match="uint8"):
        write(WriteJob(made.graph, "int8", made, io="uint8"), tmp_path / "n.onnx")
