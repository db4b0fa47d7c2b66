"""The networks: one architecture family per file. Importing this package registers them all."""

from edgekit.models import (
    alexnet,
    densenet,
    googlenet,
    inception_bn,
    inception_v3,
    lenet,
    mobilenet_v1,
    nin,
    plain,
    resnet,
    resnet_cifar,
    resnet_v2,
    squeezenet,
    vgg,
)

__all__ = [
    "alexnet",
    "densenet",
    "googlenet",
    "inception_bn",
    "inception_v3",
    "lenet",
    "mobilenet_v1",
    "nin",
    "plain",
    "resnet",
    "resnet_cifar",
    "resnet_v2",
    "squeezenet",
    "vgg",
]
