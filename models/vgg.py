"""VGG: "Very Deep Convolutional Networks for Large-Scale Image Recognition", Simonyan and Zisserman 2015, Table 1.

Columns A, B, D, E at 224x224; each 3x3 convolution is followed by ReLU, each line by a 2x2 / 2 max pool:

    map        11        13         16          19
    224x224    64        64 64      64 64       64 64
    112x112    128       128 128    128 128     128 128
    56x56      256 256   256 256    256 x3      256 x4
    28x28      512 512   512 512    512 x3      512 x4
    14x14      512 512   512 512    512 x3      512 x4
    7x7        linear 4096, 4096, classes

`_bn` has BN after each convolution. Names of parameters as in torchvision, which averages any other resolution's last
map to 7x7.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published

PAPER = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015"
COUNTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, depth: int, bn: bool, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for count, width in zip(COUNTS[depth], WIDTHS, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, 1, 1)] + [nn.BatchNorm2d(width)] * bn + [nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (N, 512, 7, 7)
        return self.classifier(x.flatten(1))


def vgg(resolution: int = 224, classes: int = 1000, *, depth: int, bn: bool = False) -> nn.Module:
    """VGG of 11, 13, 16 or 19 layers."""
    return VGG(depth, bn, classes)


def _paper(top1_error: float, top5_error: float, mparams: float) -> Published:
    return Published(
        "Simonyan and Zisserman 2015, Tables 2 and 3, one network, one scale (256), all positions",
        top1=round(1 - top1_error / 100, 4),
        top5=round(1 - top5_error / 100, 4),
        params=mparams * 1e6,
        one_crop=False,
    )


def _register(depth: int, paper: Published, plain: tuple[float, float, float], with_bn: tuple[float, float]) -> None:
    top1, top5, gmacs = plain
    facts = (paper, Published("torchvision IMAGENET1K_V1", top1=top1, top5=top5, macs=gmacs * 1e9))
    bn_facts = (Published("torchvision IMAGENET1K_V1", top1=with_bn[0], top5=with_bn[1], macs=gmacs * 1e9),)
    for bn in (False, True):
        register(
            ModelSpec(
                name=f"vgg{depth}_bn" if bn else f"vgg{depth}",
                family="VGG",
                paper=PAPER,
                build=partial(vgg, depth=depth, bn=bn),
                input_shape=(3, 224, 224),
                published=bn_facts if bn else facts,
            )
        )


_register(11, _paper(29.6, 10.4, 133), (0.69020, 0.88628, 7.61), (0.70370, 0.89810))
_register(13, _paper(28.7, 9.9, 133), (0.69928, 0.89246, 11.31), (0.71586, 0.90374))
_register(16, _paper(27.0, 8.8, 138), (0.71592, 0.90382, 15.47), (0.73360, 0.91516))
_register(19, _paper(27.3, 9.0, 144), (0.72376, 0.90876, 19.63), (0.74218, 0.91842))
