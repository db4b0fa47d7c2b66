"""Faults that are put into int8 files: the layer and the cause are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.calibration import synthetic
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.pair_sums import in_kernel_order
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import integer_graph, round_values
from edgekit.exporting.first_fault import first_fault
from edgekit.exporting.inner_values import inner_values
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import NETWORKS, SHAPE, graph_of, head, inputs, quantized

SCHEMES = {"onnx": "onnxruntime", "tflite": "tflite"}


class Network(nn.Module):
    """Convolutions of several kinds, a pooling, a sum and a linear layer, all in integers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.pointwise = nn.Conv2d(32, 16, 1)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.last = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Sequential(*head(16))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = nn.functional.relu6(self.depthwise(x) * 8)
        x = self.pool(self.pointwise(x))
        y: Tensor = self.head(x + torch.tanh(self.last(x)))
        return y


def made(format: str) -> QuantizedGraph:
    torch.manual_seed(3)
    network = Network()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return quantized(fold(trace(network.eval(), SHAPE)).graph, SCHEMES[format])


def fault_of(format: str, right: QuantizedGraph, written: QuantizedGraph, folder: Path) -> Any:
    path = folder / f"n.{format}"
    found = FORMATS[format].write(WriteJob(written.graph, "int8", written), path)
    x = inputs(4).numpy()
    return first_fault(right, inner_values(path, right, found.inputs, [x]), torch.from_numpy(x))


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize("name", [*NETWORKS, "all"])
def test_a_right_file_has_no_fault(name: str, format: str, tmp_path: Path) -> None:
    right = made(format) if name == "all" else quantized(graph_of(name), SCHEMES[format])
    assert fault_of(format, right, right, tmp_path) is None


