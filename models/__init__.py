"""The networks: one architecture family per file. Importing this package registers them all."""

from edgekit.callable_module import make_callable
from edgekit.models import (
    alexnet,
    c3d,
    densenet,
    efficientnet,
    fractalnet,
    googlenet,
    inception_bn,
    inception_v3,
    lenet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
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
    "c3d",
    "densenet",
    "efficientnet",
    "fractalnet",
    "googlenet",
    "inception_bn",
    "inception_v3",
    "lenet",
    "mnasnet",
    "mobilenet_v1",
    "mobilenet_v2",
    "nin",
    "plain",
    "resnet",
    "resnet_cifar",
    "resnet_v2",
    "squeezenet",
    "vgg",
]

make_callable(__name__, "edgekit.network.catalog:models")  # `edgekit.models()` is the verb
