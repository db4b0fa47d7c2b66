"""Operators of two or three operands in TFLite's words: arithmetic, comparisons, logic, choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.int8.tflite_constraints import FIXED_OUTPUT, same_scale
from edgekit.exporters.tflite.layout import Layout, Shape, merged_broadcast, stored_shape
from edgekit.exporters.tflite.lowering import Lowering, Unsupported, Value, stored_dtype
from edgekit.exporters.tflite.ops_shapes import lifted
from edgekit.ir.graph import Op

ARITHMETIC = {"add": "ADD", "sub": "SUB", "mul": "MUL", "div": "DIV"}  # an activation can be fused into these
FUNCTIONS = {
    "maximum": "MAXIMUM",
    "minimum": "MINIMUM",
    "pow": "POW",
    "floor_div": "FLOOR_DIV",
    "remainder": "FLOOR_MOD",
}
COMPARISONS = {
    "equal": "EQUAL",
    "not_equal": "NOT_EQUAL",
    "less": "LESS",
    "less_equal": "LESS_EQUAL",
    "greater": "GREATER",
    "greater_equal": "GREATER_EQUAL",
}
LOGIC = {"logical_and": "LOGICAL_AND", "logical_or": "LOGICAL_OR"}
BUILTINS = ARITHMETIC | FUNCTIONS | COMPARISONS | LOGIC
# What torch's arithmetic of truth values is.
_OF_BOOL = {"add": "LOGICAL_OR", "mul": "LOGICAL_AND", "maximum": "LOGICAL_OR", "minimum": "LOGICAL_AND"}
# Axes over which an operator's kernel can broadcast.
_AXES = dict.fromkeys(ARITHMETIC.values(), 5) | {"MAXIMUM": 5, "MINIMUM": 5, "SELECT_V2": 5}
_AXES_OF_OTHERS = 4


def binary(to: Lowering, op: Op) -> Value:
    """Add one builtin operator of two tensors, or of one and a constant, with torch's broadcasting."""
    rank, builtin = len(op.shape), BUILTINS[op.kind]
    left = lifted(to.read(op), rank)
    working = _working(to, op)
    left = to.converted(left, working, f"{op.name}/left")
    if working == "bool":
        builtin = _OF_BOOL.get(op.kind, builtin)
    if len(op.inputs) == 2:
        right = lifted(to.converted(to.read(op, 1), working, f"{op.name}/right"), rank)
        layout = left.layout if left.shape == op.shape or left.source is None is not right.source else right.layout
        operands = [to.arranged(x, layout, op.name) for x in (left, right)]
    else:
        layout = left.layout
        builtin, constant = _constant_operand(to, op, left, builtin)
        operands = [left, constant]
    if op.attrs.get("reflected"):
        operands.reverse()
    quantization = FIXED_OUTPUT.get(op.kind, to.wanted(op)) if to.int8(op) else None
    if quantization and same_scale(op.kind):
        operands = [to.requantized(x, quantization, f"{op.name}/quantize") for x in operands]
    like = Value(-1, op.shape, layout, quantization, dtype=stored_dtype(op))
    fused = {"fusedActivationFunction": to.activation(op)} if builtin in ARITHMETIC.values() else {}
    return broadcast(to, builtin, to.label(op), operands, like, **fused)


def _working(to: Lowering, op: Op) -> str:
    """The type of the operands: the result's; of a comparison, what torch promotes them to."""
    if op.kind in LOGIC:
        return "bool"
    if op.kind not in COMPARISONS:
        return stored_dtype(op)
    kinds = [to.ops[name].dtype for name in op.inputs]
    own = to.graph.tensors(op).get("other")
    if own is not None:
        kinds.append(own.dtype)
    elif len(op.inputs) == 1:
        kinds.append(torch.float32 if isinstance(op.attrs["other"], float) else torch.int64)
    if any(kind.is_floating_point for kind in kinds):
        return "float32"
    return "bool" if all(kind == torch.bool for kind in kinds) else "int32"


