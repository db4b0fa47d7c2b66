"""int8 of weights that no scale fits, that are no numbers, or that are all the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.ir.graph import Graph
from tests.exporters.small_networks import SHAPE, changed, inputs, noise, quantized, snr_db
from tests.exporters.small_networks import graph_of as network


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12])
def test_weights_of_any_size(size: float, scheme: str) -> None:
    graph = network("segmentation")
    last = graph[graph.output]
    small = changed(graph, last.params["weight"], graph.params[last.params["weight"]] * size)
    made = quantized(small, scheme)
    assert int(made.biases[last.name].abs().max()) < 2**31 - 1
    assert run(made, inputs()).isfinite().all()


def test_weights_too_large_for_any_scale() -> None:
    graph = network("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    huge = changed(graph, first.params["weight"], graph.params[first.params["weight"]] * 1e36)
    with pytest.raises(UsageError, match=first.name):
        quantize(huge, ranges, "tflite")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    graph = network("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    weight = graph.params[first.params["weight"]].clone()
    weight[0, 0, 0, 0] = value
    with pytest.raises(UsageError, match=first.name):
        quantize(changed(graph, first.params["weight"], weight), ranges, "tflite")


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
def test_a_dead_channel_and_a_large_bias(scheme: str, tmp_path: Path) -> None:
    graph = network("separable")
    first = next(op for op in graph if op.kind == "conv" and op.shape[1] == 16)  # in integers everywhere
    weight, bias = graph.params[first.params["weight"]].clone(), graph.params[first.params["bias"]].clone()
    weight[0], weight[1] = 0.0, 1e-14
    bias[1] = 5.0
    dead = changed(changed(graph, first.params["weight"], weight), first.params["bias"], bias)
    made = quantized(dead, scheme, "fast")
    assert int(made.biases[first.name].abs().max()) <= 2**30 * 1.02
    assert snr_db(dead.run(inputs()), run(made, inputs())) > 20


class After(nn.Module):
    """A function between a sigmoid and a convolution."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.behind = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.behind(self.function(torch.sigmoid(self.before(x))))
        return y


@pytest.mark.parametrize(
    ("kind", "function", "step"),
    [
        ("scale", nn.BatchNorm2d(4), 0.2 / 127),
        ("hardswish", F.hardswish, 1.0),
        ("add", lambda x: x + torch.tanh(x), 1.0),
        ("sub", lambda x: x - 0.5, 1.0),
        ("mul", lambda x: x * torch.tanh(x), 1 / 128),
        ("div", lambda x: x / 3, 1 / 3 / 127),
        ("mean", lambda x: x.mean((2, 3), keepdim=True), 1.0),
        ("avg_pool", nn.AvgPool2d(2), 1.0),
    ],
)
def test_a_range_far_narrower_than_what_comes_in(
    kind: str,
    function: Callable[[Tensor], Tensor],
    step: float,
    graph_of: Callable[[nn.Module, tuple[int, ...]], Graph],
    open_tflite: Any,
) -> None:
    """What dead channels leave behind; runtimes refuse too large a multiplier, or end the process."""
    graph = graph_of(After(function), SHAPE)
    (op,) = [op for op in graph if op.kind == kind]
    ranges = record(graph, noise())
    low, high = ranges.extremes[op.name]
    narrow = replace(ranges, extremes={**ranges.extremes, op.name: (low * 1e-6, high * 1e-6)})
    made = quantize(graph, narrow, "tflite")
    assert made.activations[op.name].scale >= 0.99 * step / 256 / 128  # 1/256: what comes in is a sigmoid
    opened = open_tflite(graph, "int8", quantized=made)
    assert np.isfinite(opened.run(inputs(1).numpy())).all()