def weights(q: QuantizedGraph, layer: str, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> QuantizedGraph:
    values, scale = change(q.weights[layer].values.clone(), q.weights[layer].scale.clone())
    return replace(q, weights={**q.weights, layer: replace(q.weights[layer], values=values, scale=scale)})


def bias(q: QuantizedGraph, layer: str, change: Callable[[Tensor], Tensor]) -> QuantizedGraph:
    return replace(q, biases={**q.biases, layer: change(q.biases[layer].clone())})


def grid(q: QuantizedGraph, layer: str, **changes: Callable[[Any], Any]) -> QuantizedGraph:
    params = q.activations[layer]
    new = replace(params, **{key: change(getattr(params, key)) for key, change in changes.items()})
    return replace(q, activations={**q.activations, layer: new})


def attrs(q: QuantizedGraph, layer: str, changes: Mapping[str, Any]) -> QuantizedGraph:
    ops = tuple(op.with_(attrs={**op.attrs, **changes}) if op.name == layer else op for op in q.graph)
    return replace(q, graph=replace(q.graph, ops=ops))


def swap(tensor: Tensor, one: int, other: int) -> Tensor:
    order = list(range(len(tensor)))
    order[one], order[other] = other, one
    return tensor[order]


def doubled(scale: Tensor, channel: int) -> Tensor:
    scale[channel] *= 2
    return scale


def moved(values: Tensor, channel: int) -> Tensor:
    values[channel] += 8 * values.abs().max()
    return values


def kind(q: QuantizedGraph, layer: str, name: str, **attributes: Any) -> QuantizedGraph:
    ops = tuple(op.with_(kind=name, attrs=attributes) if op.name == layer else op for op in q.graph)
    return replace(q, graph=replace(q.graph, ops=ops))


def exchanged(q: QuantizedGraph, layer: str) -> QuantizedGraph:
    """Two output channels, with their scales and biases, in each other's place."""
    q = weights(q, layer, lambda values, scale: (swap(values, 1, 2), swap(scale, 1, 2)))
    return bias(q, layer, lambda values: swap(values, 1, 2))


SHIFTED = ((0, 2), (0, 2))
# What is done to the network that is written, the layer that must be named, and the cause.
FAULTS: dict[str, tuple[Callable[[QuantizedGraph], QuantizedGraph], str, str]] = {
    "range of a ReLU cut by half": (lambda q: grid(q, "relu", scale=lambda s: s / 2), "relu", "a range"),
    "range of a convolution cut by half": (lambda q: grid(q, "last", scale=lambda s: s / 2), "last", "a range"),
    "range of a sum cut by half": (lambda q: grid(q, "add", scale=lambda s: s / 2), "add", "a range"),
    "zero point moved by 60": (lambda q: grid(q, "pointwise", zero_point=lambda z: z + 60), "pointwise", "a range"),
    "two channels exchanged at the start": (lambda q: exchanged(q, "first"), "relu", "channels"),
    "two channels exchanged in the middle": (lambda q: exchanged(q, "pointwise"), "pointwise", "channels"),
    "two classes exchanged": (lambda q: exchanged(q, "head.2"), "head.2", "channels"),
    "bias lost at the start": (lambda q: bias(q, "first", torch.zeros_like), "relu", "a bias"),
    "bias lost in a depthwise layer": (lambda q: bias(q, "depthwise", torch.zeros_like), "relu6", "a bias"),
    "bias lost in the middle": (lambda q: bias(q, "last", torch.zeros_like), "last", "a bias"),
    "bias of one class moved": (lambda q: bias(q, "head.2", lambda b: moved(b, 3)), "head.2", "a bias"),
    "a layer half as large again": (
        lambda q: weights(q, "pointwise", lambda v, s: (v, s * 1.5)), "pointwise", "a scale",
    ),
    "one channel twice as large": (lambda q: weights(q, "last", lambda v, s: (v, doubled(s, 1))), "last", "a scale"),
    "signs turned": (lambda q: weights(q, "last", lambda v, s: (-v, s)), "last", "a scale"),
    "convolution padded at one side": (lambda q: attrs(q, "last", {"padding": SHIFTED}), "last", "padding"),
    "pooling padded at one side": (lambda q: attrs(q, "pool", {"padding": SHIFTED}), "pool", "padding"),
    "ReLU lost": (
        lambda q: kind(grid(q, "relu", scale=lambda s: 2 * s, zero_point=lambda z: z + 128), "relu", "clip",
                       min=-90.0, max=90.0), "relu", "an activation",
    ),
    "ReLU6 ends at 12": (
        lambda q: kind(grid(q, "relu6", scale=lambda s: 2 * s), "relu6", "clip", min=0.0, max=12.0),
        "relu6", "an activation",
    ),
    "inputs of the weights rolled": (
        lambda q: weights(q, "pointwise", lambda v, s: (v.roll(1, 1), s)), "pointwise", "weights",
    ),
    "kernels turned upside down": (lambda q: weights(q, "last", lambda v, s: (v.flip(2), s)), "last", "weights"),
    "another function": (lambda q: kind(q, "tanh", "sigmoid"), "tanh", "the runtime's own operator"),
}  # fmt: skip


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_wrong_layer_and_the_cause_are_named(fault: str, format: str, tmp_path: Path) -> None:
    spoil, layer, cause = FAULTS[fault]
    right = made(format)
    found = fault_of(format, right, spoil(right), tmp_path)
    assert found is not None and (found.layer, found.cause.partition(":")[0][: len(cause)]) == (layer, cause)
    assert found.steps > 2 and 0 < found.share <= 1 and layer in str(found)


def saturated(op: Op, x: Tensor, q: QuantizedGraph) -> Tensor:
    """A 1x1 convolution as AVX2 adds it: pairs of products in 16 bits, written out in numpy."""
    source, target = q.activations[op.inputs[0]], q.activations[op.name]
    codes = torch.round(x / source.scale + source.zero_point).numpy().astype(np.int64)
    rows = in_kernel_order(q.weights[op.name].values).numpy().astype(np.int64)
    products = rows[None, :, :, None, None] * codes[:, None]
    pairs = products.reshape(*products.shape[:2], -1, 2, *products.shape[3:]).sum(3)
    sums = np.clip(pairs, -(2**15), 2**15 - 1).sum(2) - source.zero_point * rows.sum(1)[:, None, None]
    sums = sums + q.biases[op.name].numpy()[:, None, None]
    steps = source.scale * q.weights[op.name].scale[:, None, None] / target.scale
    return target.fake(torch.from_numpy(sums).float() * steps * target.scale)


def test_saturation_is_named() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 1), nn.ReLU6(), *head(16))
    first, second = network[0], network[2]
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and first.bias is not None
    nn.init.ones_(first.bias)
    nn.init.uniform_(second.weight, 0.05, 0.06)
    right = quantized(fold(trace(network.eval(), SHAPE)).graph, "onnxruntime-vnni")
    x, integer, rounding = inputs(2), integer_graph(right), round_values(right)
    values: dict[str, Tensor] = {}

    def remember(op: Op, y: Tensor) -> Tensor:
        rounded = rounding(op, y)
        values[op.name] = y if rounded is None else rounded
        return values[op.name]

    integer.run(x, observe=remember)
    assert first_fault(right, values, x) is None
    wide = replace(right, activations={**right.activations, "2": right.activations["3"]})
    values["3"] = saturated(right.graph["2"], values["1"], wide)
    found = first_fault(right, values, x)
    assert found is not None and (found.layer, found.cause.partition(":")[0]) == ("3", "saturation")


class Islands(nn.Module):
    """Two inputs and outputs, tokens of as many places as channels, and float between integers."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.state = nn.Conv2d(3, 36, 3, padding=1), nn.Linear(5, 36)
        self.tokens, self.norm, self.last = nn.Linear(36, 36), nn.LayerNorm(36), nn.Conv2d(36, 36, 1)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y = self.tokens(self.map(x).flatten(2).transpose(1, 2)) + self.state(state)[:, None]
        y = self.norm(y)
        return y @ y.transpose(1, 2), self.last((y * 2).transpose(1, 2).reshape(1, 36, 6, 6))


@pytest.mark.parametrize("format", SCHEMES)
def test_several_inputs_and_what_is_beyond_the_ranges_are_no_fault(format: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = trace(Islands().eval(), (1, 3, 6, 6), (1, 5))
    drawn = synthetic((1, 3, 6, 6), TORCHVISION, 8, 0, ((1, 5),))
    made = quantize(graph, record(graph, drawn), SCHEMES[format])
    path = tmp_path / f"n.{format}"
    written = FORMATS[format].write(WriteJob(made.graph, "int8", made), path)
    xs = [3 * x[:1] for x in next(drawn.inputs(1))]
    found = inner_values(path, made, written.inputs, xs)
    assert {"tokens", "norm", "last", "matmul"} & set(found) >= {"tokens", "norm", "last"}
    assert first_fault(made, found, *map(torch.from_numpy, xs)) is None
    wrong = {**found, "tokens": found["tokens"].transpose(1, 2)}
    fault = first_fault(made, wrong, *map(torch.from_numpy, xs))
    assert fault is not None and fault.layer == "tokens"
