"""Sampling a map at computed places in TFLite's words: GATHER of each neighbor, times its weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch

from edgekit.exporters.tflite.layout import channels_last
from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_shapes import sliced
from edgekit.exporters.windows import CUBIC
from edgekit.ir.graph import Op

_FUSED = {"fusedActivationFunction": "NONE"}


@dataclass(frozen=True)
class Tap:
    """Along one axis a neighbor of each place: where it is, int32, and its weight; no weight is 1."""

    place: Value
    weight: Value | None


@dataclass(frozen=True)
class Arithmetic:
    """Operators on values of (N, places, 1), with names of their own."""

    to: Lowering
    name: str

    def __call__(self, builtin: str, left: Value, right: Value | float, **like: Any) -> Value:
        """`left` (builtin) `right`."""
        fused = _FUSED if builtin in ("ADD", "SUB", "MUL") else {}
        return self.to.emit(
            builtin, self.name, [left.tensor, self._operand(left, right)], replace(left, **like), **fused
        )

    def of_one(self, builtin: str, x: Value) -> Value:
        """`builtin` of `x`."""
        return self.to.emit(builtin, self.name, [x.tensor], x)

    def polynomial(self, x: Value, factors: Sequence[float]) -> Value:
        """Horner's rule, the highest power's factor first."""
        y = self("MUL", x, factors[0])
        for factor in factors[1:-1]:
            y = self("MUL", self("ADD", y, factor), x)
        return self("ADD", y, factors[-1])

    def limited(self, x: Value, size: int) -> Value:
        """`x` brought to 0 ... size - 1."""
        return self("MINIMUM", self("MAXIMUM", x, 0.0), float(size - 1))

    def _operand(self, like: Value, value: Value | float) -> int:
        if isinstance(value, Value):
            return value.tensor
        stored = torch.tensor([value], dtype=torch.int32 if like.dtype == "int32" else torch.float32)
        return self.to.program.constant(f"{self.name}/constant", stored, None, like.dtype)


def grid_sample(to: Lowering, op: Op) -> Value:
    """F.grid_sample of maps and volumes, in every mode, padding and meaning of the corners."""
    rank, attrs = len(op.shape), op.attrs
    x = to.read(op, 0, channels_last(rank), real=True)
    grid = to.read(op, 1, tuple(range(rank)), real=True)
    (n, channels, *sizes), count, axes = x.shape, math.prod(op.shape[2:]), rank - 2
    flat = to.reshaped(x, Value(-1, (n, math.prod(sizes), channels), (0, 1, 2)), f"{op.name}/flat")
    grid = to.reshaped(grid, Value(-1, (n, count, axes), (0, 1, 2)), f"{op.name}/grid")
    taps = []
    for axis, size in enumerate(sizes):
        last = axes - 1 - axis  # the grid has the width first
        place = sliced(to, grid, 2, last, last + 1, 1, f"{op.name}/axis{axis}/grid")
        taps.append(_taps(Arithmetic(to, f"{op.name}/axis{axis}"), place, size, attrs))
    total: Value | None = None
    for neighbors in product(*taps):
        part = _neighbor(Arithmetic(to, f"{op.name}/neighbor"), flat, sizes, neighbors)
        total = part if total is None else Arithmetic(to, f"{op.name}/sum")("ADD", total, part)
    assert total is not None
    return to.reshaped(total, Value(-1, op.shape, channels_last(rank)), op.name)


def _neighbor(do: Arithmetic, flat: Value, sizes: Sequence[int], taps: Sequence[Tap]) -> Value:
    """What stands at one neighbor of each place, times its weight: (N, places, channels)."""
    place, weight = taps[0].place, taps[0].weight
    for size, tap in zip(sizes[1:], taps[1:], strict=True):
        place = do("ADD", do("MUL", place, float(size)), tap.place)
        weight = weight and tap.weight and do("MUL", weight, tap.weight)
    index = do.to.reshaped(place, replace(place, shape=place.shape[:2], layout=(0, 1)), f"{do.name}/place")
    like = replace(flat, shape=(*place.shape[:2], flat.shape[2]))
    found = do.to.emit("GATHER", do.name, [flat.tensor, index.tensor], like, axis=1, batchDims=1)
    return found if weight is None else do("MUL", found, weight)


def _taps(do: Arithmetic, place: Value, size: int, attrs: Mapping[str, Any]) -> list[Tap]:
    """The neighbors of each place along an axis of `size`; `place` is from -1 to 1."""
    mode, corners, padding = attrs["mode"], bool(attrs["align_corners"]), attrs["padding_mode"]
    at = do("MUL", do("ADD", place, 1.0), (size - 1) / 2 if corners else size / 2)
    at = at if corners else do("ADD", at, -0.5)
    if mode != "bicubic":
        at = _inside(do, at, size, padding, corners)
    if mode == "nearest":
        return [_tap(do, do.of_one("ROUND", at), None, size, padding)]
    low = do.of_one("FLOOR", at)
    share, first = do("SUB", at, low), -1 if mode == "bicubic" else 0
    taps = []
    for offset, weight in enumerate(_weights(do, share, mode), first):
        tap = do("ADD", low, float(offset)) if offset else low
        tap = _inside(do, tap, size, padding, corners) if mode == "bicubic" else tap
        taps.append(_tap(do, tap, weight, size, padding))
    return taps


def _weights(do: Arithmetic, share: Value, mode: str) -> list[Value]:
    """What each neighbor counts, the lowest first; `share` is how far a place lies behind the one below it."""
    rest = do("ADD", do("MUL", share, -1.0), 1.0)
    if mode == "bilinear":
        return [rest, share]
    a = CUBIC
    near, far = (a + 2, -(a + 3), 0.0, 1.0), (a, -5 * a, 8 * a, -4 * a)
    return [
        do.polynomial(do("ADD", share, 1.0), far),
        do.polynomial(share, near),
        do.polynomial(rest, near),
        do.polynomial(do("ADD", rest, 1.0), far),
    ]


def _inside(do: Arithmetic, at: Value, size: int, padding: str, corners: bool) -> Value:
    """Places brought into the map as `padding` says; zeros leaves them."""
    if padding == "zeros":
        return at
    low, span = (0.0, float(size - 1)) if corners else (-0.5, float(size))
    if padding == "reflection" and span:  # |((at - low) mod 2 span) - span| is how far it is from the far end
        at = do("FLOOR_MOD", do("ADD", at, -low), 2 * span)
        distance = do.of_one("ABS", do("ADD", at, -span))
        at = do("ADD", do("MUL", distance, -1.0), span + low)
    return do.limited(at, size)


def _tap(do: Arithmetic, at: Value, weight: Value | None, size: int, padding: str) -> Tap:
    """A neighbor at whole numbers. One outside of the map is read at its border, and counts nothing."""
    inside = do.limited(at, size)
    if padding == "zeros":
        known = do.to.converted(do("EQUAL", inside, at, dtype="bool"), "float32", do.name)
        weight = known if weight is None else do("MUL", weight, known)
    return Tap(do.to.converted(inside, "int32", do.name), weight)
