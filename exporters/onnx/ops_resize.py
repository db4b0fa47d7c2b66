"""The ONNX form of resizing a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from edgekit.exporters.onnx.emitter import Emission
from edgekit.ir.graph import Op


def upsample(e: Emission, op: Op, x: list[str], own: Mapping[str, str], out: str) -> None:
    """Resize, or Gather where its nearest takes other places than torch."""
    before, nearest = e.graph[op.inputs[0]].shape, op.attrs["mode"] == "nearest"
    ratios = [_ratio(have, want) for have, want in zip(before, op.shape, strict=True)]
    if nearest and not all(map(_takes_alike, before[2:], op.shape[2:], ratios[2:])):
        _gathered(e, op, x[0], before, out)
        return
    if e.dynamic_batch:
        target = ["", e.constant(f"{op.name}/scales", np.array([1.0, *ratios[1:]], np.float32))]
    else:
        target = ["", "", e.integers(f"{op.name}/sizes", op.shape)]
    corners = "align_corners" if op.attrs["align_corners"] else "pytorch_half_pixel"
    e.node(
        "Resize",
        [x[0], *target],
        out,
        op.name,
        mode="nearest" if nearest else "linear",
        coordinate_transformation_mode="asymmetric" if nearest else corners,
        nearest_mode="floor" if nearest else None,
    )


def _ratio(have: int, want: int) -> np.float32:
    """`want` over `have`, and no less: a free batch has ratios in the place of sizes, which are rounded down."""
    ratio = np.float32(want) / np.float32(have)
    while have * float(ratio) < want:
        ratio = np.nextafter(ratio, np.float32(np.inf))
    return ratio


def _takes_alike(have: int, want: int, ratio: np.float32) -> bool:
    """Whether Resize takes the places that torch takes: it divides by a ratio where torch multiplies by its inverse."""
    places = np.arange(want, dtype=np.float32)
    return all(
        np.array_equal(np.floor(places / divisor), _chosen(have, want))
        for divisor in (ratio, np.float32(want) / np.float32(have))
    )


def _chosen(have: int, want: int) -> NDArray[np.int64]:
    """The place that torch's nearest takes for each of `want`, of `have`."""
    places = torch.arange(have, dtype=torch.float32).reshape(1, 1, -1)
    return F.interpolate(places, size=want, mode="nearest").reshape(-1).numpy().astype(np.int64)


def _gathered(e: Emission, op: Op, source: str, before: Sequence[int], out: str) -> None:
    """The places by their numbers, axis by axis."""
    axes = [axis for axis in range(2, len(before)) if before[axis] != op.shape[axis]]
    for axis in axes:
        places = e.constant(f"{op.name}/places{axis}", _chosen(before[axis], op.shape[axis]))
        last = axis == axes[-1]
        name = op.name if last else f"{op.name}/axis{axis}"
        source = e.node("Gather", [source, places], out if last else name, name, axis=axis)
