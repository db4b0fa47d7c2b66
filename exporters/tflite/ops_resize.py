"""Resizing in TFLite's words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from edgekit.exporters.int8.plain_resize import is_resize_bilinear
from edgekit.exporters.tflite.layout import Shape, channels_last, spatial
from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_moving import taken
from edgekit.exporters.windows import nearest_places, resize_matrix
from edgekit.ir.graph import Op


def upsample(to: Lowering, op: Op) -> Value:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR where TFLite's rule gives what torch's gives.

    Else GATHER of the nearest places, or one product with a matrix of weights for each axis.
    """
    rank = len(op.shape)
    x = to.read(op, layout=spatial(rank))
    if op.attrs["mode"].startswith("nearest"):
        return _nearest(to, op, x)
    if is_resize_bilinear(op):
        return _volume(to, op, x) if rank == 5 else _bilinear(to, op, x, op.shape, op.name)
    x = to.read(op, layout=channels_last(rank), real=True)
    for axis in range(2, rank):
        x = _by_matrix(to, op, x, axis)
    return x


def _nearest(to: Lowering, op: Op, x: Value) -> Value:
    before, exact = x.shape, op.attrs["mode"] == "nearest-exact"
    places = {axis: nearest_places(op, before, axis) for axis in range(2, len(before))}
    alike = all(_tflites_places(before[axis], len(taking), exact) == taking for axis, taking in places.items())
    if len(before) < 5 and alike:
        sizes = to.program.integers((1, *op.shape[2:])[-2:])
        options = {"halfPixelCenters": True} if exact else {}
        return to.emit("RESIZE_NEAREST_NEIGHBOR", op.name, [x.tensor, sizes], replace(x, shape=op.shape), **options)
    x = to.read(op, layout=spatial(len(before)), real=True)
    for axis, taking in places.items():
        x = taken(to, x, axis, taking, f"{op.name}/axis{axis}")
    return x


def _tflites_places(have: int, want: int, exact: bool) -> list[int]:
    """What RESIZE_NEAREST_NEIGHBOR takes: floor((i + offset) * have / want) in float32."""
    scale, offset = np.float32(have) / np.float32(want), np.float32(0.5 if exact else 0)
    taken = np.floor((np.arange(want, dtype=np.float32) + offset) * scale)
    return [min(int(place), have - 1) for place in taken]


def _bilinear(to: Lowering, op: Op, x: Value, shape: Shape, name: str) -> Value:
    corners = bool(op.attrs["align_corners"])
    sizes = to.program.integers((1, *shape[2:])[-2:])
    options = {"alignCorners": corners, "halfPixelCenters": not corners}
    return to.emit("RESIZE_BILINEAR", name, [x.tensor, sizes], replace(x, shape=shape), **options)


def _volume(to: Lowering, op: Op, x: Value) -> Value:
    """Each plane, then the depth over all columns of a plane."""
    (n, c, d, h, w), (_, _, depth, height, width) = x.shape, op.shape
    nhwc = channels_last(4)
    if (height, width) != (h, w):
        x = to.reshaped(x, Value(-1, (n * d, c, h, w), nhwc, x.q), f"{op.name}/planes")
        x = _bilinear(to, op, x, (n * d, c, height, width), f"{op.name}/2d")
    if depth != d:
        x = to.reshaped(x, Value(-1, (n, c, d, height * width), nhwc, x.q), f"{op.name}/columns")
        x = _bilinear(to, op, x, (n, c, depth, height * width), f"{op.name}/depth")
    return to.reshaped(x, Value(-1, op.shape, channels_last(5), x.q), op.name)


def _by_matrix(to: Lowering, op: Op, x: Value, axis: int) -> Value:
    """The axis' weights times what lies behind it: BATCH_MATMUL on (what is in front, axis, what is behind)."""
    matrix = resize_matrix(op, to.ops[op.inputs[0]].shape, axis)
    if matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(len(matrix))):
        return x
    shape, name = (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :]), f"{op.name}/axis{axis}"
    front = math.prod(x.shape[:1] + x.shape[2:axis])
    behind = math.prod(x.shape[axis + 1 :]) * x.shape[1]
    flat = Value(-1, (front, x.shape[axis], behind), (0, 1, 2))
    y = to.reshaped(x, flat, f"{name}/flat")
    weights = to.program.constant(f"{name}/weights", matrix, (1, *matrix.shape))
    like = replace(flat, shape=(front, matrix.shape[0], behind))
    y = to.emit("BATCH_MATMUL", f"{name}/product", [weights, y.tensor], like, adjX=False, adjY=False)
    return to.reshaped(y, replace(x, shape=shape), name)
