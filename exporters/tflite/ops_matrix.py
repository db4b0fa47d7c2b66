"""Products of matrices in TFLite's words. They stay in torch's axes."""

from __future__ import annotations

from dataclasses import replace

import torch

from edgekit.exporters.tflite.layout import Shape, merged_broadcast, order
from edgekit.exporters.tflite.lowering import Lowering, Unsupported, Value
from edgekit.exporters.tflite.ops_shapes import lifted
from edgekit.ir.graph import Op

_AXES = 5  # of BATCH_MATMUL


def matmul(to: Lowering, op: Op) -> Value:
    """BATCH_MATMUL; FULLY_CONNECTED where the right matrix is one that the network owns.

    A right matrix whose last two axes lie the other way round is read so.
    """
    left, right = to.read(op, 0, real=True), to.read(op, 1, real=True)
    if right.source is not None and len(right.shape) == 2 and left.source is None:
        return _by_constant(to, op, left, right)
    rank = len(op.shape)
    left, right = lifted(left, rank), lifted(right, rank)
    plain = tuple(range(rank))
    turned = (*plain[:-2], rank - 1, rank - 2)
    swapped = right.source is None and order(right.shape, right.layout) == order(right.shape, turned)
    swapped = swapped and order(right.shape, plain) != order(right.shape, turned)
    left = to.arranged(left, plain, f"{op.name}/left")
    right = to.arranged(right, turned if swapped else plain, f"{op.name}/right")
    batch, like = op.shape[:-2], Value(-1, op.shape, plain)
    if rank > _AXES:
        left, right, batch = _merged(to, op, left, right)
        like = Value(-1, (*batch, *op.shape[-2:]), tuple(range(len(batch) + 2)))
    name = op.name if like.shape == op.shape else f"{op.name}/product"
    y = to.emit("BATCH_MATMUL", name, [left.tensor, right.tensor], like, adjX=False, adjY=swapped)
    return to.reshaped(y, Value(-1, op.shape, plain), op.name)


def _merged(to: Lowering, op: Op, left: Value, right: Value) -> tuple[Value, Value, Shape]:
    """Both with fewer axes in front of their matrices."""
    *fronts, batch = merged_broadcast([left.shape[:-2], right.shape[:-2]], op.shape[:-2])
    if len(batch) > _AXES - 2:
        raise Unsupported(f"a product over {len(batch)} axes of matrices (TFLite has {_AXES - 2})")
    values = []
    for side, value, front in (("left", left, fronts[0]), ("right", right, fronts[1])):
        axes = (*range(len(front)), *(len(front) + axis - len(value.shape) + 2 for axis in value.layout[-2:] if axis))
        like = replace(value, shape=(*front, *value.shape[-2:]), layout=axes, source=None)
        values.append(to.reshaped(value, like, f"{op.name}/{side}/joined"))
    return values[0], values[1], batch


def _by_constant(to: Lowering, op: Op, left: Value, right: Value) -> Value:
    """FULLY_CONNECTED, whose weight has a row for each column of the matrix."""
    left = to.arranged(left, tuple(range(len(left.shape))), f"{op.name}/left")
    weight = to.arranged(right, (1, 0), op.name)
    like = Value(-1, op.shape, tuple(range(len(op.shape))))
    options = {"fusedActivationFunction": "NONE", "keepNumDims": len(op.shape) != 2}
    zero = to.program.constant(f"{op.name}/zero", torch.zeros(op.shape[-1]))
    return to.emit("FULLY_CONNECTED", op.name, [left.tensor, weight.tensor, zero], like, **options)
