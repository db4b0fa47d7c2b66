"""GoogLeNet: "Going Deeper with Convolutions", Szegedy et al. 2015, Table 1, at 224x224.

    layer    output          1x1   3x3 reduce, 3x3   5x5 reduce, 5x5   pool projection
    conv1     64 x 112x112   7x7 / 2                 then pool 3x3 / 2, LRN
    conv2     64 x 56x56     1x1
    conv3    192 x 56x56     3x3                     then LRN, pool 3x3 / 2
    3a       256 x 28x28      64     96  128          16   32           32
    3b       480 x 28x28     128    128  192          32   96           64     then pool 3x3 / 2
    4a       512 x 14x14     192     96  208          16   48           64     auxiliary head in training
    4b       512 x 14x14     160    112  224          24   64           64
    4c       512 x 14x14     128    128  256          24   64           64
    4d       528 x 14x14     112    144  288          32   64           64     auxiliary head in training
    4e       832 x 14x14     256    160  320          32  128          128     then pool 3x3 / 2
    5a       832 x 7x7       256    160  320          32  128          128
    5b      1024 x 7x7       384    192  384          48  128          128
    average pool, dropout 40 %, linear to classes

* `googlenet`: the paper's: biases, ReLU, LRN, no BN.
* `googlenet_bn`: torchvision's, with its names and its differences: BN, no LRN, 3x3 where the table has 5x5, the last
  pool 2x2. Its weights expect inputs in [-1, 1].
* `inception_naive`, `inception_module`: one module of 28x28x256 as lectures draw it, without and with the 1x1
  reductions; `inception_3a`: the first module of the table; `inception_simple`: the same as lectures simplify it,
  without its pooling branch. They end in a feature map.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW, Preprocessing

PAPER = "Szegedy et al., Going Deeper with Convolutions, 2015"


class Conv(nn.Module):
    """Convolution, BN where asked, ReLU; stride 1 keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bn: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not bn)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3) if bn else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class Inception(nn.Module):
    """Four branches side by side: (N, inputs, H, W) -> (N, b1 + b3 + b5 + bp, H, W); three where `bp` is 0."""

    def __init__(
        self, inputs: int, b1: int, r3: int, b3: int, r5: int, b5: int, bp: int, *, bn: bool = False, large: int = 5
    ) -> None:
        super().__init__()
        self.branch1 = Conv(inputs, b1, 1, bn=bn)
        self.branch2 = nn.Sequential(Conv(inputs, r3, 1, bn=bn), Conv(r3, b3, 3, bn=bn))
        self.branch3 = nn.Sequential(Conv(inputs, r5, 1, bn=bn), Conv(r5, b5, large, bn=bn))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Conv(inputs, bp, 1, bn=bn)) if bp else None

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.branch1, self.branch2, self.branch3, self.branch4]
        return torch.cat([branch(x) for branch in branches if branch], 1)


class NaiveInception(nn.Module):
    """The module without reductions: (N, inputs, H, W) -> (N, b1 + b3 + b5 + inputs, H, W)."""

    def __init__(self, inputs: int, b1: int, b3: int, b5: int) -> None:
        super().__init__()
        self.branch1 = Conv(inputs, b1, 1, bn=False)
        self.branch2 = Conv(inputs, b3, 3, bn=False)
        self.branch3 = Conv(inputs, b5, 5, bn=False)
        self.branch4 = nn.MaxPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryHead(nn.Module):
    """A classifier half-way up, for training only: (N, inputs, 14, 14) -> (N, classes)."""

    def __init__(self, inputs: int, classes: int, *, bn: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = Conv(inputs, 128, 1, bn=bn)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.dropout(self.fc1(x).relu()))


