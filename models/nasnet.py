"""NASNet-A: "Learning Transferable Architectures for Scalable Image Recognition", Zoph et al. 2018, Figure 4.

A cell reads two maps: 0 is the last one, 1 the one before it, each brought to the cell's width F by ReLU, 1x1, BN. Five
sums of pairs follow, 2 to 6; the output is some of these maps side by side:

    normal cell    2 = sep5(0) + sep3(1)        reduction cell    2 = sep5(0) + sep7(1)     what reads 0 or 1
                   3 = sep5(1) + sep3(1)                          3 = max(0) + sep7(1)      has stride 2
                   4 = avg(0) + 1                                 4 = avg(0) + sep5(1)
                   5 = avg(1) + avg(1)                            5 = avg(2) + 3
                   6 = sep3(0) + 0                                6 = sep3(2) + max(0)
                   1 to 6: 6 F channels                           3 to 6: 4 F channels

    name           input    conv0        2 reductions   n normal     reduction, n normal, twice
    nasnet_mobile  224x224  3x3 / 2, 32  F = 11, 22     4 of F = 44  F = 88, 176: 1056 channels of 7x7
    nasnet_large   331x331  3x3 / 2, 96  F = 42, 84     6 of F = 168 F = 336, 672: 4032 channels of 11x11
    then ReLU, average pool, dropout, linear to classes

sepK is twice ReLU, depthwise KxK, 1x1, BN; pools are 3x3. Padding is TensorFlow's SAME, but for conv0, which has none.
A map 1 of twice the size is halved by two 1x1 / 2 side by side, the second one pixel further down and to the right.
After a reduction `nasnet_large` takes for map 1 the one before the reduction's own input, as TF-slim does.

What is there in training only is left out: the auxiliary head, and the dropping of paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgekit.models.blocks import register, same_padding
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW

PAPER = "Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, 2018"


@dataclass(frozen=True)
class Kind:
    """The pairs of a cell, each an operation and a map on the left and on the right, and the maps that it puts out."""

    pairs: tuple[tuple[str, int, str, int], ...]
    kept: range


NORMAL = Kind(
    (
        ("sep5", 0, "sep3", 1),
        ("sep5", 1, "sep3", 1),
        ("avg", 0, "same", 1),
        ("avg", 1, "avg", 1),
        ("sep3", 0, "same", 0),
    ),
    range(1, 7),
)
REDUCTION = Kind(
    (
        ("sep5", 0, "sep7", 1),
        ("max", 0, "sep7", 1),
        ("avg", 0, "sep5", 1),
        ("same", 3, "avg", 2),
        ("sep3", 2, "max", 0),
    ),
    range(3, 7),
)


def bn(channels: int) -> nn.BatchNorm2d:
    """BN with TF-slim's epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class Conv(nn.Module):
    """ReLU, 1x1, BN."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.bn = bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x.relu()))


class DepthwisePointwise(nn.Module):
    """Depthwise KxK with SAME padding for a map of `size` pixels, then 1x1."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, size: int) -> None:
        super().__init__()
        low, high = same_padding(size, kernel, stride)
        symmetric = low == high
        self.pad = nn.Identity() if symmetric else nn.ZeroPad2d((low, high, low, high))
        self.depthwise = nn.Conv2d(inputs, inputs, kernel, stride, low if symmetric else 0, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(self.pad(x)))


class Separable(nn.Module):
    """Twice ReLU, depthwise, 1x1, BN: (N, inputs, size, size) -> (N, outputs, size / stride, size / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, size: int) -> None:
        super().__init__()
        self.first = DepthwisePointwise(inputs, outputs, kernel, stride, size)
        self.bn1 = bn(outputs)
        self.second = DepthwisePointwise(outputs, outputs, kernel, 1, -(-size // stride))
        self.bn2 = bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.first(x.relu()))
        return self.bn2(self.second(x.relu()))


class Halved(nn.Module):
    """Two 1x1 / 2 side by side: (N, inputs, size, size) -> (N, outputs, size / 2, size / 2), rounded up."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2, bias=False)
        self.pad = nn.ZeroPad2d((0, 1, 0, 1)) if size % 2 else nn.Identity()  # of an even map it would stay unread
        self.bn = bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.bn(torch.cat([self.conv1(x), self.conv2(self.pad(x)[:, :, 1:, 1:])], 1))


class Pool(nn.Module):
    """3x3 pool with SAME padding, which counts for nothing; where the width is another, 1x1 and BN behind it."""

    def __init__(self, kind: str, inputs: int, outputs: int, stride: int, size: int) -> None:
        super().__init__()
        low, high = same_padding(size, 3, stride)
        # Windows that hang over the high end alone are torch's ceil mode.
        place: dict[str, Any] = {"stride": stride, "padding": low, "ceil_mode": low != high}
        self.pool = nn.MaxPool2d(3, **place) if kind == "max" else nn.AvgPool2d(3, **place, count_include_pad=False)
        same = inputs == outputs
        self.conv = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.Identity() if same else bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(self.pool(x)))


