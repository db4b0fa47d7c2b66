"""The ONNX form of resizing a map, and of sampling it at computed places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_moving import take
from edgekit.exporters.onnx.versions import needed
from edgekit.exporters.windows import CUBIC, nearest_places
from edgekit.ir.graph import Op

_GRID_SAMPLE, _NEW_MODES = 16, 20  # the first opsets that have it, and with these names of modes
_SAMPLED = {"bilinear": ("bilinear", "linear"), "bicubic": ("bicubic", "cubic"), "nearest": ("nearest", "nearest")}


def upsample(e: Emission, op: Op, x: list[str], own: Mapping[str, str], out: str) -> None:
    """Resize, or Gather where its nearest takes other places than torch."""
    before, nearest = e.graph[op.inputs[0]].shape, op.attrs["mode"].startswith("nearest")
    factors = op.attrs.get("scale") or [None] * (len(before) - 2)
    ratios = [np.float32(1), np.float32(1)]
    ratios += [_ratio(*each) for each in zip(before[2:], op.shape[2:], factors, strict=True)]
    if nearest and not all(_takes_alike(op, before, axis, ratios[axis]) for axis in range(2, len(before))):
        _gathered(e, op, x[0], before, out)
        return
    if e.dynamic_batch or op.attrs.get("scale"):
        target = ["", e.constant(f"{op.name}/scales", np.array(ratios, np.float32))]
    else:
        target = ["", "", e.integers(f"{op.name}/sizes", op.shape)]
    e.node("Resize", [x[0], *target], out, op.name, **(_nearest(op) if nearest else _smooth(op)))


def _nearest(op: Op) -> dict[str, Any]:
    if op.attrs["mode"] == "nearest":
        return {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}


def _smooth(op: Op) -> dict[str, Any]:
    """ONNX's pytorch_half_pixel takes the first place for a side of one element, where torch takes the middle."""
    cubic = op.attrs["mode"] == "bicubic"
    centers = "half_pixel" if cubic or 1 in op.shape[2:] else "pytorch_half_pixel"
    return {
        "mode": "cubic" if cubic else "linear",
        "coordinate_transformation_mode": "align_corners" if op.attrs["align_corners"] else centers,
        "cubic_coeff_a": CUBIC if cubic else None,
    }


def _ratio(have: int, want: int, factor: float | None) -> np.float32:
    """The factor, or `want` over `have`, and no less: a free batch has ratios in the place of sizes, rounded down."""
    ratio = np.float32(want) / np.float32(have) if factor is None else np.float32(factor)
    while have * float(ratio) < want:
        ratio = np.nextafter(ratio, np.float32(np.inf))
    return ratio


def _takes_alike(op: Op, before: Sequence[int], axis: int, ratio: np.float32) -> bool:
    """Whether Resize takes the places that torch takes: it divides by a ratio where torch multiplies by its inverse."""
    want, places = op.shape[axis], np.arange(op.shape[axis], dtype=np.float32)
    half = np.float32(0 if op.attrs["mode"] == "nearest" else 0.5)
    taken = nearest_places(op, before, axis)
    return all(
        np.array_equal(np.floor(((places + half) / divisor - half) + half).clip(0, before[axis] - 1), taken)
        for divisor in (ratio, np.float32(want) / np.float32(before[axis]))
    )


def _gathered(e: Emission, op: Op, source: str, before: Sequence[int], out: str) -> None:
    """The places by their numbers, axis by axis."""
    axes = [axis for axis in range(2, len(before)) if before[axis] != op.shape[axis]]
    for axis in axes:
        last = axis == axes[-1]
        name = op.name if last else f"{op.name}/axis{axis}"
        source = take(e, op, source, axis, nearest_places(op, before, axis), out if last else name, name)


def grid_sample(e: Emission, op: Op, x: list[str], own: Mapping[str, str], out: str) -> None:
    """GridSample. Raises UsageError for an opset that has none."""
    least = needed(op) or _GRID_SAMPLE
    if e.opset < least:
        raise UsageError(f"{op.place}: ONNX has no sampling by a grid before opset {least}", f"choose --opset {least}")
    a = op.attrs
    mode = _SAMPLED[a["mode"]][e.opset >= _NEW_MODES]
    e.node(
        "GridSample",
        x,
        out,
        op.name,
        mode=mode,
        padding_mode=a["padding_mode"],
        align_corners=int(bool(a["align_corners"])),
    )
