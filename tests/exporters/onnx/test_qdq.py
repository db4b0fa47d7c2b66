"""int8 in ONNX: linear layers of more than two axes, and layers that stay in float between integers."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from tests.exporters.small_networks import SHAPE, answers, inputs, noise, quantized, snr_db


class Tokens(nn.Module):
    """Two linear layers on the places of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.wide, self.narrow = nn.Linear(32, 48), nn.Linear(48, 32)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        first, second = (y + self.narrow(torch.relu(self.wide(y)))).chunk(2, -1)
        joined: Tensor = first * second
        return joined


def graph_of_tokens() -> Graph:
    torch.manual_seed(0)
    return trace(Tokens().eval(), SHAPE)


def operators(file: Path) -> list[str]:
    """Return the kinds of what onnxruntime makes of a file."""
    return [node.op_type for node in optimized(file)]


def optimized(file: Path) -> list[onnx.NodeProto]:
    """Return the nodes that onnxruntime makes of a file's."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file.with_name("optimized.onnx"))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return list(onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_linear_layers_of_tokens_are_computed_in_integers(dynamic_batch: bool, tmp_path: Path) -> None:
    made, x = quantized(graph_of_tokens(), "onnxruntime"), inputs()
    write(WriteJob(made.graph, "int8", made, dynamic_batch=dynamic_batch), tmp_path / "n.onnx")
    assert snr_db(run(made, x), answers(tmp_path / "n.onnx", x)) > 40
    found = operators(tmp_path / "n.onnx")
    assert found.count("QGemm") == 2 and "MatMul" not in found and "Gemm" not in found


class Plus(nn.Module):
    """A map and what a convolution makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(40, 40, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv(x)
        return y


class Rows(nn.Module):
    """A linear layer on the places of a map, which stays a map."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.flatten(2).transpose(1, 2))
        return y.transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize(
    ("middle", "kept"),
    [
        ((nn.Conv2d(8, 8, 3, padding=1),), "3"),
        ((nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.ReLU()), "3"),
        ((nn.Conv2d(8, 8, 3, padding=1), nn.ReLU6()), "3"),
        ((nn.ConvTranspose2d(8, 8, 2, 2, groups=2),), "3"),
        ((Rows(),), "3.linear"),
    ],
    ids=["conv", "conv and relu", "conv and relu6", "transposed", "rows"],
)
def test_a_layer_kept_in_float_keeps_its_weights(middle: tuple[nn.Module, ...], kept: str, tmp_path: Path) -> None:
    """onnxruntime rounds them, with one scale for all, where it finds integers on both sides and a constant bias."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1), *middle, nn.Conv2d(8, 8, 1))
    graph, x = trace(network.eval(), SHAPE), inputs()
    made = quantize(graph, record(graph, noise()), "onnxruntime", keep_float=(kept,))
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    assert snr_db(run(made, x), answers(tmp_path / "n.onnx", x)) > 35
    assert "QLinearConv" in operators(tmp_path / "n.onnx")
    found = {node.op_type for node in optimized(tmp_path / "n.onnx") if node.name.startswith("3")}
    assert not found & {"QLinearConv", "QGemm", "MatMulIntegerToFloat", "QLinearMatMul"}, found


@pytest.mark.parametrize(
    "end",
    [
        (nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (nn.AvgPool2d(11), nn.Flatten()),
        (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 10), nn.LogSoftmax(1)),
        (Plus(),),
    ],
    ids=["mean", "average", "linear", "sum"],
)
def test_what_nothing_reads_in_integers_loses_no_more(end: tuple[nn.Module, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 40, 1), nn.ReLU(), *end)
    graph, x = trace(network.eval(), SHAPE), inputs()
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    nodes = onnx.load(tmp_path / "n.onnx").graph.node
    assert nodes[-1].op_type != "DequantizeLinear"
    assert snr_db(run(made, x), answers(tmp_path / "n.onnx", x)) > 60


class Tied(nn.Module):
    """Tensors of which integers are made in one operator and which another reads in float."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.layer = torch.arange(1.0, 25.0) / 24, nn.Linear(24, 24)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.layer(x.mean(1)))
        apart = torch.stack([y + self.places, y - self.places], 1)
        return apart.mean(1) * self.layer.weight + torch.exp(x[:, 0] * self.layer.bias)


def test_a_tensor_is_read_in_float_beside_its_integers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph, x = trace(Tied().eval(), SHAPE), inputs()
    made, file = quantized(graph, "onnxruntime"), tmp_path / "n.onnx"
    write(WriteJob(made.graph, "int8", made), file)
    assert any(name.name.endswith("/stored") for name in onnx.load(str(file)).graph.initializer)
    assert snr_db(torch.cat([graph.run(row[None]) for row in x]), answers(file, x)) > 25
