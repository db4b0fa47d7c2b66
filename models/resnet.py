"""Residual networks for ImageNet and what grew from them; names of parameters as in torchvision.

    "Deep Residual Learning for Image Recognition", He, Zhang, Ren, Sun 2015, Table 1, at 224x224:

    layer    output    18            34            50                101               152
    conv1    112x112   7x7, 64, / 2
    maxpool  56x56     3x3 / 2
    layer1   56x56     [3x3,  64] x2   x2 | x3     [1x1,  64; 3x3,  64; 1x1,  256]  x3 | x3  | x3
    layer2   28x28     [3x3, 128] x2   x2 | x4     [1x1, 128; 3x3, 128; 1x1,  512]  x4 | x4  | x8
    layer3   14x14     [3x3, 256] x2   x2 | x6     [1x1, 256; 3x3, 256; 1x1, 1024]  x6 | x23 | x36
    layer4   7x7       [3x3, 512] x2   x2 | x3     [1x1, 512; 3x3, 512; 1x1, 2048]  x3 | x3  | x3
    avgpool  1x1       average pool, linear to classes

Where a bottleneck halves its input, `stride` says which convolution does it: "3x3" as torchvision and all its weights,
"1x1" as the paper.

* ResNeXt (Xie et al. 2017): the 3x3 has `groups` groups of `group_width` channels.
* Wide ResNet (Zagoruyko and Komodakis 2016): the two inner convolutions are twice as wide.
* SE-ResNet (Hu et al. 2018): each branch is rescaled per channel before the sum; the squeeze is 16 times narrower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from edgekit.models.blocks import register
from edgekit.network.spec import ModelSpec, Published

HE = "He et al., Deep Residual Learning for Image Recognition, 2015"
XIE = "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, 2017"
ZAGORUYKO = "Zagoruyko and Komodakis, Wide Residual Networks, 2016"
HU = "Hu et al., Squeeze-and-Excitation Networks, 2018"

Block = Callable[[int, int, int], nn.Module]
COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class SqueezeExcite(nn.Module):
    """Rescales each channel by a factor in (0, 1) that the whole map decides: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.sigmoid(self.fc2(self.relu(self.fc1(self.squeeze(x)))))


