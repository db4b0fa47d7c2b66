"""Network in Network: "Network In Network", Lin, Chen, Yan 2014; the ImageNet model that its authors published.

Each convolution is followed by two 1x1 convolutions (a small network slid over the map), ReLU after every one:

    conv 11x11, 96, / 4     1x1   96   1x1   96    54x54    pool 3x3 / 2    27x27
    conv 5x5, 256           1x1  256   1x1  256    27x27    pool 3x3 / 2    13x13
    conv 3x3, 384           1x1  384   1x1  384    13x13    pool 3x3 / 2      6x6
    conv 3x3, 1024          1x1 1024   1x1 classes   6x6    average pool      1x1   no linear layer
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published


def mlpconv(inputs: int, widths: tuple[int, int, int], kernel: int, stride: int, padding: int) -> list[nn.Module]:
    """A convolution and two 1x1 convolutions."""
    first, second, third = widths
    return [
        nn.Conv2d(inputs, first, kernel, stride, padding),
        nn.ReLU(),
        nn.Conv2d(first, second, 1),
        nn.ReLU(),
        nn.Conv2d(second, third, 1),
        nn.ReLU(),
    ]


class NiN(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *mlpconv(3, (96, 96, 96), 11, 4, 0),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *mlpconv(96, (256, 256, 256), 5, 1, 2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *mlpconv(256, (384, 384, 384), 3, 1, 1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(0.5),
            *mlpconv(384, (1024, 1024, classes), 3, 1, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.features(x)).flatten(1)


def nin(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """Network in Network for ImageNet."""
    return NiN(classes)


register(
    ModelSpec(
        name="nin",
        family="NiN",
        paper="Lin, Chen and Yan, Network In Network, 2014",
        build=nin,
        input_shape=(3, 224, 224),
        min_resolution=39,
        published=(Published("NIN-Imagenet, Caffe model zoo, single crop", top1=0.5936, params=7.6e6),),
    )
)
