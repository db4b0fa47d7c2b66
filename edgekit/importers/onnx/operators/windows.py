"""The attributes that convolutions and pooling share: sizes, strides, and padding by number or by rule."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.importers.onnx.node import Node
from edgekit.importers.padding import Pairs, same


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
    return tuple(same(*one, rule == "SAME_UPPER") for one in zip(shape, kernel, stride, dilation, strict=True))
