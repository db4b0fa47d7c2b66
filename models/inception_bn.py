"""BN-Inception: "Batch Normalization: Accelerating Deep Network Training", Ioffe and Szegedy 2015, at 224x224.

GoogLeNet with BN after every convolution and two 3x3 in place of each 5x5 (the appendix's table):

    layer     output          1x1   3x3 reduce, 3x3   double 3x3 reduce, 3x3   pool and projection
    conv1      64 x 112x112   7x7 / 2                 then max pool 3x3 / 2
    conv2     192 x 56x56     1x1 to 64, 3x3          then max pool 3x3 / 2
    3a        256 x 28x28      64     64   64          64   96                 average  32
    3b        320 x 28x28      64     64   96          64   96                 average  64
    3c / 2    576 x 14x14       -    128  160          64   96                 max, passed through
    4a        576 x 14x14     224     64   96          96  128                 average 128
    4b        576 x 14x14     192     96  128          96  128                 average 128
    4c        576 x 14x14     160    128  160         128  160                 average  96
    4d        576 x 14x14      96    128  192         160  192                 average  96
    4e / 2   1024 x 7x7         -    128  192         192  256                 max, passed through
    5a       1024 x 7x7       352    192  320         160  224                 average 128
    5b       1024 x 7x7       352    192  320         192  224                 max     128
    average pool, linear to classes
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.models.blocks import conv_bn, register
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW


class Mixed(nn.Module):
    """Four branches side by side: (N, inputs, H, W) -> (N, b1 + b3 + d3 + bp, H, W)."""

    def __init__(self, inputs: int, b1: int, r3: int, b3: int, rd: int, d3: int, bp: int, average: bool = True) -> None:
        super().__init__()
        self.one = conv_bn(inputs, b1, 1)
        self.three = nn.Sequential(conv_bn(inputs, r3, 1), conv_bn(r3, b3, 3))
        self.twice = nn.Sequential(conv_bn(inputs, rd, 1), conv_bn(rd, d3, 3), conv_bn(d3, d3, 3))
        pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False) if average else nn.MaxPool2d(3, 1, 1)
        self.pool = nn.Sequential(pool, conv_bn(inputs, bp, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.twice(x), self.pool(x)], 1)


class Reduction(nn.Module):
    """The module that halves the map: (N, inputs, H, W) -> (N, b3 + d3 + inputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, r3: int, b3: int, rd: int, d3: int) -> None:
        super().__init__()
        self.three = nn.Sequential(conv_bn(inputs, r3, 1), conv_bn(r3, b3, 3, 2))
        self.twice = nn.Sequential(conv_bn(inputs, rd, 1), conv_bn(rd, d3, 3), conv_bn(d3, d3, 3, 2))
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.three(x), self.twice(x), self.pool(x)], 1)


class BNInception(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_bn(3, 64, 7, 2),
            nn.MaxPool2d(3, 2, 1),
            conv_bn(64, 64, 1),
            conv_bn(64, 192, 3),
            nn.MaxPool2d(3, 2, 1),
        )
        self.modules3 = nn.Sequential(
            Mixed(192, 64, 64, 64, 64, 96, 32),
            Mixed(256, 64, 64, 96, 64, 96, 64),
            Reduction(320, 128, 160, 64, 96),
        )
        self.modules4 = nn.Sequential(
            Mixed(576, 224, 64, 96, 96, 128, 128),
            Mixed(576, 192, 96, 128, 96, 128, 128),
            Mixed(576, 160, 128, 160, 128, 160, 96),
            Mixed(576, 96, 128, 192, 160, 192, 96),
            Reduction(576, 128, 192, 192, 256),
        )
        self.modules5 = nn.Sequential(
            Mixed(1024, 352, 192, 320, 160, 224, 128),
            Mixed(1024, 352, 192, 320, 192, 224, 128, average=False),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.modules5(self.modules4(self.modules3(self.stem(x))))  # (N, 1024, H / 32, W / 32)
        return self.fc(self.avgpool(x).flatten(1))


def inception_bn(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """BN-Inception."""
    return BNInception(classes)


register(
    ModelSpec(
        name="inception_bn",
        family="Inception",
        paper="Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training, 2015",
        build=inception_bn,
        input_shape=(3, 224, 224),
        preprocessing=TENSORFLOW,
        published=(
            Published("Ioffe and Szegedy 2015, Figure 4, one network, one crop", 0.748, 0.9218, params=13.6e6),
            Published("Szegedy et al. 2016, Table 3, multiply-adds", macs=2.0e9, macs_unit=1e8),
        ),
    )
)
