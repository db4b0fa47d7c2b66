"""SqueezeNet: "AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", Iandola et al. 2016, Table 1.

A fire module squeezes with 1x1 and expands with 1x1 and 3x3 side by side, ReLU after each.

    1.0, at 224x224               squeeze, expand   1.1 (the authors' cheaper successor)
    conv    7x7, 96, / 2                            conv    3x3, 64, / 2
    pool    3x3 / 2                                 pool    3x3 / 2
    fire2   fire3           54     16,  64 +  64    fire2   fire3           55
    fire4                   54     32, 128 + 128    pool    3x3 / 2
    pool    3x3 / 2                                 fire4   fire5           27
    fire5                   27     32, 128 + 128    pool    3x3 / 2
    fire6   fire7           27     48, 192 + 192    fire6   fire7           13
    fire8                   27     64, 256 + 256    fire8   fire9           13
    pool    3x3 / 2
    fire9                   13     64, 256 + 256
    dropout, conv 1x1 to classes, average pool      the same

Names of parameters as in torchvision.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published


class Fire(nn.Module):
    """(N, inputs, H, W) -> (N, 2 expand, H, W)."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def pool() -> nn.Module:
    """3x3 / 2, the last window may hang over."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def features_1_0() -> nn.Sequential:
    """Table 1."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 7, 2),
        nn.ReLU(),
        pool(),
        Fire(96, 16, 64),
        Fire(128, 16, 64),
        Fire(128, 32, 128),
        pool(),
        Fire(256, 32, 128),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        pool(),
        Fire(512, 64, 256),
    )


def features_1_1() -> nn.Sequential:
    """2.4 times fewer MACs: a smaller first layer and earlier pools."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2),
        nn.ReLU(),
        pool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        pool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        pool(),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    )


class SqueezeNet(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, features: nn.Sequential, classes: int) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


def squeezenet(resolution: int = 224, classes: int = 1000, *, version: str) -> nn.Module:
    """SqueezeNet "1.0" or "1.1"."""
    return SqueezeNet(features_1_0() if version == "1.0" else features_1_1(), classes)


_PAPER = Published("Iandola et al. 2016, Table 2", top1=0.575, top5=0.803, params=1.25e6)
for _version, _facts in (
    ("1.0", (_PAPER, Published("torchvision IMAGENET1K_V1", 0.58092, 0.80420, 0.82e9, 1_248_424))),
    ("1.1", (Published("torchvision IMAGENET1K_V1", 0.58178, 0.80624, 0.35e9, 1_235_496),)),
):
    register(
        ModelSpec(
            name=f"squeezenet{_version.replace('.', '_')}",
            family="SqueezeNet",
            paper="Iandola et al., SqueezeNet: AlexNet-level Accuracy with 50x Fewer Parameters, 2016",
            build=partial(squeezenet, version=_version),
            input_shape=(3, 224, 224),
            published=_facts,
        )
    )
