"""DARTS' found network: "DARTS: Differentiable Architecture Search", Liu et al. 2019; the second-order genotype.

A cell reads the map before the last one (0) and the last one (1), each brought to the cell's width C by ReLU, 1x1, BN.
Four sums of pairs follow, 2 to 5, which it puts out side by side, 4 C channels:

    normal cell    2 = sep3(0) + sep3(1)        reduction cell    2 = max(0) + max(1)      what reads 0 or 1
                   3 = sep3(0) + sep3(1)                          3 = skip(2) + max(1)     has stride 2
                   4 = sep3(1) + skip(0)                          4 = max(0) + skip(2)
                   5 = skip(0) + dil3(2)                          5 = skip(2) + max(1)

sep3 is twice ReLU, depthwise 3x3, 1x1, BN; dil3 once, its depthwise 3x3 with dilation 2; max is 3x3. A map of twice the
size is halved by two 1x1 / 2 side by side, the second of them one pixel further down and to the right.

    darts_cifar   32x32    conv 3x3, 108                     20 cells of C = 36, 72 from the 7th, 144 from the 14th
    darts         224x224  conv 3x3 / 2, 24; 3x3 / 2, 48 (map 0); 3x3 / 2, 48 (map 1)
                                                             14 cells of C = 48, 96 from the 5th, 192 from the 10th
    then average pool, linear to classes; the 7th and 14th, the 5th and 10th are the reduction cells

Names of parameters are the authors'. What is there in training only is left out: their auxiliary head, and the dropping
of paths. Their code takes maps of even sizes only; an odd one is halved here as NASNet does it, with zeros behind.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.models.blocks import CIFAR, register
from edgekit.network.spec import ModelSpec, Published

PAPER = "Liu, Simonyan and Yang, DARTS: Differentiable Architecture Search, 2019"
# The operation and the map that it reads; two and two are a pair.
NORMAL = (
    *(("sep3", 0), ("sep3", 1)),
    *(("sep3", 0), ("sep3", 1)),
    *(("sep3", 1), ("skip", 0)),
    *(("skip", 0), ("dil3", 2)),
)
REDUCTION = (
    *(("max", 0), ("max", 1)),
    *(("skip", 2), ("max", 1)),
    *(("max", 0), ("skip", 2)),
    *(("skip", 2), ("max", 1)),
)


class ReLUConvBN(nn.Module):
    """ReLU, 1x1, BN."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def separable(channels: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """ReLU, depthwise 3x3, 1x1, BN."""
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


class Separable(nn.Module):
    """`count` depthwise separable convolutions after each other, the first with `stride`."""

    def __init__(self, channels: int, stride: int, count: int, dilation: int = 1) -> None:
        super().__init__()
        layers = [layer for n in range(count) for layer in separable(channels, 1 if n else stride, dilation)]
        self.op = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class FactorizedReduce(nn.Module):
    """Two 1x1 / 2 side by side: (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), rounded up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        odd = [size % 2 for size in x.shape[2:]]
        behind = F.pad(x, (0, odd[1], 0, odd[0])) if any(odd) else x
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(behind[:, :, 1:, 1:])], 1))


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """One half of a pair."""
    if name == "skip":
        return FactorizedReduce(channels, channels) if stride == 2 else nn.Identity()
    if name == "max":
        return nn.MaxPool2d(3, stride, 1)
    return Separable(channels, stride, 2) if name == "sep3" else Separable(channels, stride, 1, dilation=2)


class Cell(nn.Module):
    """Sums of pairs over two maps, of `before` and `last` channels; `after_reduction`: the first is twice as large."""

    def __init__(self, before: int, last: int, width: int, reduction: bool, after_reduction: bool) -> None:
        super().__init__()
        self.preprocess0 = (FactorizedReduce if after_reduction else ReLUConvBN)(before, width)
        self.preprocess1 = ReLUConvBN(last, width)
        operations = REDUCTION if reduction else NORMAL
        self._ops = nn.ModuleList(
            operation(name, width, 2 if reduction and index < 2 else 1) for name, index in operations
        )
        self._reads = [index for _, index in operations]

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        maps = [self.preprocess0(before), self.preprocess1(last)]
        for n in range(0, len(self._reads), 2):
            left, right = (self._ops[i](maps[self._reads[i]]) for i in (n, n + 1))
            maps.append(left + right)
        return torch.cat(maps[2:], 1)


def cells(count: int, width: int, stem: int, halved: bool) -> nn.ModuleList:
    """`count` cells after a stem of `stem` channels, a third each of 1, 2 and 4 times `width`.

    `halved`: the stem's last map is half as large as the one before it.
    """
    made = nn.ModuleList()
    before, last = stem, stem
    for index in range(count):
        reduction = index in (count // 3, 2 * count // 3)
        width *= 1 + reduction
        made.append(Cell(before, last, width, reduction, halved))
        before, last, halved = last, 4 * width, reduction
    return made


class DartsCifar(nn.Module):
    """(N, 3, 32, 32) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 108, 3, padding=1, bias=False), nn.BatchNorm2d(108))
        self.cells = cells(20, 36, 108, halved=False)
        self.classifier = nn.Linear(4 * 144, classes)

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(last.mean((2, 3)))


class Darts(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem0 = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, 2, 1, bias=False),
            nn.BatchNorm2d(48),
        )
        self.stem1 = nn.Sequential(nn.ReLU(), nn.Conv2d(48, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48))
        self.cells = cells(14, 48, 48, halved=True)
        self.classifier = nn.Linear(4 * 192, classes)

    def forward(self, x: Tensor) -> Tensor:
        before = self.stem0(x)  # (N, 48, H / 4, W / 4)
        last = self.stem1(before)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(last.mean((2, 3)))


def darts_cifar(resolution: int = 32, classes: int = 10) -> nn.Module:
    """The network of 20 cells for CIFAR-10."""
    return DartsCifar(classes)


def darts(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """The network of 14 cells for ImageNet."""
    return Darts(classes)


register(
    ModelSpec(
        name="darts_cifar",
        family="DARTS",
        paper=PAPER,
        build=darts_cifar,
        input_shape=(3, 32, 32),
        classes=10,
        preprocessing=CIFAR,
        published=(
            Published(
                "Liu et al. 2019, Table 1, second order, CIFAR-10 with cutout",
                top1=0.9724,
                params=3.3e6,
            ),
        ),
    )
)
register(
    ModelSpec(
        name="darts",
        family="DARTS",
        paper=PAPER,
        build=darts,
        input_shape=(3, 224, 224),
        published=(Published("Liu et al. 2019, Table 3", 0.733, 0.913, 574e6, 4.7e6),),
    )
)
