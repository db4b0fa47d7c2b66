"""Functions whose integers are prescribed, and what onnxruntime makes of our pairs, against the pairs in float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from tests.exporters.small_networks import quantized, snr_db

WANTED = {"softmax": (1 / 256, 0.0), "sigmoid": (1 / 256, 0.0), "tanh": (1 / 128, -1.0)}


class Between(nn.Module):
    """A function between two convolutions, behind a reshape where `flat`."""

    def __init__(self, function: nn.Module, flat: bool = False) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.function, self.flat = function, flat

    def forward(self, x: Tensor) -> Tensor:
        x = self.function(self.before(x))
        y: Tensor = self.after(x.flatten(2).reshape(x.shape) if self.flat else x)
        return y


def made(function: nn.Module, scheme: str, flat: bool = False) -> Any:
    torch.manual_seed(0)
    return quantized(trace(Between(function, flat).eval(), (1, 3, 24, 24)), scheme)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("scheme", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("function", [nn.Softmax(1), nn.Sigmoid(), nn.Tanh()])
def test_fixed_functions_have_fixed_scales(function: nn.Module, scheme: str, flat: bool) -> None:
    found = made(function, scheme, flat)
    kind = type(function).__name__.lower()
    scale, least = WANTED[kind]
    names = [op.name for op in found.graph if op.kind in (kind, "reshape")]
    assert len(names) == (3 if flat else 1)
    for name in names:
        params = found.activations[name]
        assert (params.scale, (params.low - params.zero_point) * params.scale) == (scale, least)
    assert found.graph.output not in names


# Kinds that onnxruntime joins with the pairs around them, or moves in integers.
JOINED: dict[str, nn.Module] = {
    "softmax": nn.Softmax(1),
    "softmax of a row": nn.Softmax(3),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "leaky relu": nn.LeakyReLU(0.2),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardswish": nn.Hardswish(),
    "elu": nn.ELU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "max pool": nn.MaxPool2d(3, 1, 1),
    "avg pool": nn.AvgPool2d(3, 1, 1),
    "avg pool without padding": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "global avg pool": nn.AdaptiveAvgPool2d(1),
    "upsample": nn.Upsample(scale_factor=2),
    "pad": nn.ZeroPad2d(1),
    "pad and max pool": nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 1)),
    "local response": nn.LocalResponseNorm(5),
}


def answers(path: Path, x: Tensor, level: Any) -> Tensor:
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = level
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return torch.from_numpy(np.concatenate([session.run(None, {"x": row[None].numpy()})[0] for row in x]))


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("name", JOINED)
def test_what_onnxruntime_joins_is_what_the_pairs_mean(name: str, opset: int, tmp_path: Path) -> None:
    found = made(JOINED[name], "onnxruntime")
    write(WriteJob(found.graph, "int8", found, opset=opset), tmp_path / "n.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "n.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    x = torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    levels = onnxruntime.GraphOptimizationLevel
    joined, plain = (
        answers(tmp_path / "n.onnx", x, level) for level in (levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL)
    )
    step = found.activations[found.graph.output].scale
    off = (joined - plain).abs() / step
    assert float(off.max()) < 2.5 and float((off > 0.5).float().mean()) < 0.02


class Detector(nn.Module):
    """Boxes in pixels and scores, joined; turned into rows where `turned`."""

    def __init__(self, size: float, turned: bool) -> None:
        super().__init__()
        self.stem, self.boxes, self.scores = nn.Conv2d(3, 16, 3, 4), nn.Conv2d(16, 4, 1), nn.Conv2d(16, 6, 1)
        self.size, self.turned = size, turned

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        boxes, scores = self.boxes(x).sigmoid() * self.size, self.scores(x).sigmoid()
        y = torch.cat([boxes.flatten(2), scores.flatten(2)], 1)
        return y.transpose(1, 2) if self.turned else y


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("scheme", ["onnxruntime", "tflite"])
def test_outputs_that_join_different_ranges_stay_in_float(scheme: str, turned: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    for size, apart in ((240.0, True), (3.0, False)):
        graph = trace(Detector(size, turned).eval(), (1, 3, 24, 24))
        found = quantized(graph, scheme)
        reasons = {graph[name].kind: reason for name, reason in found.islands.items()}
        assert ("cat" in reasons and "differ" in reasons["cat"]) == apart
        want, got = graph.run(x), run(found, x)
        want, got = (y.transpose(1, 2) if turned else y for y in (want, got))
        assert apart == (graph.output not in found.activations)
        assert snr_db(want[:, 4:], got[:, 4:]) > 25


@pytest.mark.parametrize("scheme", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("function", [nn.Sigmoid(), nn.Tanh()])
def test_values_that_a_fixed_scale_would_ruin_have_another(function: nn.Module, scheme: str) -> None:
    torch.manual_seed(0)
    network, least = Between(function), torch.full((8,), -5.0 if isinstance(function, nn.Sigmoid) else 0.0)
    with torch.no_grad():
        network.before.weight *= 0.1
        network.before.bias = nn.Parameter(least)
    graph, x = trace(network.eval(), (1, 3, 24, 24)), torch.randn(6, 3, 24, 24)
    found = quantized(graph, scheme)
    assert found.activations["function"].scale < 1 / 512
    assert ("function" in found.islands) == (scheme == "tflite" or isinstance(function, nn.Tanh))
    assert snr_db(graph.run(x), run(found, x)) > 19
