"""What moves elements: shapes, axes, borders, sizes."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from edgekit.importers.held import Held, arranged, plain, plainly, reshaped
from edgekit.importers.keras.node import Node
from edgekit.importers.padding import flat
from edgekit.importers.source import LARGEST


def same(n: Node, x: Held) -> Held:
    """What acts in training only."""
    return x


def flatten(n: Node, x: Held) -> Held:
    """Flatten. Of maps with channels first Keras puts the channels last before."""
    if n.channels_first and x.rank > 2:
        x = Held(x.tensor, (x.axes[0], *x.axes[2:], x.axes[1]), x.columns)
    return reshaped(x, (x.shape[0], math.prod(x.shape[1:])))


def reshape(n: Node, x: Held) -> Held:
    """Reshape: the batch stays."""
    return reshaped(x, (x.shape[0], *filled(n, list(n.config["target_shape"]), math.prod(x.shape[1:]))))


def filled(n: Node, shape: list[int], count: int) -> list[int]:
    """A shape with its -1 made a number."""
    free, known = shape.count(-1), math.prod(size for size in shape if size != -1)
    if free > 1 or known < 1 or (count % known if free else count != known):
        raise n.refusal(f"makes {shape} of {count} elements", "save it with Keras again")
    return [count // known if size == -1 else size for size in shape]


def permute(n: Node, x: Held) -> Held:
    """Permute: axes are counted from 1, and the batch stays."""
    dims = [int(one) for one in n.config["dims"]]
    if sorted(dims) != list(range(1, x.rank)):
        raise n.refusal(f"has dims {dims} of {x.rank - 1} axes", "save it with Keras again")
    return turned(x, [0, *dims])


def turned(x: Held, order: list[int]) -> Held:
    """The axes in another order; nothing is moved."""
    if x.columns is not None:
        x = plainly(plain(x))
    return Held(x.tensor, tuple(x.axes[axis] for axis in order))


def repeat_vector(n: Node, x: Held) -> Held:
    """RepeatVector: (N, C) -> (N, times, C)."""
    times = int(n.config["n"])
    if not 0 < times * x.tensor.numel() <= LARGEST:
        raise n.refusal(f"repeats {times} times")
    return plainly(plain(x)[:, None].expand(-1, times, -1))


def concatenate(n: Node, *values: Held) -> Held:
    """Concatenate along one axis."""
    return joined(values, n.axis(values[0]))


def joined(values: tuple[Held, ...], axis: int) -> Held:
    """Several values along one axis, lying as the largest of them does."""
    leader = max(values, key=lambda one: one.tensor.numel())
    if leader.columns is not None:
        leader = plainly(plain(leader))
    dim = leader.axes[axis]
    return leader.to(torch.cat([arranged(one, leader.axes) for one in values], dim))


def zero_padding(n: Node, x: Held) -> Held:
    """ZeroPadding1D to 3D."""
    return n.held(F.pad(n.maps(x), flat(n.pairs("padding", n.rank))))


def cropping(n: Node, x: Held) -> Held:
    """Cropping1D to 3D."""
    data = n.maps(x)
    for dim, (low, high) in enumerate(n.pairs("cropping", n.rank), start=2):
        if low + high >= data.shape[dim]:
            raise n.refusal(f"takes {low + high} of {data.shape[dim]} elements")
        data = data.narrow(dim, low, data.shape[dim] - low - high)
    return n.held(data)


def up_sampling(n: Node, x: Held) -> Held:
    """UpSampling1D to 3D by whole numbers."""
    data = n.maps(x)
    factors = n.sizes("size", n.rank, 2)
    sizes = tuple(have * factor for have, factor in zip(data.shape[2:], factors, strict=True))
    return n.held(_resized(n, data, sizes))


def resizing(n: Node, x: Held) -> Held:
    """Resizing, without smoothing and with the aspect ratio changed."""
    asked = [key for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias") if n.get(key, False)]
    if asked:
        raise n.refusal(f"has {asked[0]}, which is not read", "resize images before they reach the network")
    return n.held(_resized(n, n.maps(x), (int(n.config["height"]), int(n.config["width"]))))


def _resized(n: Node, data: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    mode = n.get("interpolation", "bilinear" if n.kind == "Resizing" else "nearest")
    if not 0 < math.prod(sizes) * data.shape[1] <= LARGEST:
        raise n.refusal(f"makes a map of {sizes}")
    if mode == "nearest":  # TensorFlow takes the element below the center
        whole = all(want % have == 0 for have, want in zip(data.shape[2:], sizes, strict=True))
        return F.interpolate(data, sizes, mode="nearest" if whole else "nearest-exact")
    if mode != "bilinear" or len(sizes) != 2:
        raise n.refusal(f"has the interpolation {mode}, which is not read", "take nearest or bilinear")
    return F.interpolate(data, sizes, mode="bilinear", align_corners=False)


def merged(values: tuple[Held, ...]) -> tuple[Held, ...]:
    """Operands of a merging layer: Keras puts axes of size 1 behind the batch of those that have fewer."""
    rank = max(one.rank for one in values)
    return tuple(
        one if one.rank in (0, rank) else reshaped(one, (one.shape[0], *[1] * (rank - one.rank), *one.shape[1:]))
        for one in values
    )
