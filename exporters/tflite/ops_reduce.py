"""What makes fewer elements of many in TFLite's words: sums, means, extremes, where these are, running sums."""

from __future__ import annotations

from dataclasses import replace

from edgekit.exporters.int8.tflite_constraints import same_scale
from edgekit.exporters.tflite.layout import Layout, Shape
from edgekit.exporters.tflite.lowering import Lowering, Value, stored_dtype
from edgekit.exporters.tflite.ops_shapes import few_axes
from edgekit.ir.graph import Op

REDUCTIONS = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN", "prod": "REDUCE_PROD"}


def reduce(to: Lowering, op: Op) -> Value:
    """MEAN, SUM, REDUCE_MAX, REDUCE_MIN or REDUCE_PROD over any axes."""
    x, dims, keep = to.read(op), op.attrs["dims"], op.attrs["keepdim"]
    x = to.converted(x, stored_dtype(op), f"{op.name}/type")
    flat, places = few_axes(to, x, dims, op.name)
    layout = x.layout if keep else without(x.layout, dims)
    quantization = (x.q if same_scale(op.kind) else to.wanted(op)) if to.int8(op) else None
    like = form = Value(-1, op.shape, layout, quantization, dtype=x.dtype)
    if flat is not x:
        sizes = [1 if at in places else size for at, size in enumerate(flat.shape) if keep or at not in places]
        form = replace(like, shape=tuple(sizes), layout=tuple(range(len(sizes))))
    inputs = [flat.tensor, to.program.integers(places)]
    return to.emit_joined(REDUCTIONS[op.kind], op.name, inputs, form, like, keepDims=keep)


def without(layout: Layout, dims: Shape) -> Layout:
    """Return where torch's axes lie when `dims` are gone."""
    return tuple(_renumbered(axis, dims) for axis in layout if axis is None or axis not in dims)


def _renumbered(axis: int | None, gone: Shape) -> int | None:
    return None if axis is None else axis - sum(d < axis for d in gone)


def arg_extreme(to: Lowering, op: Op) -> Value:
    """ARG_MAX or ARG_MIN over an axis, int32: the first of those that are largest or smallest."""
    x, dim = to.read(op, real=True), op.attrs["dim"]
    axis, builtin = to.program.integers([x.layout.index(dim)]), op.kind.replace("arg", "arg_").upper()
    layout = without(x.layout, (dim,))
    flat = Value(-1, (*x.shape[:dim], *x.shape[dim + 1 :]), layout, dtype="int32")
    if not op.attrs.get("keepdim", False):
        return to.emit(builtin, op.name, [x.tensor, axis], flat, outputType="INT32")
    y = to.emit(builtin, f"{op.name}/index", [x.tensor, axis], flat, outputType="INT32")
    return to.reshaped(y, replace(flat, shape=op.shape, layout=x.layout), op.name)


def cumsum(to: Lowering, op: Op) -> Value:
    """CUMSUM along an axis."""
    x = to.converted(to.read(op, real=True), stored_dtype(op), f"{op.name}/type")
    axis = to.program.integers([x.layout.index(op.attrs["dim"])])
    return to.emit("CUMSUM", op.name, [x.tensor, axis], x, exclusive=False, reverse=False)


def topk(to: Lowering, op: Op) -> Value:
    """One result of TOPK_V2, which gives both and goes along the last axis; the smallest are the largest of -x."""
    a, dim = op.attrs, op.attrs["dim"]
    key = (op.inputs[0], a["k"], dim, a["largest"])
    if key not in to.pairs:
        to.pairs[key] = _topk(to, op, dim)
    return to.pairs[key][op.kind == "topk_indices"]


def _topk(to: Lowering, op: Op, dim: int) -> tuple[Value, Value]:
    x, a, name = to.read(op, real=True), op.attrs, op.name.removesuffix("/indices").removesuffix("/values")
    x = to.arranged(x, (*(axis for axis in x.layout if axis != dim), dim), name)
    if not a["largest"]:
        x = to.emit("NEG", f"{name}/neg", [x.tensor], x)
    like = replace(x, shape=op.shape)
    values, indices = to.result(f"{name}/largest", like), to.result(f"{name}/places", replace(like, dtype="int32"))
    to.program.node("TOPK_V2", [x.tensor, to.program.integers([a["k"]])], values.tensor, indices.tensor)
    if not a["largest"]:
        values = to.emit("NEG", f"{name}/smallest", [values.tensor], values)
    return values, indices
