"""The networks: one architecture family per file. Importing this package registers them all."""

from edgekit.callable_module import make_callable
from edgekit.models import alexnet, googlenet, inception_bn, lenet, mobilenet_v1, nin, resnet, resnet_cifar, vgg

__all__ = ["alexnet", "googlenet", "inception_bn", "lenet", "mobilenet_v1", "nin", "resnet", "resnet_cifar", "vgg"]

make_callable(__name__, "edgekit.zoo:models")  # `edgekit.models()` is the verb
