"""Faults that are put into files: the layer and the cause are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.calibration import synthetic
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.pair_sums import in_kernel_order
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import integer_graph, round_values
from edgekit.exporting.first_fault import file_fault, first_fault, in_float
from edgekit.exporting.inner_values import inner_values
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import NETWORKS, SHAPE, graph_of, head, inputs, quantized
from tests.exporting.faults import FAULTS, Attention, Convolutions, network

SCHEMES = {"onnx": "onnxruntime", "tflite": "tflite"}


@cache
def made(of: Callable[[], nn.Module], format: str) -> QuantizedGraph:
    return quantized(fold(trace(network(of), SHAPE)).graph, SCHEMES[format])


def fault_of(format: str, right: QuantizedGraph, written: QuantizedGraph, folder: Path) -> Any:
    path = folder / f"n.{format}"
    found = FORMATS[format].write(WriteJob(written.graph, "int8", written), path)
    return file_fault(path, right, found.inputs, [inputs(4 if right.graph.takes_several else 1).numpy()])


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize("name", [*NETWORKS, Convolutions, Attention])
def test_a_right_file_has_no_fault(name: str | Callable[[], nn.Module], format: str, tmp_path: Path) -> None:
    right = quantized(graph_of(name), SCHEMES[format]) if isinstance(name, str) else made(name, format)
    assert fault_of(format, right, right, tmp_path) is None


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize(("of", "fault"), FAULTS)
def test_the_first_wrong_layer_and_the_cause_are_named(
    of: Callable[[], nn.Module], fault: str, format: str, tmp_path: Path
) -> None:
    spoil, layer, cause = FAULTS[of, fault]
    right = made(of, format)
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


class Chosen(nn.Module):
    """The three largest of a map, and their places: whole numbers that a file may have others of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        values, places = self.conv(x).flatten(1).topk(3, 1)
        y: Tensor = values + places.float()
        return y


class Picked(nn.Module):
    """The places of a map with the highest scores, most of which are the same integer."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.score = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.relu(self.map(x))
        places = torch.clamp(self.score(rows), max=0.0).flatten(1).topk(20, 1)[1]
        return torch.gather(rows.flatten(2), 2, places[:, None].expand(-1, 8, -1))


class Hidden(nn.Module):
    """Attention that hides rows by minus infinity, which LiteRT's sum makes the least number there is."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.map(x).flatten(2)
        hidden = F.pad(torch.where(rows[:, 1:].mean(2) < 0, -torch.inf, 0.0), (1, 0))
        y: Tensor = (rows @ rows.transpose(1, 2) + hidden[:, None]).softmax(2) @ rows
        return y


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize("of", [Picked, Hidden])
def test_places_of_equal_integers_and_infinities_are_no_fault(
    of: Callable[[], nn.Module], format: str, tmp_path: Path
) -> None:
    right = made(of, format)
    assert fault_of(format, right, right, tmp_path) is None


FLOAT_FAULTS = [
    (Convolutions, "convolution padded at one side"),
    (Convolutions, "pooling padded at one side"),
    (Convolutions, "another function"),
    (Attention, "softmax along the other axis"),
    (Attention, "scores scaled twice"),
    (Attention, "norm without its bias"),
    (Attention, "another function between linear layers"),
]


@cache
def made_in_float(of: Callable[[], nn.Module]) -> QuantizedGraph:
    return in_float(fold(trace(network(of), SHAPE)).graph)


def float_fault(format: str, right: QuantizedGraph, written: QuantizedGraph, folder: Path) -> Any:
    path = folder / f"n.{format}"
    found = FORMATS[format].write(WriteJob(written.graph, "fp32"), path)
    return file_fault(path, right, found.inputs, [inputs(1).numpy()])


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize("of", [Convolutions, Attention, Chosen])
def test_a_right_float_file_has_no_fault(of: Callable[[], nn.Module], format: str, tmp_path: Path) -> None:
    right = made_in_float(of)
    assert float_fault(format, right, right, tmp_path) is None


@pytest.mark.parametrize("format", SCHEMES)
@pytest.mark.parametrize(("of", "fault"), FLOAT_FAULTS)
def test_the_first_wrong_layer_of_a_float_file_is_named(
    of: Callable[[], nn.Module], fault: str, format: str, tmp_path: Path
) -> None:
    spoil, layer, cause = FAULTS[of, fault]
    right = made_in_float(of)
    found = float_fault(format, right, spoil(right), tmp_path)
    assert (found.layer, found.cause.partition(":")[0][: len(cause)]) == (layer, cause)
    assert f"layer {layer} (" in str(found) and "% of the largest" in str(found)


@pytest.mark.parametrize(
    ("of", "layer", "spoil", "told"),
    [
        (Chosen, "topk/indices", lambda y: y.flip(1), "66.7% of its values; likely cause: the runtime's own operator"),
        (Convolutions, "last", lambda y: torch.where(y == y.max(), torch.nan, y), "(conv) is the first that differs"),
        (Convolutions, "last", lambda y: y + 4e-4 * y.abs().max(), "by up to 0.04% of the largest"),
    ],
)
def test_other_places_no_numbers_and_small_errors_are_faults(
    of: Callable[[], nn.Module], layer: str, spoil: Callable[[Tensor], Tensor], told: str
) -> None:
    right, x = made_in_float(of), inputs(1)
    values: dict[str, Tensor] = {}

    def keep(op: Op, y: Tensor) -> None:
        values[op.name] = y

    right.graph.run(x, observe=keep)
    assert first_fault(right, values, x) is None
    found = first_fault(right, {**values, layer: spoil(values[layer])}, x)
    assert found is not None and found.layer == layer and told in str(found)
