"""Inception v2 and v3: "Rethinking the Inception Architecture for Computer Vision", Szegedy et al. 2016, at 299x299.

    layer (torchvision's name)            v3 output        v2 output
    Conv2d_1a  3x3, 32, / 2               32 x 149x149     the same
    Conv2d_2a  3x3, 32                    32 x 147x147
    Conv2d_2b  3x3, 64, padded            64 x 147x147
    max pool 3x3 / 2                      64 x 73x73
    Conv2d_3b  1x1, 80                    80 x 73x73       3x3:           80 x 71x71
    Conv2d_4a  3x3, 192                  192 x 71x71       3x3 / 2:      192 x 35x35
    max pool 3x3 / 2                     192 x 35x35       3x3, padded:  288 x 35x35
    Mixed_5b .. 5d   figure 5            288 x 35x35       5x5 as two 3x3
    Mixed_6a         figure 10, / 2      768 x 17x17
    Mixed_6b .. 6e   figure 6, n = 7     768 x 17x17
    Mixed_7a         figure 10, / 2     1280 x 8x8
    Mixed_7b, 7c     figure 7           2048 x 8x8         1x3 and 3x1 side by side
    average pool, dropout, linear to classes

`inception_v3` is torchvision's, with its names; its weights expect inputs in [-1, 1]; its figure 5 keeps the 5x5.
`inception_v2` is the paper's Table 1, which gives the blocks and the sizes between them but not the widths inside:
those are v3's, and figure 6 four times with 128, 160, 160, 192 channels inside. The paper's 3.8 and 4.8 G multiply-adds
follow from neither.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW

PAPER = "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016"


class Conv(nn.Module):
    """Convolution, BN, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Any, stride: int = 1, padding: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


def row(inputs: int, outputs: int, n: int) -> Conv:
    """1 x n."""
    return Conv(inputs, outputs, (1, n), padding=(0, n // 2))


def column(inputs: int, outputs: int, n: int) -> Conv:
    """n x 1."""
    return Conv(inputs, outputs, (n, 1), padding=(n // 2, 0))


class Figure5(nn.Module):
    """(N, inputs, 35, 35) -> (N, 224 + pooled, 35, 35). `factorised`: the 5x5 is two 3x3."""

    def __init__(self, inputs: int, pooled: int, factorised: bool = False) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 64, 1)
        self.branch5x5_1 = Conv(inputs, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 3, padding=1) if factorised else Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.branch_pool = Conv(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(self.pool(x))], 1)


class Reduction6(nn.Module):
    """(N, 288, 35, 35) -> (N, 768, 17, 17)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(inputs, 384, 3, 2)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, 2)
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, self.pool(x)], 1)


class Figure6(nn.Module):
    """7x7 as 1x7 and 7x1: (N, inputs, 17, 17) -> (N, 768, 17, 17)."""

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 192, 1)
        self.branch7x7_1 = Conv(inputs, inner, 1)
        self.branch7x7_2 = row(inner, inner, 7)
        self.branch7x7_3 = column(inner, 192, 7)
        self.branch7x7dbl_1 = Conv(inputs, inner, 1)
        self.branch7x7dbl_2 = column(inner, inner, 7)
        self.branch7x7dbl_3 = row(inner, inner, 7)
        self.branch7x7dbl_4 = column(inner, inner, 7)
        self.branch7x7dbl_5 = row(inner, 192, 7)
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(self.pool(x))], 1)


class Reduction7(nn.Module):
    """(N, 768, 17, 17) -> (N, 1280, 8, 8)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(inputs, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, 2)
        self.branch7x7x3_1 = Conv(inputs, 192, 1)
        self.branch7x7x3_2 = row(192, 192, 7)
        self.branch7x7x3_3 = column(192, 192, 7)
        self.branch7x7x3_4 = Conv(192, 192, 3, 2)
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), self.pool(x)], 1)


