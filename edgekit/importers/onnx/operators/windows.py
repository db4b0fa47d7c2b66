"""The attributes that convolutions and pooling share: sizes, strides, and padding by number or by rule."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.importers.onnx.node import Node

Pairs = tuple[tuple[int, int], ...]


def sizes(n: Node, name: str, rank: int) -> tuple[int, ...]:
    """strides or dilations: 1 along each axis where the file leaves them out."""
    return tuple(n.get(name) or (1,) * rank)


def padding(
    n: Node, shape: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Pairs:
    """(low, high) of each axis of an input whose spatial sizes are `shape`."""
    rule, rank = n.get("auto_pad", "NOTSET"), len(kernel)
    if rule == "NOTSET":
        pads = n.get("pads") or (0,) * 2 * rank
        return tuple((pads[axis], pads[axis + rank]) for axis in range(rank))
    if rule == "VALID":
        return ((0, 0),) * rank
    return tuple(_same(*one, rule == "SAME_UPPER") for one in zip(shape, kernel, stride, dilation, strict=True))


def _same(size: int, k: int, s: int, d: int, upper: bool) -> tuple[int, int]:
    """As much as lets every stride have a window; the odd one lies at the end, or at the beginning."""
    total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def flat(pairs: Pairs) -> list[int]:
    """(low, high) of each axis, as torch's F.pad has them: the last axis first."""
    return [amount for pair in reversed(pairs) for amount in pair]
