"""Resize and Upsample: torch's interpolation where that computes the same, else each axis as a product with weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node
from edgekit.ir.kernels import along_axis

Array = NDArray[np.floating[Any]]
_TORCH_CUBIC = -0.75
_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class _Axis:
    """How one axis is resized. `roi` are the ends of the part that is taken, as fractions."""

    axis: int
    have: int
    want: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)

    def places(self, mode: str) -> Array:
        """Where each new element lies among the old ones."""
        at, scale = np.arange(self.want, dtype=np.float32), np.float32(self.scale)
        if mode == "asymmetric":
            return at / scale
        if mode == "align_corners":
            return np.zeros_like(at) if self.want == 1 else at * np.float32((self.have - 1) / (self.want - 1))
        if mode == "pytorch_half_pixel" and self.want == 1:
            return np.zeros_like(at)
        if mode == "half_pixel_symmetric":
            adjusted = np.float32(self.want / (self.scale * self.have))
            return np.float32(self.have / 2) * (1 - adjusted) + (at + np.float32(0.5)) / scale - np.float32(0.5)
        if mode == "tf_crop_and_resize":
            start, end = self.roi
            step = (end - start) * (self.have - 1) / (self.want - 1) if self.want > 1 else 0.0
            first = start if self.want > 1 else 0.5 * (start + end)
            return np.asarray(first * (self.have - 1) + at * np.float32(step), np.float32)
        if mode == "tf_half_pixel_for_nn":
            return (at + np.float32(0.5)) / scale
        return (at + np.float32(0.5)) / scale - np.float32(0.5)


def resize(
    n: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Opset 10 has the scales as its second input."""
    if n.opset < 11:
        return _resized(n, x, _axes(n, x, roi, None, None), "asymmetric")
    return _resized(n, x, _axes(n, x, scales, sizes, roi), n.get("coordinate_transformation_mode", "half_pixel"))


