"""Residual networks for CIFAR-10: "Deep Residual Learning for Image Recognition", He et al. 2015, section 4.2.

Depth 6 n + 2 at 32x32:

    conv1        3x3, 16                              32x32
    layer1   n x [3x3, 16; 3x3, 16]                   32x32
    layer2   n x [3x3, 32; 3x3, 32]   first / 2       16x16
    layer3   n x [3x3, 64; 3x3, 64]   first / 2         8x8
    average pool, linear to classes                     1x1

Shortcuts have no parameters (option A): every second pixel, and zeros for the channels that are new, half of them
before the old ones and half after.

Stochastic depth ("Deep Networks with Stochastic Depth", Huang et al. 2016) drops whole blocks in training: block l of
L survives with probability 1 - l / (2 L). At inference each branch is scaled by that probability.
"""

from __future__ import annotations

import random
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.models.blocks import CIFAR, register
from edgekit.network.spec import ModelSpec, Published


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters: (N, inputs, H, W) -> (N, outputs, H / s, W / s)."""

    def __init__(self, inputs: int, outputs: int, stride: int, survival: float = 1.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.new_channels, self.survival = stride, outputs - inputs, survival

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.survival < 1 and random.random() >= self.survival:
            return self.shortcut(x).relu()
        branch = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if not self.training and self.survival < 1:
            branch = branch * self.survival
        return (branch + self.shortcut(x)).relu()

    def shortcut(self, x: Tensor) -> Tensor:
        if not self.new_channels:
            return x
        half = self.new_channels // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.new_channels - half))


class CifarResNet(nn.Module):
    """(N, 3, 32, 32) -> (N, classes). `last_survival` is the survival probability of the last block."""

    def __init__(self, depth: int, classes: int, last_survival: float = 1.0) -> None:
        super().__init__()
        n = (depth - 2) // 6
        survival = [1 - (i + 1) / (3 * n) * (1 - last_survival) for i in range(3 * n)]
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, 1, survival[:n])
        self.layer2 = stage(16, 32, 2, survival[n : 2 * n])
        self.layer3 = stage(32, 64, 2, survival[2 * n :])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()  # (N, 16, 32, 32)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, 8, 8)
        return self.linear(self.pool(x).flatten(1))


def stage(inputs: int, outputs: int, stride: int, survival: list[float]) -> nn.Sequential:
    """One block for each survival probability, the first with `stride`."""
    first = BasicBlock(inputs, outputs, stride, survival[0])
    return nn.Sequential(first, *[BasicBlock(outputs, outputs, 1, p) for p in survival[1:]])


def cifar_resnet(resolution: int = 32, classes: int = 10, *, depth: int, last_survival: float = 1.0) -> nn.Module:
    """The residual network of 6 n + 2 layers for small images."""
    return CifarResNet(depth, classes, last_survival)


def _register(depth: int, error: float, mparams: float) -> None:
    register(
        ModelSpec(
            name=f"resnet{depth}_cifar",
            family="ResNet",
            paper="He et al., Deep Residual Learning for Image Recognition, 2015",
            build=partial(cifar_resnet, depth=depth),
            input_shape=(3, 32, 32),
            classes=10,
            preprocessing=CIFAR,
            published=(
                Published("He et al. 2015, Table 6, CIFAR-10", top1=round(1 - error / 100, 4), params=mparams * 1e6),
            ),
        )
    )


_register(20, 8.75, 0.27)
_register(32, 7.51, 0.46)
_register(44, 7.17, 0.66)
_register(56, 6.97, 0.85)
_register(110, 6.43, 1.7)
_register(1202, 7.93, 19.4)
register(
    ModelSpec(
        name="resnet110_stochastic_cifar",
        family="ResNet",
        paper="Huang et al., Deep Networks with Stochastic Depth, 2016",
        build=partial(cifar_resnet, depth=110, last_survival=0.5),
        input_shape=(3, 32, 32),
        classes=10,
        preprocessing=CIFAR,
        published=(Published("Huang et al. 2016, Table 1, CIFAR-10+", top1=0.9477, params=1.7e6),),
    )
)
