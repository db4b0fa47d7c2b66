"""A quantized file that is read and written in integers again has the same integers, and the same bytes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.own_scales import own_activations, own_bias, own_weight
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import from_file, record
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import OwnIntegers, OwnLayer, QParams
from edgekit.network.names import SOURCES
from edgekit.records.formats import FORMATS, load
from tests.exporters.small_networks import NETWORKS, graph_of, noise

FILES = ("tflite", "onnx")


def read(path: Path, format: str) -> tuple[Graph, OwnIntegers, dict[str, tuple[float, float]]]:
    """The folded graph of a file, and what its integers say."""
    source = load(SOURCES[FORMATS[format].suffix])(path, None)
    assert source.integers is not None
    return fold(trace(source.build().eval(), *source.shapes.values())).graph, source.integers, dict(source.ranges)


@pytest.mark.parametrize(("name", "format"), list(itertools.product(NETWORKS, FILES)))
def test_the_same_bytes_again(name: str, format: str, tmp_path: Path) -> None:
    graph, how = graph_of(name), FORMATS[format]
    first, second = (tmp_path / f"{at}{how.suffix}" for at in ("one", "two"))
    job = WriteJob(graph=graph, precision="int8", quantized=quantize(graph, record(graph, noise(4)), how.scheme))
    how.write(job, first)
    again, own, told = read(first, format)
    quantized = quantize(again, from_file(again, told, record(again, noise(4)), own), how.scheme)
    how.write(replace(job, graph=again, quantized=quantized), second)
    assert second.read_bytes() == first.read_bytes()


def layer() -> tuple[Graph, OwnIntegers]:
    """A network whose first convolution has integers of its own, which no calibration gives."""
    graph = graph_of("separable")
    conv = graph.ops[1]
    weight = graph.tensors(conv)["weight"]
    scale = weight.abs().amax((1, 2, 3)) / 100
    bias, step = torch.arange(len(scale), dtype=torch.int32), scale * 0.5
    grids = {graph.input.name: QParams(0.5, 128, 0, 255), conv.name: QParams(0.25, 0, 0, 255)}
    return graph, OwnIntegers(grids, {conv.name: OwnLayer(scale, bias, step)})


@pytest.mark.parametrize(("scheme", "zero"), [("tflite", 0), ("onnxruntime", 128), ("tensorrt", 0)])
def test_a_grid_moves_to_the_integers_of_a_scheme(scheme: str, zero: int) -> None:
    graph, own = layer()
    known = dict.fromkeys([op.name for op in graph], QParams(1.0, 0))
    found = own_activations(graph, own, known, scheme)
    assert (found[graph.input.name].scale, found[graph.input.name].zero_point) == (0.5, zero)
    relu = graph.ops[2].name  # what is fused into the convolution has its grid
    assert (relu in found) == (scheme != "tensorrt"), "a grid from 0 on is not symmetric"


def test_weights_and_biases_keep_their_integers_where_they_can() -> None:
    graph, own = layer()
    conv = graph.ops[1]
    weight = own_weight(graph, conv, own, 0, pairs=False)
    assert weight is not None and int(weight.values.abs().max()) == 100
    assert own_weight(graph, conv, own, 0, pairs=True) is None, "two products of 100 leave 16 bits"
    fine = OwnIntegers({}, {conv.name: OwnLayer(own.layers[conv.name].scale / 2)})
    assert own_weight(graph, conv, fine, 0, pairs=False) is None, "they would need integers up to 200"
    step = own.layers[conv.name].bias_step
    assert step is not None
    bias = own_bias(conv, own, step)
    assert bias is not None and bias.tolist() == np.arange(len(step)).tolist()
    assert own_bias(conv, own, step * 1.01) is None
