"""Wide maps, of whose resize LiteRT's plain kernel answers beside the exact one: the file is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.plain_resize import plain_resize
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporting.first_fault import file_fault, first_fault
from edgekit.exporting.inner_values import inner_values
from edgekit.frontend.tracer import trace
from edgekit.ir.quantized import QuantizedGraph
from tests.exporters.small_networks import SHAPE, noise


class Wide(nn.Module):
    """A map of 12x12 made larger, or smaller."""

    def __init__(self, size: tuple[int, int], corners: bool) -> None:
        super().__init__()
        self.map, self.size, self.corners = nn.Conv2d(3, 2, 1), size, corners

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.map(x), self.size, mode="bilinear", align_corners=self.corners)


def made(size: tuple[int, int], corners: bool) -> QuantizedGraph:
    torch.manual_seed(0)
    graph = trace(Wide(size, corners).eval(), SHAPE)
    return quantize(graph, record(graph, noise()), "tflite")


def values(of: QuantizedGraph, folder: Path) -> tuple[Any, Path, list[Any], dict[str, Tensor]]:
    path, xs = folder / "n.tflite", [np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)]
    written = FORMATS["tflite"].write(WriteJob(of.graph, "int8", of), path)
    return written, path, xs, inner_values(path, of, written.inputs, xs)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("size", [(12, 300), (1, 97), (5, 7), (250, 24)])
def test_the_kernel_is_followed_to_the_integer(size: tuple[int, int], corners: bool, tmp_path: Path) -> None:
    of = made(size, corners)
    op = of.graph.ops[-1]
    _, _, _, found = values(of, tmp_path)
    want = plain_resize(op, found["map"].double())
    assert want is not None and want.shape == op.shape
    assert float((found[op.name] - want).abs().max()) <= 0.501 * of.activations[op.name].scale


def test_wide_maps_are_no_fault_and_another_resize_is(tmp_path: Path) -> None:
    of = made((12, 300), True)
    name = of.graph.ops[-1].name
    written, path, xs, found = values(of, tmp_path)
    exact = F.interpolate(found["map"], (12, 300), mode="bilinear", align_corners=True)
    assert float((found[name] - exact).abs().max()) > 3 * of.activations[name].scale
    assert file_fault(path, of, written.inputs, xs) is None
    other = F.interpolate(found["map"], (12, 300), mode="bilinear", align_corners=False)
    fault = first_fault(of, {**found, name: other}, *map(torch.from_numpy, xs))
    assert fault is not None and fault.layer == name


def test_what_is_no_bilinear_resize_is_left_alone() -> None:
    ops = trace(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2)).eval(), SHAPE).ops
    assert [plain_resize(op, torch.zeros(1)) for op in ops[1:]] == [None, None]
