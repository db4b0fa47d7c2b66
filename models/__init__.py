"""The networks: one architecture family per file. Importing this package registers them all."""

from importlib.util import find_spec

from edgekit.callable_module import make_callable

if find_spec("torch"):  # the facts of the networks are there without it
    from edgekit.models import (
        alexnet,
        c3d,
        darts,
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
        nasnet,
        nin,
        overfeat,
        plain,
        pnasnet,
        resnet,
        resnet_cifar,
        resnet_v2,
        squeezenet,
        vgg,
    )

__all__ = [
    "alexnet",
    "c3d",
    "darts",
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
    "nasnet",
    "nin",
    "overfeat",
    "plain",
    "pnasnet",
    "resnet",
    "resnet_cifar",
    "resnet_v2",
    "squeezenet",
    "vgg",
]

make_callable(__name__, "edgekit.network.catalog:models")  # `edgekit.models()` is the verb
