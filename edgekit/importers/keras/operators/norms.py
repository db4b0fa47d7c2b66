"""Normalization, and scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, first, maps, plain, plainly, together
from edgekit.importers.keras.node import Node
from edgekit.importers.tensors import as_tensor


def _channels(n: Node, x: Held) -> tuple[Tensor, Callable[[Tensor], Held]]:
    """A tensor with the normalized axis where torch has the channels, and what such a result is."""
    axis = n.axis(x)
    if axis not in (1, x.rank - 1):
        raise n.refusal(f"normalizes axis {axis} of {x.rank}")
    return (first(x), maps) if axis == x.rank - 1 else (plain(x), plainly)


def batch_norm(n: Node, x: Held) -> Held:
    """BatchNormalization with its stored statistics."""
    w, (data, held) = n.weights, _channels(n, x)
    mean, var = w["moving_mean"], w["moving_variance"]
    scale, shift = w.get("gamma", torch.ones_like(mean)), w.get("beta", torch.zeros_like(mean))
    return held(F.batch_norm(data, mean, var, scale, shift, False, 0.0, n.number("epsilon", 1e-3)))


def layer_norm(n: Node, x: Held) -> Held:
    """LayerNormalization over the last axes."""
    told = n.get("axis", -1)
    axes = sorted(one % x.rank for one in ([told] if isinstance(told, int) else told))
    if n.get("rms_scaling", False) or axes != list(range(x.rank - len(axes), x.rank)):
        raise n.refusal("normalizes otherwise than over its last axes")
    data = plain(x)
    shape, w = data.shape[-len(axes) :], n.weights
    scale, shift = (None if one not in w else w[one].reshape(shape) for one in ("gamma", "beta"))
    return plainly(F.layer_norm(data, tuple(shape), scale, shift, n.number("epsilon", 1e-3)))


def group_norm(n: Node, x: Held) -> Held:
    """GroupNormalization of the last axis, or of axis 1."""
    w, (data, held), groups = n.weights, _channels(n, x), int(n.get("groups", 32))
    groups = data.shape[1] if groups == -1 else groups
    return held(F.group_norm(data, groups, w.get("gamma"), w.get("beta"), n.number("epsilon", 1e-3)))


def unit_norm(n: Node, x: Held) -> Held:
    """UnitNormalization: of length 1 along an axis."""
    return x.to(F.normalize(x.tensor, 2.0, x.dims([n.axis(x)])[0], 1e-6))


def normalization(n: Node, x: Held) -> Held:
    """Normalization: (x - mean) / deviation, of the file's statistics or of its settings."""
    mean, var = (_told(n, role) for role in ("mean", "variance"))
    std = torch.sqrt(var).clamp(min=1e-7)
    shape = _beside(n, x, mean)
    if n.get("invert", False):
        return _scaled(x, std.reshape(shape), mean.reshape(shape))
    return _scaled(x, (1 / std).reshape(shape), (-mean / std).reshape(shape))


def _told(n: Node, role: str) -> Tensor:
    return n.weights[role] if role in n.weights else numbers(n.config[role])


def _beside(n: Node, x: Held, mean: Tensor) -> list[int]:
    """The shape in which numbers of the axes `axis` stand beside `x`."""
    told = n.config.get("axis", -1)
    axes = [] if told is None else [told] if isinstance(told, int) else list(told)
    if mean.numel() == 1:
        return [1] * x.rank
    kept = {axis % x.rank for axis in axes}
    return [size if axis in kept else 1 for axis, size in enumerate(x.shape)]


def rescaling(n: Node, x: Held) -> Held:
    """Rescaling: x * scale + offset, which are numbers, or one for each element of the last axis."""
    return _scaled(x, numbers(n.get("scale", 1.0)), numbers(n.get("offset", 0.0)))


def layer_scale(n: Node, x: Held) -> Held:
    """LayerScale of Keras' ConvNeXt: a factor for each channel."""
    return _scaled(x, n.weights["gamma"], torch.zeros(()))


def _scaled(x: Held, scale: Tensor, offset: Tensor) -> Held:
    """x * scale + offset, without what changes nothing. One number stays a number of the network."""
    (data, factor, addend), leader = together([x, plainly(scale), plainly(offset)])
    if bool((scale != 1).any()):
        data = data * (factor.reshape(-1)[0].item() if factor.numel() == 1 else factor)
    if bool((offset != 0).any()):
        data = data + (addend.reshape(-1)[0].item() if addend.numel() == 1 else addend)
    return leader.to(data)


def numbers(value: Any) -> Tensor:
    """A number or numbers of a configuration; Keras writes arrays as an object."""
    if isinstance(value, dict):
        value = value["config"]["value"]
    return as_tensor(np.asarray(value, np.float32))
