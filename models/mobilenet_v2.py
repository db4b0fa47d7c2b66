"""MobileNet v2: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", Sandler et al. 2018, Table 2, at 224x224.

    operator          t     c   n   s    output
    conv 3x3          -    32   1   2    112x112    features.0
    bottleneck        1    16   1   1    112x112    features.1
    bottleneck        6    24   2   2     56x56     features.2 ..
    bottleneck        6    32   3   2     28x28
    bottleneck        6    64   4   2     14x14
    bottleneck        6    96   3   1     14x14
    bottleneck        6   160   3   2      7x7
    bottleneck        6   320   1   1      7x7      features.17
    conv 1x1          -  1280   1   1      7x7      features.18
    average pool, dropout, linear to classes

A bottleneck expands t times with 1x1, filters with depthwise 3x3 (stride s in the first of n), projects to c with a
linear 1x1, and adds its input where the shapes agree; BN after every convolution, ReLU6 after all but the projection.
`alpha` scales c to multiples of 8; the last 1280 do not shrink. Padding and names of parameters as in torchvision.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import conv_bn, make_divisible, register
from edgekit.network.spec import ModelSpec, Published

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, t: int) -> None:
        super().__init__()
        inner = inputs * t
        expand = [conv_bn(inputs, inner, 1, activation=nn.ReLU6)] if t != 1 else []
        self.conv = nn.Sequential(
            *expand,
            conv_bn(inner, inner, 3, stride, groups=inner, activation=nn.ReLU6),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int, alpha: float) -> None:
        super().__init__()
        channels = make_divisible(32 * alpha)
        layers: list[nn.Module] = [conv_bn(3, channels, 3, 2, activation=nn.ReLU6)]
        for t, c, n, s in STAGES:
            outputs = make_divisible(c * alpha)
            for index in range(n):
                layers.append(InvertedResidual(channels, outputs, 1 if index else s, t))
                channels = outputs
        layers.append(conv_bn(channels, 1280, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.features(x)).flatten(1)
        return self.classifier(x)


def mobilenet_v2(resolution: int = 224, classes: int = 1000, alpha: float = 1.0) -> nn.Module:
    """MobileNet v2 of width `alpha`."""
    return MobileNetV2(classes, alpha)


def _slim(alpha: float, resolution: int, mmacs: float, mparams: float, top1: float, top5: float) -> Published:
    facts = (top1, top5, mmacs * 1e6, mparams * 1e6, alpha, resolution)
    return Published("TF-slim mobilenet README", *facts, macs_unit=1e6, params_unit=1e4)


PUBLISHED = (
    Published("Sandler et al. 2018, Table 4", top1=0.720, macs=300e6, params=3.4e6, macs_unit=1e6),
    Published("torchvision IMAGENET1K_V1", 0.71878, 0.90286, 0.30e9, 3_504_872, macs_unit=1e7),
    _slim(1.0, 224, 300, 3.47, 0.718, 0.910),
    _slim(1.0, 192, 221, 3.47, 0.707, 0.901),
    _slim(1.0, 160, 154, 3.47, 0.688, 0.890),
    _slim(1.0, 128, 99, 3.47, 0.653, 0.869),
    _slim(1.0, 96, 56, 3.47, 0.603, 0.832),
    _slim(0.75, 224, 209, 2.61, 0.698, 0.896),
    _slim(0.75, 192, 153, 2.61, 0.687, 0.889),
    _slim(0.75, 160, 107, 2.61, 0.664, 0.873),
    _slim(0.75, 128, 69, 2.61, 0.632, 0.853),
    _slim(0.75, 96, 39, 2.61, 0.588, 0.816),
    _slim(0.5, 224, 97, 1.95, 0.654, 0.864),
    _slim(0.5, 192, 71, 1.95, 0.639, 0.854),
    _slim(0.5, 160, 50, 1.95, 0.610, 0.832),
    _slim(0.5, 128, 32, 1.95, 0.577, 0.808),
    _slim(0.5, 96, 18, 1.95, 0.512, 0.758),
    _slim(0.35, 224, 59, 1.66, 0.603, 0.829),
    _slim(0.35, 192, 43, 1.66, 0.582, 0.812),
    _slim(0.35, 160, 30, 1.66, 0.557, 0.791),
    _slim(0.35, 128, 20, 1.66, 0.508, 0.750),
    _slim(0.35, 96, 11, 1.66, 0.455, 0.704),
)

register(
    ModelSpec(
        name="mobilenet_v2",
        family="MobileNet",
        paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018",
        build=mobilenet_v2,
        input_shape=(3, 224, 224),
        alphas=(1.0, 0.75, 0.5, 0.35),
        resolutions=(224, 192, 160, 128, 96),
        published=PUBLISHED,
    )
)
