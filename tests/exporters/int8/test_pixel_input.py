"""Pixels as the input's integers: exact where the kernel meets pixels, half a step of padding beside, else refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.data import calibration
from edgekit.evaluation.input import FileInput
from edgekit.exporters.int8.pixel_input import pixel_entry, response
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import layer_snr, run
from edgekit.exporting.stored_values import stored
from edgekit.ir.graph import Graph
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing, normalize

SHAPE = (1, 3, 16, 16)
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
RAW = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
Folded = Callable[[nn.Module, tuple[int, ...]], Graph]


def network(padding: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, 1, padding, groups=groups), nn.ReLU(), nn.Conv2d(6, 4, 1))


def made(graph: Graph, preprocessing: Preprocessing, effort: str = "fast") -> QuantizedGraph:
    images = calibration.synthetic(SHAPE, preprocessing, 16, 0)
    return quantize(graph, record(graph, images), "tflite", effort, pixels=preprocessing)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("preprocessing", [TENSORFLOW, RAW])
def test_the_first_layer_sees_what_the_float_network_sees(
    preprocessing: Preprocessing, groups: int, graph_of: Folded
) -> None:
    graph = graph_of(network(0, groups), SHAPE)
    q = made(graph, preprocessing)
    first = graph["0"]
    grid, weight = q.activations[graph.input.name], q.weights["0"].real()
    x = torch.from_numpy(normalize(preprocessing, PIXELS))
    integers = torch.from_numpy(PIXELS.astype(np.float32) - 128).permute(0, 3, 1, 2)
    sums = nn.functional.conv2d((integers - grid.zero_point) * grid.scale, weight, groups=groups)
    step = (q.weights["0"].scale * grid.scale).reshape(1, -1, 1, 1)
    got = sums + q.biases["0"].reshape(1, -1, 1, 1) * step
    want = nn.functional.conv2d(x, weight, graph.tensors(first)["bias"], groups=groups)
    assert bool(((got - want).abs() <= 0.5 * step + 1e-5 * want.abs().max()).all())


def test_padding_is_half_a_step_beside(graph_of: Folded) -> None:
    graph = graph_of(network(1), SHAPE)
    entry = pixel_entry(graph, (), TENSORFLOW)
    assert entry is not None and entry.grid.zero_point == 0
    torch.testing.assert_close(entry.offset, torch.full((3,), 0.5 / 127.5))
    weight = graph.tensors(graph["0"])["weight"]
    alone = nn.functional.conv2d(torch.full((1, 3, 5, 5), 0.5 / 127.5), weight)
    torch.testing.assert_close(response(graph["0"], weight, entry.offset), alone[0, :, 1, 1])


@pytest.mark.parametrize("effort", ["fast", "default"])
@pytest.mark.parametrize(("io", "low"), [("int8", -128), ("uint8", 0)])
def test_the_file_takes_pixels(io: str, low: int, effort: str, open_tflite: Any, graph_of: Folded) -> None:
    graph = graph_of(network(), SHAPE)
    q = made(graph, TENSORFLOW, effort)
    opened = open_tflite(graph, "int8", quantized=q, io=io)
    x = normalize(TENSORFLOW, PIXELS)
    want, simulated = graph.run(torch.from_numpy(x)), run(q, torch.from_numpy(x)).numpy()
    tensor, given = opened.written.inputs[0], opened.written.outputs[0]
    for image, real, expected in zip(PIXELS, x, simulated, strict=True):
        fed = FileInput(TENSORFLOW, tensor, (16, 16), 1).stored(image)
        np.testing.assert_array_equal(fed.astype(int), image.astype(int) + low)
        np.testing.assert_array_equal(fed.transpose(2, 0, 1), stored(real[None], tensor, TENSORFLOW)[0])
        got = (opened.run(fed.transpose(2, 0, 1)[None]).astype(np.float32) - given.zero_point) * given.scale
        assert np.abs(got[0] - expected).max() <= 1.01 * given.scale
    error = float((torch.from_numpy(simulated) - want).square().sum() / want.square().sum())
    assert error < 1e-3


def test_pixels_lose_less_than_rounded_values(graph_of: Folded) -> None:
    graph = graph_of(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()), SHAPE)
    x = torch.from_numpy(normalize(TENSORFLOW, PIXELS))
    ranges = record(graph, calibration.synthetic(SHAPE, TENSORFLOW, 16, 0))
    exact, rounded = (quantize(graph, ranges, "tflite", "fast", pixels=p) for p in (TENSORFLOW, None))
    want = graph.run(x)
    assert (run(exact, x) - want).square().sum() < (run(rounded, x) - want).square().sum()
    row = next(row for row in layer_snr(graph, exact, [(x.numpy(),)]) if row.name == graph.input.name)
    assert row.snr_db is None or row.snr_db > 90


@pytest.mark.parametrize(
    ("module", "preprocessing"),
    [
        (network(), TORCHVISION),  # one scale cannot serve three
        (network(1), Preprocessing(mean=(124.0, 116.0, 104.0), std=(57.0,) * 3)),  # padding would be far from zero
        (nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 1)), TENSORFLOW),  # nothing there could take up the half step
    ],
)
def test_what_cannot_be_folded_keeps_its_own_grid(
    module: nn.Module, preprocessing: Preprocessing, graph_of: Folded
) -> None:
    graph = graph_of(module, SHAPE)
    assert pixel_entry(graph, (), preprocessing) is None
    plain = quantize(graph, record(graph, calibration.synthetic(SHAPE, preprocessing, 8, 0)), "tflite", "fast")
    assert made(graph, preprocessing, "fast").input_offset is plain.input_offset is None


def test_means_that_differ_are_folded_where_nothing_is_padded(graph_of: Folded) -> None:
    graph = graph_of(network(0), SHAPE)
    caffe = Preprocessing(mean=(124.0, 116.0, 104.0), std=(57.0,) * 3)
    entry = pixel_entry(graph, (), caffe)
    assert entry is not None and entry.grid.zero_point == -14
    torch.testing.assert_close(entry.offset, torch.tensor([-10.0, -2.0, 10.0]) / 57)
    assert pixel_entry(graph, ("0",), caffe) is None  # the first layer is in float


class Divided(nn.Module):
    """A division by what is computed, last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x) / (1 + torch.sigmoid(x[:, :1]))
        return y


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("module", "kept"),
    [
        (nn.Sequential(nn.LocalResponseNorm(3), nn.Conv2d(3, 4, 1)), ()),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ELU(0.5)), ()),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((3, 5))), ()),
        (Divided(), ()),
        (network(), ("0", "1", "2")),
    ],
    ids=["lrn", "elu", "adaptive", "division", "kept"],
)
def test_float_layers_at_the_border_take_and_give_integers(
    module: nn.Module, kept: tuple[str, ...], io: str, open_tflite: Any, graph_of: Folded
) -> None:
    graph = graph_of(module, SHAPE)
    images = calibration.synthetic(SHAPE, TENSORFLOW, 16, 0)
    q = quantize(graph, record(graph, images), "tflite", keep_float=kept, pixels=TENSORFLOW)
    # Every integer layer may round one of its own steps beside, and the input where a pixel lies between two codes.
    steps = sum(grid.scale for grid in q.activations.values())
    opened = open_tflite(graph, "int8", quantized=q, io=io)
    taken, given = opened.written.inputs[0], opened.written.outputs[0]
    assert (taken.dtype, given.dtype) == (io, io)
    for x in normalize(TENSORFLOW, PIXELS):
        got = opened.run(stored(x[None], taken, TENSORFLOW)).astype(np.float32)
        expected = run(q, torch.from_numpy(x[None])).numpy()
        assert given.scale is not None
        assert np.abs((got - given.zero_point) * given.scale - expected).max() <= 1.01 * steps


def test_noise_that_is_no_pixel_is_rounded_to_one() -> None:
    tensor = TensorRecord(name="x", dtype="int8", shape=(1, 2, 2, 3), layout="NHWC", scale=1 / 127.5, zero_point=0)
    x = np.full((1, 3, 2, 2), (100.4 - 127.5) / 127.5, np.float32)
    assert set(stored(x, tensor, TENSORFLOW).reshape(-1).tolist()) == {100 - 128}
    assert stored(5 * np.ones_like(x), tensor, TENSORFLOW).max() == 127
