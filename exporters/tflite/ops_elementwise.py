"""Activations, arithmetic with broadcasting, and softmax in TFLite's words."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edgekit.exporters.int8.tflite_constraints import FIXED_OUTPUT
from edgekit.exporters.tflite.layout import Layout
from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_shapes import lifted
from edgekit.exporters.tflite.program import Grid
from edgekit.ir.graph import Op
from edgekit.ir.quantized import QParams

# One operator of TFLite each; the options that come from attributes.
UNARY = {
    "sigmoid": ("LOGISTIC", {}),
    "tanh": ("TANH", {}),
    "hardswish": ("HARD_SWISH", {}),
    "leaky_relu": ("LEAKY_RELU", {"alpha": "slope"}),
    "gelu": ("GELU", {}),
    "elu": ("ELU", {}),
}
_CLIPS = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
_BINARY = {"add": "ADD", "sub": "SUB", "mul": "MUL", "div": "DIV"}


def _quantisation(to: Lowering, op: Op) -> QParams | None:
    return FIXED_OUTPUT.get(op.kind, to.wanted(op)) if to.int8(op) else None


def unary(to: Lowering, op: Op) -> Value:
    """One builtin operator of one tensor, in whatever order its elements lie."""
    builtin, names = UNARY[op.kind]
    x = to.read(op)
    options = {option: op.attrs[attribute] for option, attribute in names.items()}
    if op.kind == "gelu":
        options["approximate"] = op.attrs["approximate"] == "tanh"
    return to.emit(builtin, op.name, [x.tensor], replace(x, q=_quantisation(to, op)), **options)


def relu(to: Lowering, op: Op) -> Value:
    """RELU. Integers that cannot say anything negative are rescaled: what is below zero ends at zero by itself."""
    x, q = to.read(op), _quantisation(to, op)
    if x.q and q and q.zero_point == q.low:
        return to.requantised(x, q, op.name) if x.q != q else x
    return to.emit("RELU", op.name, [x.tensor], replace(x, q=_quantisation(to, op)))


def clip(to: Lowering, op: Op) -> Value:
    """RELU6, RELU_N1_TO_1, or MAXIMUM and MINIMUM with constants."""
    x, low, high = to.read(op), op.attrs["min"], op.attrs["max"]
    if (low, high) in _CLIPS:
        return to.emit(_CLIPS[low, high], op.name, [x.tensor], replace(x, q=_quantisation(to, op)))
    if low is not None:
        x = to.emit("MAXIMUM", f"{op.name}/low", [x.tensor, _bound(to, op, x, "min", low)], x)
    if high is not None:
        x = to.emit("MINIMUM", op.name, [x.tensor, _bound(to, op, x, "max", high)], x)
    return x


def _bound(to: Lowering, op: Op, x: Value, role: str, value: float) -> int:
    name = f"{op.name}/{role}"
    if x.q is None:
        return to.program.constant(name, torch.tensor([float(value)]))
    integer = max(x.q.low, min(x.q.high, round(value / x.q.scale) + x.q.zero_point))
    grid = Grid((x.q.scale,), x.q.zero_point)
    return to.program.constant(name, torch.tensor([integer], dtype=torch.int8), None, "int8", grid)


def elu(to: Lowering, op: Op) -> Value:
    """ELU; with an alpha of its own as alpha * ELU(x) + (1 - alpha) * RELU(x), in float."""
    alpha = float(op.attrs["alpha"])
    if alpha == 1:
        return unary(to, op)
    x = to.read(op, real=True)
    bent = to.emit("ELU", f"{op.name}/elu", [x.tensor], x)
    straight = to.emit("RELU", f"{op.name}/relu", [x.tensor], x)
    for role, factor in (("alpha", alpha), ("rest", 1 - alpha)):
        y = bent if role == "alpha" else straight
        constant = to.program.constant(f"{op.name}/{role}", torch.tensor([factor]))
        y = to.emit("MUL", f"{op.name}/{role}_times", [y.tensor, constant], y)
        bent, straight = (y, straight) if role == "alpha" else (bent, y)
    return to.emit("ADD", op.name, [bent.tensor, straight.tensor], bent)


def hardsigmoid(to: Lowering, op: Op) -> Value:
    """relu6(x + 3) / 6: ADD with its activation fused, and MUL."""
    x, integers = to.read(op), to.int8(op)
    three, _ = to.constant(op, "three", torch.tensor([3.0]), integers)
    sixth, _ = to.constant(op, "sixth", torch.tensor([1 / 6]), integers)
    between = replace(x, q=QParams(6 / 255, -128) if integers else None)
    y = to.emit("ADD", f"{op.name}/add", [x.tensor, three], between, fusedActivationFunction="RELU6")
    return to.emit("MUL", op.name, [y.tensor, sixth], replace(y, q=_quantisation(to, op)))


def silu(to: Lowering, op: Op) -> Value:
    """x * sigmoid(x): LOGISTIC and MUL."""
    x, integers = to.read(op), to.int8(op)
    gate = replace(x, q=FIXED_OUTPUT["sigmoid"] if integers else None)
    y = to.emit("LOGISTIC", f"{op.name}/sigmoid", [x.tensor], gate)
    return to.emit("MUL", op.name, [x.tensor, y.tensor], replace(x, q=_quantisation(to, op)))


def prelu(to: Lowering, op: Op) -> Value:
    """PRELU with a slope per channel."""
    x = to.read(op)
    slope = to.graph.tensors(op)["weight"].expand(op.shape[1])
    shaped = _operand(slope.reshape(-1, *[1] * (len(op.shape) - 2)), x.layout, len(op.shape))
    constant, _ = to.constant(op, "slope", shaped, x.q is not None)
    return to.emit("PRELU", op.name, [x.tensor, constant], replace(x, q=_quantisation(to, op)))


def softmax(to: Lowering, op: Op) -> Value:
    """SOFTMAX or LOG_SOFTMAX over the last stored axis."""
    x, dim = to.read(op), op.attrs["dim"]
    x = to.arranged(x, (*(axis for axis in x.layout if axis != dim), dim), op.name)
    like = replace(x, q=_quantisation(to, op))
    if op.kind == "softmax":
        return to.emit("SOFTMAX", op.name, [x.tensor], like, beta=1.0)
    return to.emit("LOG_SOFTMAX", op.name, [x.tensor], like)


def argmax(to: Lowering, op: Op) -> Value:
    """ARG_MAX over an axis, int32: the first of those that are largest."""
    x = to.read(op, layout=tuple(range(len(op.shape) + 1)), real=True)
    index = to.program.indices(op.name, op.shape)
    axis = to.program.integers([op.attrs["dim"]])
    to.program.node("ARG_MAX", [x.tensor, axis], index, outputType="INT32")
    return Value(index, op.shape, tuple(range(len(op.shape))))


def binary(to: Lowering, op: Op) -> Value:
    """ADD, SUB, MUL or DIV of two tensors, or of one and a constant, with torch's broadcasting."""
    rank, builtin = len(op.shape), _BINARY[op.kind]
    left = lifted(to.read(op), rank)
    if len(op.inputs) == 2:
        right = lifted(to.read(op, 1), rank)
        layout = left.layout if left.shape == op.shape else right.layout
        left, right = (to.arranged(x, layout, op.name) for x in (left, right))
        operand = right.tensor
    else:
        layout = left.layout
        builtin, operand = _constant_operand(to, op, left, builtin)
    operands = [operand, left.tensor] if op.attrs.get("reflected") else [left.tensor, operand]
    like = Value(-1, op.shape, layout, _quantisation(to, op))
    return to.emit(builtin, to.label(op), operands, like, fusedActivationFunction=to.activation(op))


def _constant_operand(to: Lowering, op: Op, x: Value, builtin: str) -> tuple[str, int]:
    own = to.graph.tensors(op).get("other")
    other = torch.tensor(float(op.attrs["other"])) if own is None else own.detach()
    if x.q and op.kind == "div":  # TFLite divides no integers
        builtin, other = "MUL", 1 / other
    constant, _ = to.constant(op, "constant", _operand(other, x.layout, len(op.shape)), x.q is not None)
    return builtin, constant


def _operand(tensor: Tensor, layout: Layout, rank: int) -> Tensor:
    """A constant as it broadcasts against a value stored in `layout`: axes in that order, leading ones left out."""
    whole = tensor.reshape(*[1] * (rank - tensor.dim()), *tensor.shape)
    axes = [axis for axis in layout if axis is not None]
    stored = whole.permute(axes)
    for place, axis in enumerate(layout):
        stored = stored.unsqueeze(place) if axis is None else stored
    while stored.dim() > 1 and stored.shape[0] == 1:
        stored = stored[0]
    return stored