def projection(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """The 1x1 shortcut where the shape changes (the paper's option B), else None: the identity."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut: (N, inputs, H, W) -> (N, width, H / stride, W / stride)."""

    def __init__(self, inputs: int, width: int, stride: int, se: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = SqueezeExcite(width) if se else nn.Identity()
        self.relu = nn.ReLU()
        self.downsample = projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.se(self.bn2(self.conv2(x)))
        return self.relu(x + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and the shortcut: (N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        se: bool = False,
        groups: int = 1,
        group_width: int = 64,
        stride_in: str = "3x3",
    ) -> None:
        super().__init__()
        outputs, inner = 4 * width, width * group_width // 64 * groups
        first, second = (1, stride) if stride_in == "3x3" else (stride, 1)
        self.conv1 = nn.Conv2d(inputs, inner, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, second, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.se = SqueezeExcite(outputs) if se else nn.Identity()
        self.relu = nn.ReLU()
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.se(self.bn3(self.conv3(x)))
        return self.relu(x + shortcut)


class ResNet(nn.Module):
    """(N, 3, H, W) -> (N, classes). `block(inputs, width, stride)` makes a block with `expansion` x width outputs."""

    def __init__(self, block: Block, expansion: int, counts: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(block, 64, 64, expansion, counts[0], 1)
        self.layer2 = stage(block, 64 * expansion, 128, expansion, counts[1], 2)
        self.layer3 = stage(block, 128 * expansion, 256, expansion, counts[2], 2)
        self.layer4 = stage(block, 256 * expansion, 512, expansion, counts[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * expansion, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, 64, H / 4, W / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 512 or 2048, H / 32, W / 32)
        return self.fc(self.avgpool(x).flatten(1))


def stage(block: Block, inputs: int, width: int, expansion: int, count: int, stride: int) -> nn.Sequential:
    """`count` blocks, the first with `stride`."""
    return nn.Sequential(block(inputs, width, stride), *[block(width * expansion, width, 1) for _ in range(count - 1)])


def basic_resnet(resolution: int = 224, classes: int = 1000, *, depth: int, se: bool = False) -> nn.Module:
    """A residual network of basic blocks, 18 or 34 layers deep."""
    return ResNet(partial(BasicBlock, se=se), 1, COUNTS[depth], classes)


def bottleneck_resnet(
    resolution: int = 224,
    classes: int = 1000,
    stride: str = "3x3",
    *,
    depth: int,
    se: bool = False,
    groups: int = 1,
    group_width: int = 64,
) -> nn.Module:
    """A residual network of bottlenecks, 50, 101 or 152 layers deep; `stride` is "3x3" or "1x1"."""
    block = partial(Bottleneck, se=se, groups=groups, group_width=group_width, stride_in=stride)
    return ResNet(block, 4, COUNTS[depth], classes)


def _he(top1_error: float, top5_error: float | None, gmacs: float, **options: str) -> Published:
    return Published(
        "He et al. 2015, single network, 10-crop; multiply-adds of its Table 1",
        top1=round(1 - top1_error / 100, 4),
        top5=None if top5_error is None else round(1 - top5_error / 100, 4),
        macs=gmacs * 1e9,
        options=options,
        one_crop=False,
    )


def _torchvision(top1: float, top5: float, params: float, gmacs: float) -> Published:
    facts = (round(top1 / 100, 5), round(top5 / 100, 5), gmacs * 1e9, params)
    return Published("torchvision IMAGENET1K_V1", *facts, macs_unit=1e7, params_unit=1)


def _register(name: str, paper: str, depth: int, published: tuple[Published, ...], **more: int | bool) -> None:
    bottleneck = depth >= 50
    register(
        ModelSpec(
            name=name,
            family="ResNet",
            paper=paper,
            build=partial(bottleneck_resnet if bottleneck else basic_resnet, depth=depth, **more),  # type: ignore[arg-type]
            input_shape=(3, 224, 224),
            options={"stride": ("3x3", "1x1")} if bottleneck else {},
            published=published,
        )
    )


_register("resnet18", HE, 18, (_he(27.88, None, 1.8), _torchvision(69.758, 89.078, 11_689_512, 1.81)))
_register("resnet34", HE, 34, (_he(25.03, 7.76, 3.6), _torchvision(73.314, 91.420, 21_797_672, 3.66)))
_register("resnet50", HE, 50, (_he(22.85, 6.71, 3.8, stride="1x1"), _torchvision(76.130, 92.862, 25_557_032, 4.09)))
_register("resnet101", HE, 101, (_he(21.75, 6.05, 7.6, stride="1x1"), _torchvision(77.374, 93.546, 44_549_160, 7.80)))
_register("resnet152", HE, 152, (_he(21.43, 5.71, 11.3, stride="1x1"), _torchvision(78.312, 94.046, 60_192_808, 11.51)))
_register("wide_resnet50_2", ZAGORUYKO, 50, (_torchvision(78.468, 94.086, 68_883_240, 11.40),), group_width=128)
_register(
    "resnext50_32x4d",
    XIE,
    50,
    (
        Published("Xie et al. 2017, single crop", top1=0.778, macs=4.2e9, params=25.0e6, params_unit=1e5),
        _torchvision(77.618, 93.698, 25_028_904, 4.23),
    ),
    groups=32,
    group_width=4,
)
_register("resnext101_32x8d", XIE, 101, (_torchvision(79.312, 94.526, 88_791_336, 16.41),), groups=32, group_width=8)
_register("se_resnet18", HU, 18, (), se=True)
_register(
    "se_resnet50",
    HU,
    50,
    (Published("Hu et al. 2018, Table 2, single crop", top1=0.7671, top5=0.9338, macs=3.87e9, params=28.1e6),),
    se=True,
)
