"""AlexNet and its near relatives.

    "ImageNet Classification with Deep Convolutional Neural Networks", Krizhevsky, Sutskever, Hinton 2012, at 227x227
    (the paper prints 224, from which its own layers do not follow):

    conv1  11x11, 96, / 4             96 x 55x55    ReLU, LRN, pool 3x3 / 2    27x27
    conv2  5x5, 256, 2 groups        256 x 27x27    ReLU, LRN, pool 3x3 / 2    13x13
    conv3  3x3, 384                  384 x 13x13    ReLU
    conv4  3x3, 384, 2 groups        384 x 13x13    ReLU
    conv5  3x3, 256, 2 groups        256 x 13x13    ReLU, pool 3x3 / 2           6x6
    fc6 4096, fc7 4096, fc8 classes                 ReLU and dropout after the first two

* `alexnet_simplified`: as lectures draw it: no groups, and the pool before the LRN.
* `alexnet_tv`: torchvision's (Krizhevsky 2014, "One weird trick"): one tower, narrower, no LRN; its names.
* `zfnet`: "Visualizing and Understanding Convolutional Networks", Zeiler and Fergus 2014: conv1 7x7 / 2, conv2 / 2, the
  pool before the LRN, and conv3, conv4, conv5 of 512, 1024, 512 (their best single network).
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import only_resolution, register
from edgekit.network.spec import ModelSpec, Published

PAPER = "Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012"


def lrn() -> nn.Module:
    """x / (2 + 1e-4 x the sum of squares over 5 channels) ^ 0.75; torch divides its alpha by the 5."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def head(inputs: int, classes: int) -> nn.Sequential:
    """fc6, fc7, fc8: (N, inputs) -> (N, classes)."""
    return nn.Sequential(
        nn.Linear(inputs, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, classes),
    )


class AlexNet(nn.Module):
    """(N, 3, 227, 227) -> (N, classes). `original`: two groups and LRN before the pool; else the lectures' form."""

    def __init__(self, classes: int, original: bool) -> None:
        super().__init__()
        groups = 2 if original else 1
        self.norm_first = original
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.norm1 = lrn()
        self.pool1 = nn.MaxPool2d(3, 2)
        self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=groups)
        self.norm2 = lrn()
        self.pool2 = nn.MaxPool2d(3, 2)
        self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=groups)
        self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=groups)
        self.pool5 = nn.MaxPool2d(3, 2)
        self.classifier = head(256 * 6 * 6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).relu()  # (N, 96, 55, 55)
        x = self.pool1(self.norm1(x)) if self.norm_first else self.norm1(self.pool1(x))
        x = self.conv2(x).relu()  # (N, 256, 27, 27)
        x = self.pool2(self.norm2(x)) if self.norm_first else self.norm2(self.pool2(x))
        x = self.conv4(self.conv3(x).relu()).relu()  # (N, 384, 13, 13)
        x = self.pool5(self.conv5(x).relu())  # (N, 256, 6, 6)
        return self.classifier(x.flatten(1))


class ZFNet(nn.Module):
    """(N, 3, 224, 224) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, 2, 1)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = lrn()
        self.conv2 = nn.Conv2d(96, 256, 5, 2)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm2 = lrn()
        self.conv3 = nn.Conv2d(256, 512, 3, 1, 1)
        self.conv4 = nn.Conv2d(512, 1024, 3, 1, 1)
        self.conv5 = nn.Conv2d(1024, 512, 3, 1, 1)
        self.pool5 = nn.MaxPool2d(3, 2)
        self.classifier = head(512 * 6 * 6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.pool1(self.conv1(x).relu()))  # (N, 96, 55, 55)
        x = self.norm2(self.pool2(self.conv2(x).relu()))  # (N, 256, 13, 13)
        x = self.conv4(self.conv3(x).relu()).relu()  # (N, 1024, 13, 13)
        x = self.pool5(self.conv5(x).relu())  # (N, 512, 6, 6)
        return self.classifier(x.flatten(1))


class TorchvisionAlexNet(nn.Module):
    """(N, 3, H, W) -> (N, classes); 6x6 before the classifier at 224, averaged to it at any other resolution."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def alexnet(resolution: int = 227, classes: int = 1000) -> nn.Module:
    """The network of 2012, as one tower with grouped convolutions; 227x227 only."""
    only_resolution("alexnet", resolution, 227)
    return AlexNet(classes, original=True)


def alexnet_simplified(resolution: int = 227, classes: int = 1000) -> nn.Module:
    """The network as lectures draw it, without groups; 227x227 only."""
    only_resolution("alexnet_simplified", resolution, 227)
    return AlexNet(classes, original=False)


def alexnet_tv(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """torchvision's alexnet."""
    return TorchvisionAlexNet(classes)


def zfnet(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """Zeiler and Fergus' network with the wide conv3, conv4, conv5; 224x224 only."""
    only_resolution("zfnet", resolution, 224)
    return ZFNet(classes)


register(
    ModelSpec(
        name="alexnet",
        family="AlexNet",
        paper=PAPER,
        build=alexnet,
        input_shape=(3, 227, 227),
        fixed_resolution=True,
        published=(
            Published(
                "Krizhevsky et al. 2012, Table 2, one network, 10 crops, ILSVRC'12 validation",
                top1=0.593,
                top5=0.818,
                params=60e6,
                one_crop=False,
            ),
        ),
    )
)
register(
    ModelSpec(
        name="alexnet_simplified",
        family="AlexNet",
        paper=PAPER,
        build=alexnet_simplified,
        input_shape=(3, 227, 227),
        fixed_resolution=True,
    )
)
register(
    ModelSpec(
        name="alexnet_tv",
        family="AlexNet",
        paper="Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, 2014",
        build=alexnet_tv,
        input_shape=(3, 224, 224),
        min_resolution=63,
        published=(Published("torchvision IMAGENET1K_V1", 0.56522, 0.79066, 0.71e9, 61_100_840),),
    )
)
register(
    ModelSpec(
        name="zfnet",
        family="AlexNet",
        paper="Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014",
        build=zfnet,
        input_shape=(3, 224, 224),
        fixed_resolution=True,
        published=(
            Published(
                "Zeiler and Fergus 2014, Table 2, one network with 512, 1024, 512 maps, ILSVRC'12 validation",
                top1=0.625,
                top5=0.840,
            ),
        ),
    )
)
