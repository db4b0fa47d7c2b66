"""The plain networks that residual ones are compared with: "Deep Residual Learning", He et al. 2015, Table 1.

The same stages, without the shortcuts:

    ImageNet, 224x224    18           34           CIFAR, 32x32    20      56
    conv1     112x112    7x7, 64, / 2              conv1           3x3, 16
    pool      56x56      3x3 / 2
    stage1    56x56      3x3,  64 x4  x6           stage1  32x32   3x3, 16 x6   x18
    stage2    28x28      3x3, 128 x4  x8           stage2  16x16   3x3, 32 x6   x18
    stage3    14x14      3x3, 256 x4  x12          stage3    8x8   3x3, 64 x6   x18
    stage4    7x7        3x3, 512 x4  x6
    average pool, linear to classes

Every convolution is followed by BN and ReLU; the first of each stage but stage1 has stride 2.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from edgekit.models.blocks import CIFAR, conv_bn, register
from edgekit.network.spec import ModelSpec, Published

PAPER = "He et al., Deep Residual Learning for Image Recognition, 2015"


class PlainNet(nn.Module):
    """(N, 3, H, W) -> (N, classes). `counts` convolutions in the stages, whose width doubles from `width` on."""

    def __init__(self, stem: nn.Module, width: int, counts: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.stem = stem
        stages: list[nn.Module] = []
        inputs = width
        for index, count in enumerate(counts):
            outputs = width << index
            first = conv_bn(inputs, outputs, 3, 2 if index else 1)
            stages.append(nn.Sequential(first, *[conv_bn(outputs, outputs, 3) for _ in range(count - 1)]))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))
        return self.fc(self.pool(x).flatten(1))


def plain(resolution: int = 224, classes: int = 1000, *, counts: tuple[int, ...]) -> nn.Module:
    """The ImageNet network."""
    return PlainNet(nn.Sequential(conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)), 64, counts, classes)


def plain_cifar(resolution: int = 32, classes: int = 10, *, depth: int) -> nn.Module:
    """The CIFAR network of 6 n + 2 layers."""
    return PlainNet(conv_bn(3, 16, 3), 16, ((depth - 2) // 3,) * 3, classes)


for _depth, _counts, _error, _gmacs in ((18, (4, 4, 4, 4), 27.94, 1.8), (34, (6, 8, 12, 6), 28.54, 3.6)):
    register(
        ModelSpec(
            name=f"plain{_depth}",
            family="ResNet",
            paper=PAPER,
            build=partial(plain, counts=_counts),
            input_shape=(3, 224, 224),
            published=(
                Published(
                    "He et al. 2015, Table 2, one network, 10 crops",
                    round(1 - _error / 100, 4),
                    macs=_gmacs * 1e9,
                    one_crop=False,
                ),
            ),
        )
    )
for _depth in (20, 56):
    register(
        ModelSpec(
            name=f"plain{_depth}_cifar",
            family="ResNet",
            paper=PAPER,
            build=partial(plain_cifar, depth=_depth),
            input_shape=(3, 32, 32),
            classes=10,
            preprocessing=CIFAR,
        )
    )