class Figure7(nn.Module):
    """1x3 and 3x1 side by side: (N, inputs, 8, 8) -> (N, 2048, 8, 8)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 320, 1)
        self.branch3x3_1 = Conv(inputs, 384, 1)
        self.branch3x3_2a = row(384, 384, 3)
        self.branch3x3_2b = column(384, 384, 3)
        self.branch3x3dbl_1 = Conv(inputs, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row(384, 384, 3)
        self.branch3x3dbl_3b = column(384, 384, 3)
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self.pool(x)),
        ]
        return torch.cat(branches, 1)


class AuxiliaryHead(nn.Module):
    """A classifier on the last 17x17 map, for training only: (N, inputs, 17, 17) -> (N, classes)."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, 3)
        self.conv0 = Conv(inputs, 128, 1)
        self.conv1 = Conv(128, 768, 5)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(self.average(x).flatten(1))


class InceptionV3(nn.Module):
    """(N, 3, H, W) -> (N, classes); in training also the auxiliary head's. `v2` as the module says."""

    def __init__(self, classes: int, v2: bool) -> None:
        super().__init__()
        stem = 288 if v2 else 192
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        if v2:
            self.rest_of_stem = nn.Sequential(Conv(64, 80, 3), Conv(80, 192, 3, 2), Conv(192, 288, 3, padding=1))
        else:
            self.Conv2d_3b_1x1 = Conv(64, 80, 1)
            self.Conv2d_4a_3x3 = Conv(80, 192, 3)
            self.maxpool2 = nn.MaxPool2d(3, 2)
        self.v2 = v2
        self.Mixed_5b = Figure5(stem, 64 if v2 else 32, factorised=v2)
        self.Mixed_5c = Figure5(288 if v2 else 256, 64, factorised=v2)
        self.Mixed_5d = Figure5(288, 64, factorised=v2)
        self.Mixed_6a = Reduction6(288)
        self.Mixed_6b = Figure6(768, 128)
        self.Mixed_6c = Figure6(768, 160)
        self.Mixed_6d = Figure6(768, 160)
        self.Mixed_6e = Figure6(768, 192)
        self.AuxLogits = AuxiliaryHead(768, classes)
        self.Mixed_7a = Reduction7(768)
        self.Mixed_7b = Figure7(1280)
        self.Mixed_7c = Figure7(2048)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))  # (N, 64, 73, 73)
        x = self.rest_of_stem(x) if self.v2 else self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))  # (N, 768, 17, 17)
        x = middle = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (N, 2048, 8, 8)
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return (x, self.AuxLogits(middle)) if self.training else x


def inception_v2(resolution: int = 299, classes: int = 1000) -> nn.Module:
    """Table 1 of the paper."""
    return InceptionV3(classes, v2=True)


def inception_v3(resolution: int = 299, classes: int = 1000) -> nn.Module:
    """torchvision's inception_v3."""
    return InceptionV3(classes, v2=False)


register(
    ModelSpec(
        name="inception_v2",
        family="Inception",
        paper=PAPER,
        build=inception_v2,
        input_shape=(3, 299, 299),
        min_resolution=75,
        training_only=("AuxLogits.",),
        preprocessing=TENSORFLOW,
        published=(Published("Szegedy et al. 2016, Table 3, one network, one crop", top1=0.766, macs=3.8e9),),
    )
)
register(
    ModelSpec(
        name="inception_v3",
        family="Inception",
        paper=PAPER,
        build=inception_v3,
        input_shape=(3, 299, 299),
        min_resolution=75,
        training_only=("AuxLogits.",),
        preprocessing=TENSORFLOW,
        published=(
            Published("Szegedy et al. 2016, Table 3, one network, one crop", top1=0.788, top5=0.944, macs=4.8e9),
            # torchvision counts the auxiliary head, which is not there at inference.
            Published("torchvision IMAGENET1K_V1", 0.77294, 0.93450, 5.71e9, 27_161_264),
        ),
    )
)
