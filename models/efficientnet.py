"""EfficientNet-B0: "EfficientNet: Rethinking Model Scaling for CNNs", Tan and Le 2019, Table 1, at 224x224.

    stage   operator          channels  layers   output
    1       conv 3x3 / 2          32       1     112x112   features.0
    2       MBConv1, 3x3          16       1     112x112   features.1
    3       MBConv6, 3x3 / 2      24       2      56x56    features.2
    4       MBConv6, 5x5 / 2      40       2      28x28    features.3
    5       MBConv6, 3x3 / 2      80       3      14x14    features.4
    6       MBConv6, 5x5         112       3      14x14    features.5
    7       MBConv6, 5x5 / 2     192       4       7x7     features.6
    8       MBConv6, 3x3         320       1       7x7     features.7
    9       conv 1x1            1280       1       7x7     features.8
    average pool, dropout, linear to classes

(The paper prints the stage's input size and stride; this is the size that a stage puts out.) MBConv is MobileNet v2's
inverted residual with SiLU and squeeze-excite, whose squeeze has a quarter of the block's input channels. Names of
parameters as in torchvision.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.models.blocks import conv_bn, register
from edgekit.network.spec import ModelSpec, Published

STAGES = (  # expansion, kernel, stride, outputs, layers
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
LAYERS = sum(layers for *_, layers in STAGES)


class SqueezeExcite(nn.Module):
    """Rescales each channel by a factor in (0, 1) that the whole map decides: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.SiLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


class MBConv(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride); in training the branch is dropped at rate `drop`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop: float) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = [conv_bn(inputs, inner, 1, activation=nn.SiLU)] if expansion != 1 else []
        self.block = nn.Sequential(
            *expand,
            conv_bn(inner, inner, kernel, stride, groups=inner, activation=nn.SiLU),
            SqueezeExcite(inner, max(1, inputs // 4)),
            conv_bn(inner, outputs, 1, activation=None),
        )
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        if not self.residual:
            return y
        if self.training and self.drop:
            kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop
            y = y * kept / (1 - self.drop)
        return x + y


class EfficientNet(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [conv_bn(3, 32, 3, 2, activation=nn.SiLU)]
        inputs, position = 32, 0
        for expansion, kernel, stride, outputs, layers in STAGES:
            blocks: list[nn.Module] = []
            for index in range(layers):
                drop = 0.2 * position / LAYERS
                blocks.append(MBConv(inputs, outputs, kernel, 1 if index else stride, expansion, drop))
                inputs, position = outputs, position + 1
            stages.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*stages, conv_bn(inputs, 1280, 1, activation=nn.SiLU))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x)).flatten(1)
        return self.classifier(x)


def efficientnet_b0(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """EfficientNet-B0."""
    return EfficientNet(classes)


register(
    ModelSpec(
        name="efficientnet_b0",
        family="NAS",
        paper="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019",
        build=efficientnet_b0,
        input_shape=(3, 224, 224),
        published=(
            Published("Tan and Le 2019, Table 2", top1=0.771, top5=0.933, macs=0.39e9, params=5.3e6),
            Published("torchvision IMAGENET1K_V1", 0.77692, 0.93532, 0.39e9, 5_288_548),
        ),
    )
)
