"""What takes elements from other places in TFLite's words: gather, flip, repetition, and the network's own operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from edgekit.exporters.tflite.lowering import Lowering, Value, stored_dtype
from edgekit.exporters.tflite.ops_shapes import lifted
from edgekit.ir.graph import Op


def constant(to: Lowering, op: Op) -> Value:
    """Add a tensor that the network owns; it is stored in the order in which it is read."""
    return to.owned(op.name, to.graph.tensors(op)["value"], stored_dtype(op))


def gather(to: Lowering, op: Op) -> Value:
    """GATHER along an axis, of places that the network owns or computes."""
    x, dim = to.read(op), op.attrs["dim"]
    own = to.graph.tensors(op).get("indices")
    if own is not None:
        places = torch.where(own < 0, own + x.shape[dim], own)
        return taken(to, x, dim, places.tolist(), op.name)
    index = to.converted(to.read(op, 1, real=True), "int32", f"{op.name}/indices")
    return to.emit(
        "GATHER", op.name, [x.tensor, index.tensor], replace(x, shape=op.shape), axis=x.layout.index(dim), batchDims=0
    )


def taken(to: Lowering, x: Value, dim: int, places: Sequence[int], name: str) -> Value:
    """GATHER of known places along one of torch's axes; nothing where all are taken in order."""
    if list(places) == list(range(x.shape[dim])):
        return x
    index = to.program.constant(f"{name}/places", torch.tensor(list(places), dtype=torch.int32), None, "int32")
    like = replace(x, shape=(*x.shape[:dim], len(places), *x.shape[dim + 1 :]))
    return to.emit("GATHER", name, [x.tensor, index], like, axis=x.layout.index(dim), batchDims=0)


def flip(to: Lowering, op: Op) -> Value:
    """REVERSE_V2, one for each axis."""
    x = to.read(op)
    for dim in op.attrs["dims"]:
        axis = to.program.integers([x.layout.index(dim)])
        x = to.emit("REVERSE_V2", op.name, [x.tensor, axis], x)
    return x


def expand(to: Lowering, op: Op) -> Value:
    """TILE of the axes of size 1."""
    x = lifted(to.read(op), len(op.shape))
    return _tiled(to, x, [want // have for want, have in zip(op.shape, x.shape, strict=True)], op.name)


def tile(to: Lowering, op: Op) -> Value:
    """TILE."""
    repeats = op.attrs["repeats"]
    return _tiled(to, lifted(to.read(op), len(repeats)), repeats, op.name)


def _tiled(to: Lowering, x: Value, repeats: Sequence[int], name: str) -> Value:
    if all(times == 1 for times in repeats):
        return x
    times = to.program.integers([1 if axis is None else repeats[axis] for axis in x.layout])
    like = replace(x, shape=tuple(size * n for size, n in zip(x.shape, repeats, strict=True)))
    return to.emit("TILE", name, [x.tensor, times], like)
