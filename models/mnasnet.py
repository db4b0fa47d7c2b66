"""MnasNet-B1: "MnasNet: Platform-Aware Neural Architecture Search for Mobile", Tan et al. 2019, at 224x224.

    operator            t    c    n   s    output
    conv 3x3            -    32   1   2    112x112    layers.0
    separable 3x3       -    16   1   1    112x112    layers.3, layers.6
    MBConv 3x3          3    24   3   2     56x56     layers.8
    MBConv 5x5          3    40   3   2     28x28     layers.9
    MBConv 5x5          6    80   3   2     14x14     layers.10
    MBConv 3x3          6    96   2   1     14x14     layers.11
    MBConv 5x5          6   192   4   2      7x7      layers.12
    MBConv 3x3          6   320   1   1      7x7      layers.13
    conv 1x1            -  1280   1   1      7x7      layers.14
    average pool, dropout, linear to classes

MBConv is MobileNet v2's inverted residual with ReLU. `alpha` scales c to multiples of 8; the last 1280 stay. Names of
parameters as in torchvision (`mnasnet1_0`, `mnasnet0_75`, `mnasnet0_5`).
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import conv_bn, make_divisible, register
from edgekit.network.spec import ModelSpec, Published

STAGES = ((3, 3, 24, 3, 2), (5, 3, 40, 3, 2), (5, 6, 80, 3, 2), (3, 6, 96, 2, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1))


class MBConv(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, t: int) -> None:
        super().__init__()
        inner = inputs * t
        self.layers = nn.Sequential(
            *conv_bn(inputs, inner, 1),
            *conv_bn(inner, inner, kernel, stride, groups=inner),
            *conv_bn(inner, outputs, 1, activation=None),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class MnasNet(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int, alpha: float) -> None:
        super().__init__()
        first, channels = make_divisible(32 * alpha), make_divisible(16 * alpha)
        layers: list[nn.Module] = [
            *conv_bn(3, first, 3, 2),
            *conv_bn(first, first, 3, groups=first),
            *conv_bn(first, channels, 1, activation=None),
        ]
        for kernel, t, c, n, s in STAGES:
            outputs = make_divisible(c * alpha)
            rest = [MBConv(outputs, outputs, kernel, 1, t) for _ in range(n - 1)]
            layers.append(nn.Sequential(MBConv(channels, outputs, kernel, s, t), *rest))
            channels = outputs
        self.layers = nn.Sequential(*layers, *conv_bn(channels, 1280, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.layers(x)).flatten(1)
        return self.classifier(x)


def mnasnet(resolution: int = 224, classes: int = 1000, alpha: float = 1.0) -> nn.Module:
    """MnasNet-B1 of width `alpha`."""
    return MnasNet(classes, alpha)


register(
    ModelSpec(
        name="mnasnet",
        family="NAS",
        paper="Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, 2019",
        build=mnasnet,
        input_shape=(3, 224, 224),
        alphas=(1.0, 0.75, 0.5),
        published=(
            Published("torchvision IMAGENET1K_V1", 0.73456, 0.91510, 0.31e9, 4_383_312),
            Published("torchvision IMAGENET1K_V1", 0.71180, 0.90496, 0.215e9, 3_170_208, alpha=0.75),
            Published("torchvision IMAGENET1K_V1", 0.67734, 0.87490, 0.10e9, 2_218_512, alpha=0.5, macs_unit=1e7),
        ),
    )
)
