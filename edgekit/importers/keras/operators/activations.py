"""Activations: by name, as layers, and as what a layer computes on its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, plainly, sloped, unflattened
from edgekit.importers.keras.node import Node


def activated(n: Node, x: Held) -> Held:
    """What a layer gives: the activation in its settings computed on `x`."""
    told = n.get("activation", "linear")
    if not isinstance(told, Mapping):
        return named(n, str(told), x)
    name, config = str(told.get("class_name")), told.get("config")
    if name in LAYERS and isinstance(config, Mapping):  # a layer as an activation
        return LAYERS[name](replace(n, kind=name, config=config, weights={}), x)
    return named(n, config if isinstance(config, str) else name, x)


def named(n: Node, name: str, x: Held) -> Held:
    """An activation by its name."""
    name = name.rpartition(">")[2].rpartition(".")[2].lower()
    if name in ("softmax", "log_softmax"):
        return along(x, getattr(torch, name), -1)
    if name == "hard_sigmoid" and n.old:
        return x.to(torch.clamp(x.tensor * 0.2 + 0.5, 0.0, 1.0))
    if name not in BY_NAME:
        raise n.refusal(f"has the activation {name[:40]}, which is not read", "take one of Keras' own")
    return x.to(BY_NAME[name](x.tensor))


def along(x: Held, function: Callable[[Tensor, int], Tensor], axis: int) -> Held:
    """A function of one axis."""
    x = unflattened(x)
    return x.to(function(x.tensor, x.dims([axis])[0]))


def relu(n: Node, x: Held) -> Held:
    """max(x, 0), up to `max_value`; `negative_slope` times what is below `threshold`."""
    slope, threshold = n.number("negative_slope"), n.number("threshold")
    most = n.number("max_value", math.inf)
    data = x.tensor
    if threshold:
        below = (data - threshold) * slope if slope else torch.zeros_like(data)
        kept = torch.where(data >= threshold, data, below)
        return x.to(kept if most == math.inf else torch.clamp(kept, max=most))
    if slope:
        leaky = F.leaky_relu(data, slope)
        return x.to(leaky if most == math.inf else torch.clamp(leaky, max=most))
    return x.to(torch.relu(data) if most == math.inf else torch.clamp(data, 0.0, most))


def leaky_relu(n: Node, x: Held) -> Held:
    """LeakyReLU: Keras 2 calls the slope alpha."""
    return x.to(F.leaky_relu(x.tensor, n.number("negative_slope", n.number("alpha", 0.3))))


def thresholded_relu(n: Node, x: Held) -> Held:
    """ThresholdedReLU of Keras 2."""
    theta = n.number("theta", 1.0)
    return x.to(torch.where(x.tensor > theta, x.tensor, torch.zeros_like(x.tensor)))


def elu(n: Node, x: Held) -> Held:
    """ELU."""
    return x.to(F.elu(x.tensor, n.number("alpha", 1.0)))


def prelu(n: Node, x: Held) -> Held:
    """PReLU: a slope for each element of the axes that are not shared."""
    slope = n.weights["alpha"]
    channels = x.shape[-1]
    if x.columns is None and slope.numel() == slope.shape[-1] == channels and x.axes[-1] == 1:
        return x.to(F.prelu(x.tensor, slope.reshape(-1)))
    return sloped(x, plainly(slope[None]))


def softmax(n: Node, x: Held) -> Held:
    """Softmax."""
    return along(x, torch.softmax, n.axis(x))


BY_NAME: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "identity": lambda x: x,
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "swish": F.silu,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "hard_silu": F.hardswish,
    "hard_swish": F.hardswish,
    "hard_tanh": F.hardtanh,
    "exponential": torch.exp,
    "tanh_shrink": F.tanhshrink,
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "squareplus": lambda x: (x + torch.sqrt(x * x + 4.0)) / 2.0,
}
LAYERS: dict[str, Callable[[Node, Held], Held]] = {
    "Activation": activated,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ThresholdedReLU": thresholded_relu,
    "ELU": elu,
    "PReLU": prelu,
    "Softmax": softmax,
}
