"""int8 of weights that no scale fits, that are no numbers, or that are all the same."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.exporters.quantize import quantize
from edgekit.exporters.ranges import record
from edgekit.exporters.simulate import run
from tests.exporters.small_networks import (
    changed,
    graph_of,
    inputs,
    noise,
    quantized,
    snr_db,
)


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12])
def test_weights_of_any_size(size: float, scheme: str) -> None:
    graph = graph_of("segmentation")
    last = graph[graph.output]
    small = changed(graph, last.params["weight"], graph.params[last.params["weight"]] * size)
    made = quantized(small, scheme)
    assert int(made.biases[last.name].abs().max()) < 2**31 - 1
    assert run(made, inputs()).isfinite().all()


def test_weights_too_large_for_any_scale() -> None:
    graph = graph_of("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    huge = changed(graph, first.params["weight"], graph.params[first.params["weight"]] * 1e36)
    with pytest.raises(UsageError, match=first.name):
        quantize(huge, ranges, "tflite")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    graph = graph_of("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    weight = graph.params[first.params["weight"]].clone()
    weight[0, 0, 0, 0] = value
    with pytest.raises(UsageError, match=first.name):
        quantize(changed(graph, first.params["weight"], weight), ranges, "tflite")


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
def test_a_dead_channel_and_a_large_bias(scheme: str, tmp_path: Path) -> None:
    graph = graph_of("separable")
    first = next(op for op in graph if op.kind == "conv" and op.shape[1] == 16)  # in integers everywhere
    weight, bias = graph.params[first.params["weight"]].clone(), graph.params[first.params["bias"]].clone()
    weight[0], weight[1] = 0.0, 1e-14
    bias[1] = 5.0
    dead = changed(changed(graph, first.params["weight"], weight), first.params["bias"], bias)
    made = quantized(dead, scheme, "fast")
    assert int(made.biases[first.name].abs().max()) <= 2**30 * 1.02
    assert snr_db(dead.run(inputs()), run(made, inputs())) > 20
