"""Output shapes that need no run of a kernel.

On the meta device a kernel costs milliseconds, torch's first sum, mean, product or concatenation costs seconds more,
because it then imports its compiler, and its first pooling half a second, because it then imports its algebra. What is
not certain here is run, so that torch can refuse it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch

from edgekit.ir.reference import ELEMENTWISE

Shape = tuple[int, ...]


class Shaped(Protocol):
    """A tensor, or what stands for one."""

    @property
    def shape(self) -> Shape: ...

    @property
    def dtype(self) -> torch.dtype: ...


_SAME = ELEMENTWISE | {"lrn", "softmax", "log_softmax", "cumsum"}
_BINARY = frozenset({"add", "sub", "mul", "div", "pow", "maximum", "minimum", "floor_div", "remainder"})
_COMPARING = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
_TYPELESS = frozenset({"permute", "slice", "reshape", "expand", "tile", "flip", "gather", "cast", "pad"})
_REDUCING = frozenset({"mean", "sum", "max", "min"})


def known_shape(
    kind: str, attrs: Mapping[str, Any], inputs: Sequence[Shaped], own: Mapping[str, Shaped]
) -> tuple[Shape, torch.dtype] | None:
    """The output's shape and type where they are certain; else None. What mixes types is not looked at."""
    if not inputs:
        return None
    dtype = inputs[0].dtype
    shapes, owns = [tuple(x.shape) for x in inputs], {role: tuple(x.shape) for role, x in own.items()}
    if kind in _TYPELESS:
        moved = _moved(kind, attrs, [*shapes, *owns.values()])
        return None if moved is None else (moved, attrs["dtype"] if kind == "cast" else dtype)
    if kind == "where":
        joined = _broadcast(shapes) if inputs[1].dtype == inputs[2].dtype else None
        return None if joined is None else (joined, inputs[1].dtype)
    if not dtype.is_floating_point or len({tensor.dtype for tensor in (*inputs, *own.values())}) != 1:
        return None
    shape = _shape(kind, attrs, shapes, owns)
    results = {**dict.fromkeys(_COMPARING, torch.bool), "argmax": torch.int64, "argmin": torch.int64}
    return None if shape is None else (shape, results.get(kind, dtype))


def _shape(kind: str, a: Mapping[str, Any], inputs: list[Shape], own: dict[str, Shape]) -> Shape | None:
    first = inputs[0]
    if kind in _SAME:
        return first
    if kind in _BINARY or kind in _COMPARING:
        return _broadcast([*inputs, *own.values()])
    if kind == "group_norm":
        return first if len(first) > 1 and first[1] % a["groups"] == 0 else None
    if kind == "batch_norm":
        return first if all(shape == first[1:2] for shape in own.values()) else None
    if kind == "layer_norm":
        return first if all(shape == tuple(first[dim] for dim in a["dims"]) for shape in own.values()) else None
    if kind == "linear":
        outputs, columns = own["weight"]
        return (*first[:-1], outputs) if len(first) > 1 and first[-1] == columns else None
    if kind == "matmul":
        return _product(first, inputs[1])
    if kind in _REDUCING:
        return reduced(first, a["dims"], a["keepdim"])
    if kind in ("argmax", "argmin"):
        return reduced(first, (a["dim"],), a.get("keepdim", False))
    if kind in ("lstm", "lstm_cell", "gru"):
        steps = 1 if kind == "lstm_cell" else first[0]
        return (steps, first[1], a["hidden"]) if len(first) == 3 and own["w_ih"][1] == first[2] else None
    return _windowed(kind, a, inputs, own) or _moved(kind, a, inputs)


def _windowed(kind: str, a: Mapping[str, Any], inputs: list[Shape], own: dict[str, Shape]) -> Shape | None:
    if kind in ("conv", "conv_dynamic"):
        return _convolved(a, inputs[0], own["weight"] if kind == "conv" else inputs[1])
    if kind == "conv_transpose":
        return _transposed(a, inputs[0], own["weight"])
    return _pooled(a, inputs[0]) if kind in ("max_pool", "avg_pool") else None


