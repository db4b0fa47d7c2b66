"""Padding in TFLite's words, by its mode."""

from __future__ import annotations

import torch

from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_moving import taken
from edgekit.exporters.tflite.ops_shapes import Pairs, cropped, grown, padded
from edgekit.ir.graph import Op

_LARGEST = torch.finfo(torch.float32).max


def pad(to: Lowering, op: Op) -> Value:
    """PAD with zeros, PADV2 with anything else, MIRROR_PAD, or GATHER of the edges; what is negative is cut off."""
    mode = op.attrs.get("mode", "constant")
    x, growing = cropped(to, to.read(op), op.attrs["pads"], op.name)
    if not any(map(any, growing)):
        return x
    if mode == "constant":  # an infinite number would be no number once a kernel multiplies it by zero
        return padded(to, x, growing, op.name, max(-_LARGEST, min(_LARGEST, op.attrs["value"])))
    return _mirrored(to, x, growing, op.name) if mode == "reflect" else _continued(to, x, growing, op.name)


def _mirrored(to: Lowering, x: Value, pads: Pairs, name: str) -> Value:
    like, amounts = grown(to, x, pads, name)
    return to.emit("MIRROR_PAD", name, [x.tensor, amounts], like, mode="REFLECT")


def _continued(to: Lowering, x: Value, pads: Pairs, name: str) -> Value:
    for axis, (low, high) in enumerate(pads):
        if low or high:
            last = x.shape[axis] - 1
            x = taken(to, x, axis, [min(max(i, 0), last) for i in range(-low, last + high + 1)], f"{name}/axis{axis}")
    return x