class GoogLeNet(nn.Module):
    """(N, 3, H, W) -> (N, classes); in training, three of them: the network's, the upper head's, the lower head's."""

    def __init__(self, classes: int, *, bn: bool) -> None:
        super().__init__()
        module = partial(Inception, bn=bn, large=3 if bn else 5)
        self.conv1 = Conv(3, 64, 7, 2, bn=bn)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = nn.Identity() if bn else nn.LocalResponseNorm(5)
        self.conv2 = Conv(64, 64, 1, bn=bn)
        self.conv3 = Conv(64, 192, 3, bn=bn)
        self.norm2 = nn.Identity() if bn else nn.LocalResponseNorm(5)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception3a = module(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = module(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = module(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = module(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = module(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = module(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = module(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2 if bn else 3, 2, ceil_mode=True)
        self.inception5a = module(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = module(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = AuxiliaryHead(512, classes, bn=bn)
        self.aux2 = AuxiliaryHead(528, classes, bn=bn)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        x = self.norm1(self.maxpool1(self.conv1(x)))  # (N, 64, H / 4, W / 4)
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))  # (N, 192, H / 8, W / 8)
        x = self.maxpool3(self.inception3b(self.inception3a(x)))  # (N, 480, H / 16, W / 16)
        x = lower = self.inception4a(x)
        x = upper = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))  # (N, 832, H / 32, W / 32)
        x = self.inception5b(self.inception5a(x))
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return (x, self.aux2(upper), self.aux1(lower)) if self.training else x


def googlenet(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """The network of the paper."""
    return GoogLeNet(classes, bn=False)


def googlenet_bn(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """torchvision's googlenet."""
    return GoogLeNet(classes, bn=True)


register(
    ModelSpec(
        name="googlenet",
        family="Inception",
        paper=PAPER,
        build=googlenet,
        input_shape=(3, 224, 224),
        training_only=("aux1.", "aux2."),
        published=(
            Published(
                "Szegedy et al. 2015, Table 3, one network, one crop, ILSVRC'14 validation; parameters by 'twelve times"
                " fewer' than AlexNet's",
                top5=0.8993,
                macs=1.5e9,
                params=5e6,
            ),
        ),
    )
)
register(
    ModelSpec(
        name="googlenet_bn",
        family="Inception",
        paper=PAPER,
        build=googlenet_bn,
        input_shape=(3, 224, 224),
        training_only=("aux1.", "aux2."),
        preprocessing=TENSORFLOW,
        published=(Published("torchvision IMAGENET1K_V1", 0.69778, 0.89530, 1.50e9, 6_624_904, macs_unit=1e7),),
    )
)


def inception_naive(resolution: int = 28, classes: int = 672) -> nn.Module:
    """(N, 256, H, W) -> (N, 672, H, W) without reductions."""
    return NaiveInception(256, 128, 192, 96)


def inception_module(resolution: int = 28, classes: int = 480) -> nn.Module:
    """(N, 256, H, W) -> (N, 480, H, W) with reductions to 64 channels."""
    return Inception(256, 128, 64, 192, 64, 96, 64)


def inception_3a(resolution: int = 28, classes: int = 256) -> nn.Module:
    """(N, 192, H, W) -> (N, 256, H, W), the table's first module."""
    return Inception(192, 64, 96, 128, 16, 32, 32)


def inception_simple(resolution: int = 28, classes: int = 224) -> nn.Module:
    """(N, 192, H, W) -> (N, 224, H, W), the table's first module without its pooling branch."""
    return Inception(192, 64, 96, 128, 16, 32, 0)


for _name, _build, _inputs, _outputs in (
    ("inception_naive", inception_naive, 256, 672),
    ("inception_module", inception_module, 256, 480),
    ("inception_3a", inception_3a, 192, 256),
    ("inception_simple", inception_simple, 192, 224),
):
    register(
        ModelSpec(
            name=_name,
            family="Inception",
            paper=PAPER,
            build=_build,
            input_shape=(_inputs, 28, 28),
            classes=_outputs,
            classifier=False,
            preprocessing=Preprocessing(channels="L", crop_fraction=1.0, mean=(127.5,), std=(127.5,)),
        )
    )
