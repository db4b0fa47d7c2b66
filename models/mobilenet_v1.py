"""MobileNet v1: "MobileNets: Efficient CNNs for Mobile Vision Applications", Howard et al. 2017.

Table 1 at 224x224 and alpha 1; every convolution is followed by BN and ReLU6, padding is TensorFlow's SAME.

    conv 3x3 / 2          3 ->   32   112x112      conv0
    dw 3x3, pw 1x1       32 ->   64   112x112      blocks.0
    dw 3x3 / 2, pw 1x1   64 ->  128    56x56       blocks.1
    dw 3x3, pw 1x1      128 ->  128    56x56       blocks.2
    dw 3x3 / 2, pw 1x1  128 ->  256    28x28       blocks.3
    dw 3x3, pw 1x1      256 ->  256    28x28       blocks.4
    dw 3x3 / 2, pw 1x1  256 ->  512    14x14       blocks.5
    5 x dw 3x3, pw 1x1  512 ->  512    14x14       blocks.6 .. blocks.10
    dw 3x3 / 2, pw 1x1  512 -> 1024     7x7        blocks.11
    dw 3x3, pw 1x1     1024 -> 1024     7x7        blocks.12
    average pool, dropout                1x1
    linear             1024 -> classes             classifier

The table prints stride 2 for the last depthwise layer too; its sizes (7x7 in, 7x7 out), the text's MACs and all
published weights have stride 1.

Names are stable, so that weights of other frameworks can be mapped onto them:
`conv0.conv.weight`, `conv0.bn.{weight,bias,running_mean,running_var}`, `blocks.N.depthwise.conv.weight` (C, 1, 3, 3),
`blocks.N.depthwise.bn.*`, `blocks.N.pointwise.conv.weight` (out, in, 1, 1), `blocks.N.pointwise.bn.*`,
`classifier.weight` (classes, C), `classifier.bias`; N from 0 to 12. `conv_mobilenet` has `blocks.N.conv.*` and
`blocks.N.bn.*` instead of the pairs.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import register, same_padding
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW

PAPER = "Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, 2017"
STAGES = (  # outputs, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


class ConvBNReLU6(nn.Module):
    """Convolution with SAME padding for an input of `size` pixels, BN, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, size: int, groups: int = 1) -> None:
        super().__init__()
        low, high = same_padding(size, kernel, stride)
        symmetric = low == high
        self.pad = nn.Identity() if symmetric else nn.ZeroPad2d((low, high, low, high))
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, low if symmetric else 0, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(self.pad(x))))


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise 1x1: (N, inputs, size, size) -> (N, outputs, size / stride, size / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, size: int) -> None:
        super().__init__()
        self.depthwise = ConvBNReLU6(inputs, inputs, 3, stride, size, groups=inputs)
        self.pointwise = ConvBNReLU6(inputs, outputs, 1, 1, -(-size // stride))

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class MobileNetV1(nn.Module):
    """(N, 3, resolution, resolution) -> (N, classes). `separable=False`: each pair is one full 3x3 convolution."""

    def __init__(self, resolution: int, classes: int, alpha: float, separable: bool = True) -> None:
        super().__init__()
        channels, size = max(1, int(32 * alpha)), resolution
        self.conv0 = ConvBNReLU6(3, channels, 3, 2, size)
        size = -(-size // 2)
        blocks: list[nn.Module] = []
        for width, stride in STAGES:
            outputs = max(1, int(width * alpha))
            blocks.append(
                Separable(channels, outputs, stride, size)
                if separable
                else ConvBNReLU6(channels, outputs, 3, stride, size)
            )
            channels, size = outputs, -(-size // stride)
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.001)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.conv0(x))  # (N, 1024 alpha, resolution / 32, resolution / 32)
        x = self.pool(x).flatten(1)
        return self.classifier(self.dropout(x))


def mobilenet(resolution: int = 224, classes: int = 1000, alpha: float = 1.0) -> nn.Module:
    """MobileNet v1 of width `alpha` for square images of `resolution` pixels, even or odd."""
    return MobileNetV1(resolution, classes, alpha)


def conv_mobilenet(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """The twin of the paper's Table 4 with full convolutions instead of depthwise separable ones."""
    return MobileNetV1(resolution, classes, 1.0, separable=False)


def _paper(
    table: int, top1: float, mmacs: float, mparams: float, alpha: float = 1.0, resolution: int = 224
) -> Published:
    return Published(
        f"Howard et al. 2017, Table {table}",
        top1=top1,
        macs=mmacs * 1e6,
        params=mparams * 1e6,
        alpha=alpha,
        resolution=resolution,
        macs_unit=1e6,
        params_unit=1e5,
    )


def _slim(alpha: float, resolution: int, mmacs: float, mparams: float, top1: float, top5: float) -> Published:
    facts = (top1, top5, mmacs * 1e6, mparams * 1e6, alpha, resolution)
    return Published("TF-slim mobilenet_v1.md, 2018-08-02", *facts, macs_unit=1e6, params_unit=1e4)


# Rows of TF-slim print MACs that do not follow from the definition: those of alpha 0.75, 0.5 at 224 and 0.25 at 192.
PUBLISHED = (
    _paper(4, 0.706, 569, 4.2),
    _paper(6, 0.684, 325, 2.6, alpha=0.75),
    _paper(6, 0.637, 149, 1.3, alpha=0.5),
    _paper(6, 0.506, 41, 0.5, alpha=0.25),
    _paper(7, 0.691, 418, 4.2, resolution=192),
    _paper(7, 0.672, 290, 4.2, resolution=160),
    _paper(7, 0.644, 186, 4.2, resolution=128),
    _slim(1.0, 224, 569, 4.24, 0.709, 0.899),
    _slim(1.0, 192, 418, 4.24, 0.700, 0.892),
    _slim(1.0, 160, 291, 4.24, 0.680, 0.877),
    _slim(1.0, 128, 186, 4.24, 0.652, 0.858),
    _slim(0.75, 224, 317, 2.59, 0.684, 0.882),
    _slim(0.75, 192, 233, 2.59, 0.672, 0.873),
    _slim(0.75, 160, 162, 2.59, 0.653, 0.860),
    _slim(0.75, 128, 104, 2.59, 0.621, 0.839),
    _slim(0.5, 224, 150, 1.34, 0.633, 0.849),
    _slim(0.5, 192, 110, 1.34, 0.617, 0.836),
    _slim(0.5, 160, 77, 1.34, 0.591, 0.819),
    _slim(0.5, 128, 49, 1.34, 0.563, 0.794),
    _slim(0.25, 224, 41, 0.47, 0.498, 0.742),
    _slim(0.25, 192, 34, 0.47, 0.477, 0.723),
    _slim(0.25, 160, 21, 0.47, 0.455, 0.703),
    _slim(0.25, 128, 14, 0.47, 0.415, 0.663),
)

register(
    ModelSpec(
        name="mobilenet",
        family="MobileNet",
        paper=PAPER,
        build=mobilenet,
        input_shape=(3, 224, 224),
        alphas=(1.0, 0.75, 0.5, 0.25),
        resolutions=(224, 192, 160, 128),
        preprocessing=TENSORFLOW,
        published=PUBLISHED,
    )
)
register(
    ModelSpec(
        name="conv_mobilenet",
        family="MobileNet",
        paper=PAPER,
        build=conv_mobilenet,
        input_shape=(3, 224, 224),
        preprocessing=TENSORFLOW,
        # The printed MACs leave the classifier out; those of the separable network beside it do not.
        published=(_paper(4, 0.717, 4866, 29.3),),
    )
)