def upsample(n: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """The operator of before opset 10; its scales are an attribute in opset 7."""
    given = torch.tensor(n.get("scales")) if scales is None else scales
    return _resized(n, x, _axes(n, x, given, None, None), "asymmetric")


def _axes(n: Node, x: Tensor, scales: Tensor | None, sizes: Tensor | None, roi: Tensor | None) -> list[_Axis]:
    chosen = [axis % x.dim() for axis in n.get("axes") or range(x.dim())]
    have = [x.shape[axis] for axis in chosen]
    if sizes is not None and sizes.numel():
        wanted = n.integers(sizes, "sizes") or []
        factors = [want / size for want, size in zip(wanted, have, strict=True)]
        policy = n.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factors = [min(factors) if policy == "not_larger" else max(factors)] * len(factors)
            wanted = [math.floor(factors[0] * size + 0.5) for size in have]
    elif scales is not None and scales.numel():
        factors = [float(np.float32(one)) for one in n.numbers(scales, "scales")]
        wanted = [math.floor(size * factor) for size, factor in zip(have, factors, strict=True)]
    else:
        raise n.refusal("says neither scales nor sizes")
    parts = [float(one) for one in n.numbers(roi, "roi")] if roi is not None and roi.numel() else []
    ends = list(zip(parts[: len(chosen)], parts[len(chosen) :], strict=True)) or [(0.0, 1.0)] * len(chosen)
    found = [_Axis(*one) for one in zip(chosen, have, wanted, factors, ends, strict=True)]
    crops = n.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    return [one for one in found if one.have != one.want or one.scale != 1 or (crops and one.roi != (0.0, 1.0))]


def _resized(n: Node, x: Tensor, axes: list[_Axis], coordinates: str) -> Tensor:
    mode = n.get("mode", "nearest")
    if not axes:
        return x
    if mode == "nearest":
        return _nearest(n, x, axes, coordinates)
    size = _torch_size(x, axes)
    plain = not n.get("exclude_outside", 0) and not n.get("antialias", 0) and size is not None
    cubic = mode == "cubic" and x.dim() == 4 and math.isclose(n.get("cubic_coeff_a", _TORCH_CUBIC), _TORCH_CUBIC)
    if plain and (mode == "linear" or cubic) and _is_torchs(axes, coordinates):
        kind = "bicubic" if cubic else _SMOOTH[x.dim() - 2]
        corners = coordinates == "align_corners"
        if corners or all(math.isclose(one.have * one.scale, one.want) for one in axes):
            return F.interpolate(x, size, mode=kind, align_corners=corners)
    return _weighted(n, x, axes, coordinates, mode)


def _torch_size(x: Tensor, axes: Sequence[_Axis]) -> tuple[int, ...] | None:
    """The spatial sizes; None where another axis is resized."""
    if x.dim() not in (3, 4, 5) or any(one.axis < 2 for one in axes):
        return None
    changed = {one.axis: one.want for one in axes}
    return tuple(changed.get(axis, x.shape[axis]) for axis in range(2, x.dim()))


def _is_torchs(axes: Sequence[_Axis], coordinates: str) -> bool:
    if coordinates in ("half_pixel_symmetric", "pytorch_half_pixel"):
        return all(np.array_equal(one.places(coordinates), one.places("half_pixel")) for one in axes)
    return coordinates in ("half_pixel", "align_corners")


# Nearest


def _nearest(n: Node, x: Tensor, axes: list[_Axis], coordinates: str) -> Tensor:
    rounding = n.get("nearest_mode", "round_prefer_floor" if n.opset >= 11 else "floor")
    taken = {one.axis: _rounded(one.places(coordinates), rounding) for one in axes}
    if coordinates == "tf_crop_and_resize" and _outside(axes, coordinates):
        return _filled(n, _taken(x, axes, taken), x, axes, coordinates)
    size = _torch_size(x, axes)
    for mode in ("nearest", "nearest-exact") if size is not None else ():
        if all(np.array_equal(np.clip(taken[one.axis], 0, one.have - 1), _torchs(one, mode)) for one in axes):
            return F.interpolate(x, size, mode=mode)
    return _taken(x, axes, taken)


def _taken(x: Tensor, axes: Sequence[_Axis], taken: dict[int, Array]) -> Tensor:
    for one in axes:
        places = np.clip(taken[one.axis], 0, one.have - 1).astype(np.int64)
        x = x.index_select(one.axis, torch.from_numpy(places))
    return x


def _torchs(one: _Axis, mode: str) -> Array:
    """The places that torch takes for these sizes."""
    line = torch.arange(one.have, dtype=torch.float32).reshape(1, 1, -1)
    return np.asarray(F.interpolate(line, one.want, mode=mode).reshape(-1).numpy())


def _rounded(places: Array, mode: str) -> Array:
    if mode == "floor":
        return np.floor(places)
    if mode == "ceil":
        return np.ceil(places)
    return np.asarray(np.ceil(places - 0.5) if mode == "round_prefer_floor" else np.floor(places + 0.5))


# By weights


def _weighted(n: Node, x: Tensor, axes: list[_Axis], coordinates: str, mode: str) -> Tensor:
    """Each axis as a product with a matrix of weights."""
    y = x
    for one in axes:
        weights = _weights(n, one, coordinates, mode)
        matrix = torch.from_numpy(weights.astype(np.float32).T.copy())  # (have, want)
        last = one.axis == y.dim() - 1
        turned = y if last else y.transpose(one.axis, -1)
        turned = torch.matmul(turned, matrix)
        y = turned if last else turned.transpose(one.axis, -1)
    if coordinates == "tf_crop_and_resize" and _outside(axes, coordinates):
        return _filled(n, y, x, axes, coordinates)
    return y


def _weights(n: Node, one: _Axis, coordinates: str, mode: str) -> Array:
    """What each old element adds to each new one: (want, have)."""
    found = np.zeros((one.want, one.have))
    stretch = min(one.scale, 1.0) if n.get("antialias", 0) else 1.0
    reach = (1 if mode == "linear" else 2) / stretch
    for row, place in enumerate(one.places(coordinates).astype(np.float64)):
        first, last = math.floor(place - reach) + 1, math.ceil(place + reach) - 1
        near = np.arange(first, max(last, first) + 1)
        weights = _curve((near - place) * stretch, mode, n.get("cubic_coeff_a", _TORCH_CUBIC))
        inside = (near >= 0) & (near < one.have)
        if n.get("exclude_outside", 0):
            weights = weights * inside
        if stretch < 1 or n.get("exclude_outside", 0):
            weights = weights / weights.sum()
        np.add.at(found[row], np.clip(near, 0, one.have - 1), weights)
    return found


def _curve(apart: Array, mode: str, a: float) -> Array:
    """The weight of an element by its distance."""
    d = np.abs(apart)
    if mode == "linear":
        return np.asarray(np.clip(1 - d, 0, 1))
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


# Places outside of the part that is taken


def _outside(axes: Sequence[_Axis], coordinates: str) -> bool:
    return any(((p := one.places(coordinates)) < 0).any() or (p > one.have - 1).any() for one in axes)


def _filled(n: Node, y: Tensor, x: Tensor, axes: Sequence[_Axis], coordinates: str) -> Tensor:
    """A number of the file in the place of what lies outside."""
    outside = torch.zeros([1] * x.dim(), dtype=torch.bool)
    for one in axes:
        places = one.places(coordinates)
        beyond = torch.from_numpy((places < 0) | (places > one.have - 1))
        outside = outside | along_axis(beyond, one.axis, x.dim())
    return torch.where(outside, torch.tensor(n.get("extrapolation_value", 0.0)), y)


# Sampling by a grid

_SAMPLED = {"linear": "bilinear", "bilinear": "bilinear", "cubic": "bicubic", "bicubic": "bicubic"}


def grid_sample(n: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = _SAMPLED.get(n.get("mode", "bilinear"), "nearest")
    return F.grid_sample(x, grid, mode, n.get("padding_mode", "zeros"), bool(n.get("align_corners", 0)))


def affine_grid(n: Node, theta: Tensor, size: Tensor) -> Tensor:
    return F.affine_grid(theta, n.integers(size, "size") or [], bool(n.get("align_corners", 0)))