def _moved(kind: str, a: Mapping[str, Any], inputs: list[Shape]) -> Shape | None:
    first = inputs[0]
    if kind in ("cast", "flip"):
        return first
    if kind == "cat":
        return _joined(inputs, a["dim"])
    if kind == "gather":
        return (*first[: a["dim"]], *inputs[1], *first[a["dim"] + 1 :])
    if kind == "tile":
        return tuple(size * times for size, times in zip(first, a["repeats"], strict=True))
    if kind == "expand":
        pairs = [(have, have if want == -1 else want) for have, want in zip(first, a["shape"], strict=True)]
        return tuple(want for _, want in pairs) if all(have in (1, want) for have, want in pairs) else None
    if kind == "pad":
        constant = a.get("mode", "constant") == "constant"
        sizes = tuple(size + low + high for size, (low, high) in zip(first, a["pads"], strict=True))
        return sizes if constant and min(sizes, default=1) > 0 else None
    if kind == "permute":
        return tuple(first[dim] for dim in a["dims"]) if sorted(a["dims"]) == list(range(len(first))) else None
    if kind == "slice":
        size = len(range(*slice(a["start"], a["stop"], a["step"]).indices(first[a["dim"]])))
        return (*first[: a["dim"]], size, *first[a["dim"] + 1 :])
    if kind == "reshape":
        shape: Shape = a["shape"]
        whole = (first[0], *shape[1:]) if shape[:1] == (-1,) and first else shape
        return whole if math.prod(whole) == math.prod(first) and -1 not in whole else None
    return (*first[:2], *a["size"]) if kind == "upsample" else None


def reduced(first: Shape, dims: Iterable[int], keepdim: bool) -> Shape:
    """The shape without some axes, or with 1 in their place."""
    gone = set(dims)
    sizes = (1 if axis in gone else size for axis, size in enumerate(first))
    return tuple(size for axis, size in enumerate(sizes) if keepdim or axis not in gone)


def _broadcast(given: Sequence[Shape]) -> Shape | None:
    """The common shape."""
    rank = max(map(len, given))
    axes = [{1, *sizes} for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in given), strict=True)]
    return tuple(max(sizes) for sizes in axes) if all(len(sizes) <= 2 and 0 not in sizes for sizes in axes) else None


def _product(a: Shape, b: Shape) -> Shape | None:
    if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
        return None
    front = _broadcast([a[:-2], b[:-2]])
    return None if front is None else (*front, a[-2], b[-1])


def _joined(shapes: list[Shape], dim: int) -> Shape | None:
    rest = {(*shape[:dim], *shape[dim + 1 :]) for shape in shapes}
    first = shapes[0]
    return (*first[:dim], sum(shape[dim] for shape in shapes), *first[dim + 1 :]) if len(rest) == 1 else None


def _convolved(a: Mapping[str, Any], x: Shape, weight: Shape) -> Shape | None:
    groups = a["groups"]
    if len(x) != len(weight) or x[1] != weight[1] * groups or weight[0] % groups:
        return None
    sizes = _windows(a, x[2:], weight[2:])
    return (x[0], weight[0], *sizes) if min(sizes) > 0 else None


def _transposed(a: Mapping[str, Any], x: Shape, weight: Shape) -> Shape | None:
    if len(x) != len(weight) or x[1] != weight[0]:
        return None
    axes = zip(x[2:], weight[2:], a["stride"], a["dilation"], a["padding"], a["output_padding"], strict=True)
    sizes = [(size - 1) * s - low - high + d * (k - 1) + more + 1 for size, k, s, d, (low, high), more in axes]
    fits = all(more < max(s, d) for more, s, d in zip(a["output_padding"], a["stride"], a["dilation"], strict=True))
    return (x[0], weight[1] * a["groups"], *sizes) if fits and min(sizes) > 0 else None


def _pooled(a: Mapping[str, Any], x: Shape) -> Shape | None:
    kernel = a["kernel"]
    wide = any(2 * max(pads) > k for pads, k in zip(a["padding"], kernel, strict=True))
    if wide or len(x) != len(kernel) + 2:
        return None
    sizes = _windows(a, x[2:], kernel)
    return (*x[:2], *sizes) if min(sizes) > 0 else None


def _windows(a: Mapping[str, Any], sizes: Shape, kernel: Shape) -> Shape:
    """How often a kernel fits along each axis."""
    axes = zip(sizes, kernel, a["stride"], a.get("dilation", (1,) * len(kernel)), a["padding"], strict=True)
    return tuple((size + low + high - d * (k - 1) - 1) // s + 1 for size, k, s, d, (low, high) in axes)
