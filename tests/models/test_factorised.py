"""The arithmetic of factorised convolution, counted on networks that are really built."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table


def counted(network: nn.Module, channels: int, size: int = 28) -> LayerTable:
    with torch.device("meta"):
        return table(trace(network.to("meta").eval(), (1, channels, size, size)))


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int], groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of its map; no bias, so that its parameters are its weights."""
    return nn.Conv2d(inputs, outputs, kernel, padding="same", groups=groups, bias=False)


@pytest.mark.parametrize("channels", [64, 256])
def test_three_3x3_see_what_a_7x7_sees_with_27_instead_of_49_weights(channels: int) -> None:
    three = counted(nn.Sequential(*[conv(channels, channels, 3) for _ in range(3)]), channels)
    one = counted(conv(channels, channels, 7), channels)
    assert (three.params, one.params) == (27 * channels**2, 49 * channels**2)
    assert three.rows[-1].receptive_field == one.rows[-1].receptive_field == 7
    assert Fraction(three.macs, one.macs) == Fraction(27, 49)


def test_two_3x3_see_what_a_5x5_sees_with_18_instead_of_25_weights() -> None:
    two, one = counted(nn.Sequential(conv(64, 64, 3), conv(64, 64, 3)), 64), counted(conv(64, 64, 5), 64)
    assert (two.params, one.params) == (18 * 64**2, 25 * 64**2)
    assert two.rows[-1].receptive_field == one.rows[-1].receptive_field == 5


@pytest.mark.parametrize(("inputs", "outputs", "kernel"), [(32, 64, 3), (512, 512, 3), (128, 256, 5)])
def test_a_depthwise_separable_convolution_costs_one_nth_and_one_dk_squared(
    inputs: int, outputs: int, kernel: int
) -> None:
    """1 / N + 1 / Dk^2 of the MACs, the map's H x W in both (Howard et al. 2017, section 3.1)."""
    whole = counted(conv(inputs, outputs, kernel), inputs)
    separable = counted(nn.Sequential(conv(inputs, inputs, kernel, inputs), conv(inputs, outputs, 1)), inputs)
    assert Fraction(separable.macs, whole.macs) == Fraction(1, outputs) + Fraction(1, kernel**2)
    assert separable.macs == (kernel**2 * inputs + inputs * outputs) * 28 * 28
    assert separable.rows[-1].receptive_field == whole.rows[-1].receptive_field == kernel


@pytest.mark.parametrize("n", [3, 5, 7])
def test_n_by_n_as_1xn_and_nx1(n: int) -> None:
    """2 / n of the weights and MACs for the same receptive field: a third is saved at 3, 71 % at 7."""
    pair = counted(nn.Sequential(conv(64, 64, (1, n)), conv(64, 64, (n, 1))), 64)
    square = counted(conv(64, 64, n), 64)
    assert Fraction(pair.params, square.params) == Fraction(pair.macs, square.macs) == Fraction(2, n)
    assert pair.rows[-1].receptive_field == square.rows[-1].receptive_field == n


class Block(nn.Module):
    """Branches side by side, concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def test_the_simplified_inception_block() -> None:
    """192 -> 256 channels: 5x5 alone; 64 of 1x1, 128 of 3x3, 64 of 5x5; the same behind 1x1 of 96 and 16."""
    alone = counted(conv(192, 256, 5), 192)
    side_by_side = counted(Block(conv(192, 64, 1), conv(192, 128, 3), conv(192, 64, 5)), 192)
    reduced = Block(
        conv(192, 64, 1),
        nn.Sequential(conv(192, 96, 1), conv(96, 128, 3)),
        nn.Sequential(conv(192, 16, 1), conv(16, 64, 5)),
    )
    bottlenecks = counted(reduced, 192)
    assert alone.rows[-1].output_shape == side_by_side.rows[-1].output_shape == bottlenecks.rows[-1].output_shape
    assert (alone.params, side_by_side.params, bottlenecks.params) == (1_228_800, 540_672, 169_984)
    assert alone.rows[-1].receptive_field == bottlenecks.rows[-1].receptive_field == 5
