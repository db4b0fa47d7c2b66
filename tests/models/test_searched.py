"""Networks that a search found: counts of their authors' own definitions, and names that published weights rely on."""

from __future__ import annotations

import json
from typing import cast

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table
from edgekit.models.nasnet import CellNetwork, DepthwisePointwise, Halved, Pool
from edgekit.network.spec import variant
from tests.paths import GOLDENS


def counted(name: str) -> LayerTable:
    point = variant(name)
    with torch.device("meta"):
        network = point.build()
    return table(trace(network, point.input_shape))


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("nasnet_mobile_224", 5_289_978, 563_638_816),  # TF-slim's nasnet_utils and pnasnet, counted by their rules
        ("nasnet_large_331", 88_753_150, 23_783_414_658),
        ("pnasnet_mobile_224", 5_064_487, 587_293_200),
        ("pnasnet_large_331", 86_057_668, 24_937_395_792),
        ("darts_224", 4_718_752, 529_911_552),  # the authors' own code with DARTS_V2, without its auxiliary head
        ("darts_cifar_32", 3_349_342, 528_359_040),
    ],
)
def test_independent_counts(name: str, params: int, macs: int) -> None:
    """What test_every_network holds the networks against is what was counted without them."""
    accepted = json.loads((GOLDENS / "networks.json").read_text())[name]
    assert (accepted["params"], accepted["macs"]) == (params, macs)


@pytest.mark.parametrize(
    ("name", "sizes", "channels"),
    [
        ("nasnet_mobile", [56, 28, *[28] * 4, 14, *[14] * 4, 7, *[7] * 4], 1056),
        ("pnasnet_mobile", [56, 28, *[28] * 3, *[14] * 3, *[7] * 3], 1080),
        ("darts", [*[28] * 4, *[14] * 5, *[7] * 5], 768),
        ("darts_cifar", [*[32] * 6, *[16] * 7, *[8] * 7], 576),
    ],
)
def test_cells_have_the_sizes_of_the_papers(name: str, sizes: list[int], channels: int) -> None:
    rows = [row for row in counted(name).rows if row.op == "cat"]
    cells = [row.output_shape for row in rows if row.name.count(".") == 2]  # a cell's own, not those that halve in it
    assert [shape[2] for shape in cells] == sizes
    assert cells[-1][1] == channels


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (7, 2)])
def test_depthwise_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    """Each output is the sum over the window that starts where SAME says."""
    layer = DepthwisePointwise(1, 1, kernel, stride, size)
    for weight in layer.parameters():
        nn.init.ones_(weight)
    x = torch.rand(1, 1, size, size)
    steps = -(-size // stride)
    low = max((steps - 1) * stride + kernel - size, 0) // 2
    padded = F.pad(x, (low, kernel, low, kernel))
    wanted = padded.unfold(2, kernel, stride).unfold(3, kernel, stride)[:, :, :steps, :steps].sum((4, 5))
    torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_counts_for_nothing_in_a_pool(size: int, stride: int) -> None:
    x = torch.rand(1, 1, size, size) - 2  # below zero, as what a pool reads may be
    low = max((-(-size // stride) - 1) * stride + 3 - size, 0) // 2
    starts = range(-low, size - 1 if stride == 2 else size - low, stride)
    windows = [[x[0, 0, max(i, 0) : i + 3, max(j, 0) : j + 3] for j in starts] for i in starts]
    for kind, reduce in (("max", torch.amax), ("avg", torch.mean)):
        wanted = torch.tensor([[float(reduce(window)) for window in row] for row in windows])
        torch.testing.assert_close(Pool(kind, 1, 1, stride, size)(x)[0, 0], wanted)


@pytest.mark.parametrize("size", [5, 6])
def test_halving_reads_every_second_pixel_and_its_neighbor(size: int) -> None:
    layer = Halved(1, 3, size).eval()  # an odd width: the second half has one more
    for weight in (layer.conv1.weight, layer.conv2.weight):
        nn.init.ones_(weight)
    x = torch.rand(1, 1, size, size)
    y = layer(x)[0] * (1 + 1e-3) ** 0.5  # of a fresh BN
    torch.testing.assert_close(y[0], x[0, 0, ::2, ::2])
    shifted = F.pad(x[0, 0], (0, 1, 0, 1))[1::2, 1::2]
    torch.testing.assert_close(y[1], shifted)
    torch.testing.assert_close(y[2], shifted)


def test_the_large_nasnet_reads_past_a_reductions_input() -> None:
    with torch.device("meta"):
        networks = [variant(name).build() for name in ("nasnet_mobile", "nasnet_large")]
    further = [
        {n: step.second for n, step in enumerate(cast(CellNetwork, network).steps) if step.second != 2}
        for network in networks
    ]
    assert further == [{}, {9: 3, 16: 3}]  # of cells 8 and 15, the reductions


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("darts", "stem0.3.weight", (48, 24, 3, 3)),
        ("darts", "cells.4._ops.0.weight", None),
        ("darts", "cells.5.preprocess0.conv_2.weight", (48, 192, 1, 1)),
        ("darts", "cells.13._ops.7.op.1.weight", (192, 1, 3, 3)),
        ("darts_cifar", "cells.0.preprocess0.op.1.weight", (36, 108, 1, 1)),
        ("darts_cifar", "classifier.weight", (10, 576)),
    ],
)
def test_names_are_those_of_published_weights(name: str, key: str, shape: tuple[int, ...] | None) -> None:
    with torch.device("meta"):
        found = variant(name).build().state_dict().get(key)
    assert (None if found is None else tuple(found.shape)) == shape