def bits(to: Lowering, op: Op) -> Value:
    """BITWISE_XOR. The others are made of it, as a + b = (a ^ b) + 2 (a & b), in halves whose sums do not overflow."""
    rank, name = len(op.shape), op.name
    given = [lifted(to.converted(to.read(op, index), "int32", f"{name}/type"), rank) for index in range(2)]
    layout = next((x for x in given if x.shape == op.shape and x.source is None), given[0]).layout
    left, right = (to.arranged(x, layout, name) for x in given)
    like = Value(-1, op.shape, layout, dtype="int32")

    def of_two(builtin: str, part: str, a: Value, b: Value) -> Value:
        return broadcast(to, builtin, f"{name}/{part}", [a, b], like)

    def by(builtin: str, part: str, a: Value, number: int) -> Value:
        constant = to.program.constant(f"{name}/{part}/number", torch.tensor([number]), None, "int32")
        return to.emit(builtin, f"{name}/{part}", [a.tensor, constant], a)

    if op.kind == "bitwise_xor":
        return broadcast(to, "BITWISE_XOR", name, [left, right], like)
    both = []
    for part, builtin in (("high", "FLOOR_DIV"), ("low", "FLOOR_MOD")):
        a, b = (by(builtin, f"{part}{side}", x, _HALF) for side, x in enumerate((left, right)))
        total, differ = of_two("ADD", f"{part}/sum", a, b), of_two("BITWISE_XOR", f"{part}/differ", a, b)
        both.append(by("FLOOR_DIV", f"{part}/both", of_two("SUB", f"{part}/twice", total, differ), 2))
    found = of_two("ADD", "and", by("MUL", "up", both[0], _HALF), both[1])
    return found if op.kind == "bitwise_and" else of_two("ADD", "or", found, of_two("BITWISE_XOR", "xor", left, right))


_HALF = 1 << 16  # of an integer of 32 bits


def where(to: Lowering, op: Op) -> Value:
    """SELECT_V2."""
    rank, dtype = len(op.shape), stored_dtype(op)
    given = [lifted(to.read(op, index), rank) for index in range(3)]
    values = [
        to.converted(value, kind, f"{op.name}/type") for value, kind in zip(given, ("bool", dtype, dtype), strict=True)
    ]
    computed = [value for value in values if value.source is None] or values
    layout = next((value for value in computed if value.shape == op.shape), computed[0]).layout
    operands = [to.arranged(value, layout, op.name) for value in values]
    return broadcast(to, "SELECT_V2", op.name, operands, Value(-1, op.shape, layout, dtype=dtype))


def broadcast(to: Lowering, builtin: str, name: str, operands: list[Value], like: Value, **options: Any) -> Value:
    """One operator of operands that are stored alike; with fewer axes where its kernel cannot broadcast so many."""
    out = stored_shape(like.shape, like.layout)
    shapes = [stored_shape(x.shape, x.layout) for x in operands]
    full = [(1,) * (len(out) - len(shape)) + shape for shape in shapes]
    if len(out) <= _AXES.get(builtin, _AXES_OF_OTHERS) or all(shape == out for shape in full):
        return to.emit(builtin, name, [x.tensor for x in operands], like, **options)
    *merged, result = merged_broadcast(full, out)
    if len(result) > _AXES.get(builtin, _AXES_OF_OTHERS):
        raise Unsupported(f"broadcasting over {len(result)} axes (TFLite's {builtin} has {_AXES_OF_OTHERS} or 5)")
    joined = [_as(to, x, shape, f"{name}/joined") for x, shape in zip(operands, merged, strict=True)]
    flat = replace(like, shape=result, layout=tuple(range(len(result))))
    y = to.emit(builtin, f"{name}/flat", [x.tensor for x in joined], flat, **options)
    return to.reshaped(y, like, name)


def _as(to: Lowering, x: Value, shape: Shape, name: str) -> Value:
    """A constant under another shape, or a RESHAPE."""
    like = replace(x, shape=shape, layout=tuple(range(len(shape))), source=None)
    stored = to.program.tensors[x.tensor]
    if stored.constant is None:
        return to.reshaped(x, like, name)
    return replace(like, tensor=to.program.constant(name, stored.constant, shape, stored.dtype, stored.grid))


def _constant_operand(to: Lowering, op: Op, x: Value, builtin: str) -> tuple[str, Value]:
    own = to.graph.tensors(op).get("other")
    other = torch.tensor(op.attrs["other"]) if own is None else own.detach()
    if x.q and op.kind == "div":  # TFLite divides no integers
        builtin, other = "MUL", 1 / other
    stored = operand(other, x.layout, len(op.shape))
    shape = tuple(stored.shape)
    if x.q and same_scale(op.kind):  # it is rounded once, to the operator's own grid
        return builtin, Value(-1, shape, tuple(range(len(shape))), source=stored)
    if x.q is None:
        index, q = to.program.constant(f"{op.name}/constant", stored, None, x.dtype), None
    else:
        index, q = to.constant(op, "constant", stored, integers=True)
    return builtin, Value(index, shape, tuple(range(len(shape))), q, dtype=x.dtype)


def operand(tensor: Tensor, layout: Layout, rank: int) -> Tensor:
    """A constant as it broadcasts against a value stored in `layout`: axes in that order, leading ones left out."""
    whole = tensor.reshape((1,) * (rank - tensor.dim()) + tuple(tensor.shape))
    axes = [axis for axis in layout if axis is not None]
    stored = whole.permute(axes)
    for place, axis in enumerate(layout):
        stored = stored.unsqueeze(place) if axis is None else stored
    while stored.dim() > 1 and stored.shape[0] == 1:
        stored = stored[0]
    return stored
