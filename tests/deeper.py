"""Networks of the zoo that only repeat, more often or wider, the blocks of others that tests look into."""

from __future__ import annotations

DEEPER = {
    *("densenet169", "densenet201", "nasnet_large", "pnasnet_large", "plain34", "plain56_cifar", "resnext101_32x8d"),
    *("resnet34", "resnet101", "resnet152", "resnet101_v2", "resnet152_v2", "resnet1001_v2_cifar", "wide_resnet50_2"),
    *("resnet32_cifar", "resnet44_cifar", "resnet56_cifar", "resnet110_cifar", "resnet1202_cifar"),
    *("vgg13_bn", "vgg16_bn", "vgg19_bn"),
}
