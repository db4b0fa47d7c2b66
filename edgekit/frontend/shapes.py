"""Output shapes that need no run of a kernel.

On the meta device a kernel costs milliseconds, torch's first sum, mean, product or concatenation costs seconds more,
because it then imports its compiler, and its first pooling half a second, because it then imports its algebra. What is
not certain here is run, so that torch can refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from edgekit.ir.graph import Op

Shape = tuple[int, ...]
_ELEMENTWISE = frozenset(
    {"relu", "clip", "hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "gelu", "lrn", "softmax"}
)
_BINARY = frozenset({"add", "sub", "mul", "div"})


def known_shape(op: Op, inputs: list[Tensor], own: dict[str, Tensor]) -> Shape | None:
    """The output's shape where it is certain and the output has the inputs' type; else None."""
    first = tuple(inputs[0].shape)
    if not inputs[0].is_floating_point() or len({tensor.dtype for tensor in (*inputs, *own.values())}) > 1:
        return None
    if op.kind in _ELEMENTWISE:
        return first
    if op.kind in _BINARY:
        return _broadcast(tuple(tensor.shape) for tensor in (*inputs, *own.values()))
    if op.kind == "batch_norm":
        return first if all(tensor.shape == first[1:2] for tensor in own.values()) else None
    if op.kind == "conv":
        return _convolved(op, first, tuple(own["weight"].shape))
    if op.kind in ("max_pool", "avg_pool"):
        return _pooled(op, first)
    if op.kind == "linear":
        outputs, columns = own["weight"].shape
        return (*first[:-1], outputs) if len(first) > 1 and first[-1] == columns else None
    if op.kind == "mean" and op.attrs["keepdim"]:
        return tuple(1 if axis in op.attrs["dims"] else size for axis, size in enumerate(first))
    return _joined([tuple(x.shape) for x in inputs], op.attrs["dim"]) if op.kind == "cat" else None


def _broadcast(shapes: Iterable[Shape]) -> Shape | None:
    """The common shape of shapes of one rank."""
    shapes = list(shapes)
    if len({len(shape) for shape in shapes}) > 1:
        return None
    axes = [{1, *sizes} for sizes in zip(*shapes, strict=True)]
    return tuple(max(sizes) for sizes in axes) if all(len(sizes) <= 2 for sizes in axes) else None


def _joined(shapes: list[Shape], dim: int) -> Shape | None:
    rest = {(*shape[:dim], *shape[dim + 1 :]) for shape in shapes}
    first = shapes[0]
    return (*first[:dim], sum(shape[dim] for shape in shapes), *first[dim + 1 :]) if len(rest) == 1 else None


def _convolved(op: Op, x: Shape, weight: Shape) -> Shape | None:
    groups = op.attrs["groups"]
    if len(x) != len(weight) or x[1] != weight[1] * groups or weight[0] % groups:
        return None
    sizes = _windows(op, x[2:], weight[2:])
    return (x[0], weight[0], *sizes) if min(sizes) > 0 else None


def _pooled(op: Op, x: Shape) -> Shape | None:
    kernel = op.attrs["kernel"]
    wide = any(2 * max(pads) > k for pads, k in zip(op.attrs["padding"], kernel, strict=True))
    if wide or len(x) != len(kernel) + 2:
        return None
    sizes = _windows(op, x[2:], kernel)
    return (*x[:2], *sizes) if min(sizes) > 0 else None


def _windows(op: Op, sizes: Shape, kernel: Shape) -> Shape:
    """How often a kernel fits along each axis."""
    a = op.attrs
    axes = zip(sizes, kernel, a["stride"], a.get("dilation", (1,) * len(kernel)), a["padding"], strict=True)
    return tuple((size + low + high - d * (k - 1) - 1) // s + 1 for size, k, s, d, (low, high) in axes)
