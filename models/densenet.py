"""DenseNet: "Densely Connected Convolutional Networks", Huang, Liu, van der Maaten, Weinberger 2017, Table 1.

Each layer reads the maps of all layers before it in its block and adds k of its own. BN and ReLU stand in front of
each convolution.

    ImageNet, 224x224, k = 32        121   169   201        CIFAR, 32x32, k = 12, L = 40
    conv0         112x112   7x7, 64, / 2, then pool 3x3 / 2          32x32   3x3, 16
    denseblock1    56x56    x6    x6    x6                           32x32   x12
    denseblock2    28x28    x12   x12   x12                          16x16   x12
    denseblock3    14x14    x24   x32   x48                            8x8   x12
    denseblock4     7x7     x16   x32   x32
    BN, ReLU, average pool, linear to classes

A layer is 1x1 to 4 k and 3x3 to k on ImageNet (bottleneck), 3x3 to k on CIFAR. Between blocks a 1x1 that halves the
channels (keeps them on CIFAR) and a 2x2 average pool. Names of parameters as in torchvision.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgekit.models.blocks import CIFAR, register
from edgekit.network.spec import ModelSpec, Published

PAPER = "Huang et al., Densely Connected Convolutional Networks, 2017"


class Bottleneck(nn.Module):
    """(N, inputs, H, W) -> (N, k, H, W) through 4 k channels."""

    def __init__(self, inputs: int, k: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * k, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * k)
        self.conv2 = nn.Conv2d(4 * k, k, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.norm1(x).relu())
        return self.conv2(self.norm2(x).relu())


class Basic(nn.Module):
    """(N, inputs, H, W) -> (N, k, H, W)."""

    def __init__(self, inputs: int, k: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, k, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(self.norm1(x).relu())


class DenseBlock(nn.ModuleDict):
    """`count` layers, each reading all maps so far: (N, inputs, H, W) -> (N, inputs + count k, H, W)."""

    def __init__(self, layer: type[Bottleneck] | type[Basic], count: int, inputs: int, k: int) -> None:
        super().__init__()
        for index in range(count):
            self[f"denselayer{index + 1}"] = layer(inputs + index * k, k)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class Transition(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(self.norm(x).relu()))


class DenseNet(nn.Module):
    """(N, 3, H, W) -> (N, classes). `small`: the CIFAR form, without bottlenecks or compression."""

    def __init__(self, k: int, inputs: int, counts: tuple[int, ...], classes: int, small: bool) -> None:
        super().__init__()
        self.features = nn.Sequential()
        if small:
            self.features.add_module("conv0", nn.Conv2d(3, inputs, 3, 1, 1, bias=False))
        else:
            self.features.add_module("conv0", nn.Conv2d(3, inputs, 7, 2, 3, bias=False))
            self.features.add_module("norm0", nn.BatchNorm2d(inputs))
            self.features.add_module("relu0", nn.ReLU())
            self.features.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        for index, count in enumerate(counts, start=1):
            self.features.add_module(f"denseblock{index}", DenseBlock(Basic if small else Bottleneck, count, inputs, k))
            inputs += count * k
            if index < len(counts):
                outputs = inputs if small else inputs // 2
                self.features.add_module(f"transition{index}", Transition(inputs, outputs))
                inputs = outputs
        self.features.add_module(f"norm{len(counts) + 1}", nn.BatchNorm2d(inputs))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).relu()
        return self.classifier(self.pool(x).flatten(1))


def densenet(resolution: int = 224, classes: int = 1000, *, counts: tuple[int, ...]) -> nn.Module:
    """The ImageNet network with k = 32."""
    return DenseNet(32, 64, counts, classes, small=False)


def densenet40_12_cifar(resolution: int = 32, classes: int = 10) -> nn.Module:
    """The CIFAR network of 40 layers with k = 12."""
    return DenseNet(12, 16, (12, 12, 12), classes, small=True)


for _depth, _counts, _error1, _error5, _tv in (
    (121, (6, 12, 24, 16), 25.02, 7.71, (0.74434, 0.91972, 2.83e9, 7_978_856)),
    (169, (6, 12, 32, 32), 23.80, 6.85, (0.75600, 0.92806, 3.36e9, 14_149_480)),
    (201, (6, 12, 48, 32), 22.58, 6.34, (0.76896, 0.93370, 4.29e9, 20_013_928)),
):
    register(
        ModelSpec(
            name=f"densenet{_depth}",
            family="DenseNet",
            paper=PAPER,
            build=partial(densenet, counts=_counts),
            input_shape=(3, 224, 224),
            published=(
                Published(
                    "Huang et al. 2017, Table 3, one crop", round(1 - _error1 / 100, 4), round(1 - _error5 / 100, 4)
                ),
                Published("torchvision IMAGENET1K_V1", *_tv),
            ),
        )
    )
register(
    ModelSpec(
        name="densenet40_12_cifar",
        family="DenseNet",
        paper=PAPER,
        build=densenet40_12_cifar,
        input_shape=(3, 32, 32),
        classes=10,
        preprocessing=CIFAR,
        published=(Published("Huang et al. 2017, Table 2, CIFAR-10+", top1=0.9476, params=1.0e6, params_unit=1e5),),
    )
)
