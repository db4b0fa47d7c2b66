"""The networks: one architecture family per file. Importing this package registers them all."""

from edgekit.models import lenet, mobilenet_v1, resnet, resnet_cifar

__all__ = ["lenet", "mobilenet_v1", "resnet", "resnet_cifar"]
