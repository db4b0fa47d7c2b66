"""Residual networks with preactivation: BN and ReLU stand in front of each convolution, the sum stays as it is.

    "Identity Mappings in Deep Residual Networks", He, Zhang, Ren, Sun 2016
    "Wide Residual Networks", Zagoruyko and Komodakis 2016

    ImageNet, 224x224   50 / 101 / 152                        CIFAR, 32x32    1001 (n = 111)         WRN-28-10 (n = 4)
    conv1    112x112    7x7, 64, / 2, then pool 3x3 / 2       conv1           3x3, 16                3x3, 16
    stage1   56x56      [64, 64, 256]      x3 / 3 / 3         stage1  32x32   [16, 16, 64]   x n     [160, 160] x n
    stage2   28x28      [128, 128, 512]    x4 / 4 / 8         stage2  16x16   [32, 32, 128]  x n     [320, 320] x n
    stage3   14x14      [256, 256, 1024]   x6 / 23 / 36       stage3    8x8   [64, 64, 256]  x n     [640, 640] x n
    stage4   7x7        [512, 512, 2048]   x3 / 3 / 3
    BN, ReLU, average pool, linear to classes

Three widths are a bottleneck 1x1, 3x3 (with the stride), 1x1; two are a pair of 3x3 (the stride in the first). Where
the shape changes, the 1x1 shortcut reads the block's first BN and ReLU, as the authors' code does.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from edgekit.models.blocks import CIFAR, register
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW

HE = "He et al., Identity Mappings in Deep Residual Networks, 2016"
ZAGORUYKO = "Zagoruyko and Komodakis, Wide Residual Networks, 2016"


class PreBottleneck(nn.Module):
    """BN-ReLU-1x1, BN-ReLU-3x3, BN-ReLU-1x1: (N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(x).relu()
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.bn2(self.conv1(y)).relu()
        y = self.bn3(self.conv2(y)).relu()
        return self.conv3(y) + shortcut


class PreBasic(nn.Module):
    """BN-ReLU-3x3, BN-ReLU-3x3: (N, inputs, H, W) -> (N, width, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        changes = stride != 1 or inputs != width
        self.shortcut = nn.Conv2d(inputs, width, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(x).relu()
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.bn2(self.conv1(y)).relu()
        return self.conv2(y) + shortcut


class ResNetV2(nn.Module):
    """(N, 3, H, W) -> (N, classes). `stem` ends in `inputs` channels; every stage but the first halves the map."""

    def __init__(
        self,
        stem: nn.Module,
        inputs: int,
        block: type[PreBottleneck] | type[PreBasic],
        widths: tuple[int, ...],
        counts: tuple[int, ...],
        classes: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        stages: list[nn.Module] = []
        for index, (width, count) in enumerate(zip(widths, counts, strict=True)):
            blocks = [block(inputs, width, 2 if index else 1)]
            inputs = width * block.expansion
            blocks += [block(inputs, width, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(inputs)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.stages(self.stem(x))).relu()
        return self.fc(self.pool(x).flatten(1))


def resnet_v2(resolution: int = 224, classes: int = 1000, *, counts: tuple[int, ...]) -> nn.Module:
    """The ImageNet network with `counts` bottlenecks in its stages."""
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1))
    return ResNetV2(stem, 64, PreBottleneck, (64, 128, 256, 512), counts, classes)


def resnet1001_v2_cifar(resolution: int = 32, classes: int = 10) -> nn.Module:
    """The CIFAR network of 9 x 111 + 2 layers."""
    stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    return ResNetV2(stem, 16, PreBottleneck, (16, 32, 64), (111, 111, 111), classes)


def wrn28_10_cifar(resolution: int = 32, classes: int = 10) -> nn.Module:
    """The wide CIFAR network of 6 x 4 + 4 layers, ten times the width."""
    stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    return ResNetV2(stem, 16, PreBasic, (160, 320, 640), (4, 4, 4), classes)


for _depth, _counts, _top1, _top5 in (
    (50, (3, 4, 6, 3), 0.756, 0.928),
    (101, (3, 4, 23, 3), 0.770, 0.937),
    (152, (3, 8, 36, 3), 0.778, 0.941),
):
    register(
        ModelSpec(
            name=f"resnet{_depth}_v2",
            family="ResNet",
            paper=HE,
            build=partial(resnet_v2, counts=_counts),
            input_shape=(3, 224, 224),
            preprocessing=TENSORFLOW,
            published=(Published("TF-slim README, one crop at 299x299", _top1, _top5, resolution=299),),
        )
    )
register(
    ModelSpec(
        name="resnet1001_v2_cifar",
        family="ResNet",
        paper=HE,
        build=resnet1001_v2_cifar,
        input_shape=(3, 32, 32),
        classes=10,
        preprocessing=CIFAR,
        published=(Published("He et al. 2016, Table 4, CIFAR-10", top1=0.9508, params=10.2e6),),
    )
)
register(
    ModelSpec(
        name="wrn28_10_cifar",
        family="ResNet",
        paper=ZAGORUYKO,
        build=wrn28_10_cifar,
        input_shape=(3, 32, 32),
        classes=10,
        preprocessing=CIFAR,
        published=(Published("Zagoruyko and Komodakis 2016, CIFAR-10", top1=0.9600, params=36.5e6),),
    )
)