def operation(name: str, inputs: int, outputs: int, stride: int, size: int) -> nn.Module:
    """One half of a pair: (N, inputs, size, size) -> (N, outputs, size / stride, size / stride)."""
    if name == "same":
        return nn.Identity() if stride == 1 and inputs == outputs else Conv(inputs, outputs, stride)
    if name.startswith("sep"):
        return Separable(inputs, outputs, int(name[3:]), stride, size)
    return Pool(name, inputs, outputs, stride, size)


class Map(NamedTuple):
    """A map's channels, and its height and width in pixels."""

    channels: int
    size: int


class Cell(nn.Module):
    """Sums of pairs over two maps; the first cell of a network takes its input, as it is, for the map before, too."""

    def __init__(self, kind: Kind, last: Map, before: Map | None, width: int, stride: int) -> None:
        super().__init__()
        self.kind = kind
        self.last = Conv(last.channels, width)
        self.before = _matched(before, Map(width, last.size))
        self.left, self.right = nn.ModuleList(), nn.ModuleList()
        channels = {1: last.channels} if before is None else {}
        for left, left_map, right, right_map in kind.pairs:
            for sides, name, index in ((self.left, left, left_map), (self.right, right, right_map)):
                given = (stride, last.size) if index < 2 else (1, -(-last.size // stride))
                sides.append(operation(name, channels.get(index, width), width, *given))

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        maps = [self.last(x), self.before(before)]
        for (_, i, _, j), left, right in zip(self.kind.pairs, self.left, self.right, strict=True):
            maps.append(left(maps[i]) + right(maps[j]))
        return torch.cat([maps[index] for index in self.kind.kept], 1)


def _matched(given: Map | None, wanted: Map) -> nn.Module:
    """What brings the map before to the size of the last one and to the width of the cell."""
    if given is None or given == wanted:
        return nn.Identity()
    return (
        Conv(given.channels, wanted.channels)
        if given.size == wanted.size
        else Halved(given.channels, wanted.channels, given.size)
    )


class Step(NamedTuple):
    """One cell of a network: its kind, width and stride, and which map is its second one, counted from the end."""

    kind: Kind
    width: int
    stride: int = 1
    second: int = 2


class CellNetwork(nn.Module):
    """(N, 3, resolution, resolution) -> (N, classes): a convolution of `stem` channels, cells, a classifier."""

    def __init__(self, resolution: int, classes: int, stem: int, steps: Sequence[Step]) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(nn.Conv2d(3, stem, 3, 2, bias=False), bn(stem))
        self.steps, self.cells = steps, nn.ModuleList()
        maps = [Map(stem, (resolution - 3) // 2 + 1)]
        for step in steps:
            last, before = maps[-1], maps[-step.second] if len(maps) > 1 else None
            self.cells.append(Cell(step.kind, last, before, step.width, step.stride))
            maps.append(Map(step.width * len(step.kind.kept), -(-last.size // step.stride)))
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(maps[-1].channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.conv0(x)]
        for step, cell in zip(self.steps, self.cells, strict=True):
            maps.append(cell(maps[-1], maps[-step.second if len(maps) > 1 else 0]))
        x = maps[-1].relu().mean((2, 3))
        return self.classifier(self.dropout(x))


def _steps(width: int, n: int, skip: bool) -> list[Step]:
    """The cells of a NASNet-A; `skip`: the first normal cell after a reduction reads past the reduction's input."""
    steps = [Step(REDUCTION, width // 4, 2), Step(REDUCTION, width // 2, 2)]
    for wide in (width, 2 * width, 4 * width):
        reduced = wide > width
        steps += [Step(REDUCTION, wide, 2)] * reduced
        steps += [Step(NORMAL, wide, second=3 if skip and reduced else 2), *[Step(NORMAL, wide)] * (n - 1)]
    return steps


def nasnet_mobile(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """NASNet-A (4 @ 1056)."""
    return CellNetwork(resolution, classes, 32, _steps(44, 4, skip=False))


def nasnet_large(resolution: int = 331, classes: int = 1000) -> nn.Module:
    """NASNet-A (6 @ 4032)."""
    return CellNetwork(resolution, classes, 96, _steps(168, 6, skip=True))


for _build, _resolution, _published in (
    (nasnet_mobile, 224, Published("Zoph et al. 2018, Table 3", 0.740, 0.916, 564e6, 5.3e6, params_unit=1e5)),
    (nasnet_large, 331, Published("Zoph et al. 2018, Table 2", 0.827, 0.962, 23.8e9, 88.9e6, params_unit=1e5)),
):
    register(
        ModelSpec(
            name=_build.__name__,
            family="NASNet",
            paper=PAPER,
            build=_build,
            input_shape=(3, _resolution, _resolution),
            preprocessing=TENSORFLOW,
            published=(_published,),
        )
    )
