"""FractalNet: "FractalNet: Ultra-Deep Neural Networks without Residuals", Larsson et al. 2017; the CIFAR network.

Five blocks of three columns, each block followed by a 2x2 / 2 max pool, so that 32x32 ends in 1x1:

    block      1       2       3      4      5
    channels   64     128     256    512    512
    map        32x32  16x16   8x8    4x4    2x2

A block is f_3 of the rule f_1 = conv, f_{C+1} = join(f_C after f_C, conv); joins that follow each other are one:

    a1 ---------------------.
    b1 ----- join --- b2 --- join
    c1 - c2 -'  `- c3 - c4 -'

A join is the mean of its inputs; in training local drop-path leaves each input out with 15 %, but never all of them.
Convolutions are 3x3 with BN and ReLU. With `columns="deepest"` only the c column is left, a plain network.
"""

from __future__ import annotations

import random

from torch import Tensor, nn

from edgekit.models.blocks import CIFAR, conv_bn, only_resolution, register
from edgekit.network.spec import ModelSpec, Published

CHANNELS = (64, 128, 256, 512, 512)
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)
DROP_PATH = 0.15


class Join(nn.Module):
    """The mean of maps of one shape."""

    def forward(self, *maps: Tensor) -> Tensor:
        kept = list(maps)
        if self.training:
            kept = [x for x in maps if random.random() >= DROP_PATH] or [random.choice(maps)]
        total = kept[0]
        for x in kept[1:]:
            total = total + x
        return total / len(kept)


class FractalBlock(nn.Module):
    """Three columns: (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.a1 = conv_bn(inputs, outputs, 3)
        self.b1 = conv_bn(inputs, outputs, 3)
        self.b2 = conv_bn(outputs, outputs, 3)
        self.c1 = conv_bn(inputs, outputs, 3)
        self.c2 = conv_bn(outputs, outputs, 3)
        self.c3 = conv_bn(outputs, outputs, 3)
        self.c4 = conv_bn(outputs, outputs, 3)
        self.join = Join()

    def forward(self, x: Tensor) -> Tensor:
        middle = self.join(self.b1(x), self.c2(self.c1(x)))
        return self.join(self.a1(x), self.b2(middle), self.c4(self.c3(middle)))


class DeepestColumn(nn.Module):
    """The c column alone: (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.c1 = conv_bn(inputs, outputs, 3)
        self.c2 = conv_bn(outputs, outputs, 3)
        self.c3 = conv_bn(outputs, outputs, 3)
        self.c4 = conv_bn(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.c4(self.c3(self.c2(self.c1(x))))


class FractalNet(nn.Module):
    """(N, 3, 32, 32) -> (N, classes)."""

    def __init__(self, classes: int, columns: str) -> None:
        super().__init__()
        block = FractalBlock if columns == "all" else DeepestColumn
        blocks: list[nn.Module] = []
        inputs = 3
        for outputs, dropout in zip(CHANNELS, DROPOUT, strict=True):
            blocks += [block(inputs, outputs), nn.Dropout(dropout), nn.MaxPool2d(2)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x).flatten(1)  # (N, 512)
        return self.fc(x)


def fractalnet(resolution: int = 32, classes: int = 10, columns: str = "all") -> nn.Module:
    """FractalNet of 20 convolutions in depth, or with `columns="deepest"` its deepest column; 32x32 only."""
    only_resolution("fractalnet", resolution, 32)
    return FractalNet(classes, columns)


register(
    ModelSpec(
        name="fractalnet",
        family="FractalNet",
        paper="Larsson, Maire and Shakhnarovich, FractalNet: Ultra-Deep Neural Networks without Residuals, 2017",
        build=fractalnet,
        input_shape=(3, 32, 32),
        classes=10,
        fixed_resolution=True,
        options={"columns": ("all", "deepest")},
        preprocessing=CIFAR,
        published=(
            Published("Larsson et al. 2017, Table 1, CIFAR-10+ with drop-path and dropout", top1=0.9540, params=38.6e6),
        ),
    )
)
