"""The ONNX form of what treats every element alike: functions of one tensor, arithmetic, comparisons, choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from edgekit.errors import UsageError
from edgekit.exporters.onnx.emitter import Emission, onnx_type
from edgekit.exporters.onnx.versions import needed
from edgekit.ir.graph import Op

Names = Mapping[str, str]
Converter = Callable[[Emission, Op, list[str], Names, str], Any]
COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
_SURE = 17.0  # from here on softplus(z) is z in float32


def unary(kind: str, **names: str) -> Converter:
    """Return what adds one node of one input; `names` maps its attributes to ours."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        e.node(kind, x, out, op.name, **{theirs: op.attrs[ours] for theirs, ours in names.items()})

    return form


def clip(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    low, high = op.attrs["min"], op.attrs["max"]
    bounds = [
        "" if bound is None else e.number(f"{op.name}/{side}", bound, op)
        for side, bound in (("min", low), ("max", high))
    ]
    e.node("Clip", [*x, *bounds] if bounds[1] else [*x, bounds[0]], out, op.name)


def hardsigmoid(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("HardSigmoid", x, out, op.name, alpha=1 / 6, beta=0.5)


def hardswish(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    gate = e.node("HardSigmoid", x, f"{op.name}/gate", alpha=1 / 6, beta=0.5)
    e.node("Mul", [x[0], gate], out, op.name)


def silu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    gate = e.node("Sigmoid", x, f"{op.name}/gate")
    e.node("Mul", [x[0], gate], out, op.name)


def gelu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> Any:
    if op.attrs["approximate"] != "none":
        return NotImplemented
    root = e.node("Div", [x[0], e.number(f"{op.name}/sqrt2", math.sqrt(2), op)], f"{op.name}/scaled")
    error = e.node("Erf", [root], f"{op.name}/erf")
    shifted = e.node("Add", [error, e.number(f"{op.name}/one", 1.0, op)], f"{op.name}/shifted")
    product = e.node("Mul", [x[0], shifted], f"{op.name}/product")
    return e.node("Mul", [product, e.number(f"{op.name}/factor", 0.5, op)], out, op.name)


def rsqrt(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Reciprocal", [e.node("Sqrt", x, f"{op.name}/root")], out, op.name)


def softplus(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """log(1 + exp(beta * x)) / beta; x above a threshold that is low enough to be seen."""
    beta, threshold, name = float(op.attrs["beta"]), float(op.attrs["threshold"]), op.name
    factor = e.number(f"{name}/beta", beta, op) if beta != 1 else ""
    z = e.node("Mul", [x[0], factor], f"{name}/scaled") if factor else x[0]
    low = threshold < _SURE
    y = e.node("Softplus", [z], out if not factor and not low else f"{name}/softplus", name)
    if factor:
        y = e.node("Div", [y, factor], f"{name}/unscaled" if low else out, f"{name}/unscaled")
    if low:
        above = e.node("Greater", [z, e.number(f"{name}/threshold", threshold, op)], f"{name}/above")
        e.node("Where", [above, x[0], y], out, f"{name}/linear")


def cast(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """Between types that the file keeps alike nothing is cast."""
    have, want = e.dtype(e.graph[op.inputs[0]]), e.dtype(op)
    if have == want:
        e.node("Identity", x, out, op.name)
    else:
        e.node("Cast", x, out, op.name, to=onnx_type(want))


def typed(e: Emission, name: str, have: torch.dtype, want: torch.dtype, made: str) -> str:
    """Return a value in another type: itself, or a Cast."""
    return name if have == want else e.node("Cast", [name], made, to=onnx_type(want))


# Two operands


def binary(kind: str) -> Converter:
    """Return what adds one node of two operands, which are brought to one type first."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        left, right = operands(e, op, x, own)
        e.node(kind, [left, right], out, op.name)

    return form


def operands(e: Emission, op: Op, x: list[str], own: Names) -> list[str]:
    """Left and right as torch has them, in the type in which the operator works."""
    working = _working(e, op)
    values = [
        typed(e, name, e.dtype(e.graph[source]), working, f"{op.name}/operand{index}")
        for index, (name, source) in enumerate(zip(x, op.inputs, strict=True))
    ]
    if len(values) == 1:
        values.append(_owned(e, op, own, working))
    return values[::-1] if op.attrs.get("reflected") else values


def _owned(e: Emission, op: Op, own: Names, working: torch.dtype) -> str:
    if "other" not in own:
        return e.constant(f"{op.name}/other", torch.tensor(op.attrs["other"]).to(working))
    tensor = e.tensors(op).get("other")
    if tensor is None or tensor.dtype == working:
        return own["other"]
    return e.constant(f"{op.name}/other", tensor.detach().to(working))


def _working(e: Emission, op: Op) -> torch.dtype:
    if op.kind not in COMPARISONS:
        return e.dtype(op)
    kinds = [e.dtype(e.graph[name]) for name in op.inputs]
    other = e.tensors(op).get("other")
    if other is not None:
        kinds.append(other.dtype)
    elif len(kinds) == 1:
        kinds.append(torch.float32 if isinstance(op.attrs["other"], float) else torch.int64)
    if any(kind.is_floating_point for kind in kinds):
        return torch.float16 if e.half else torch.float32
    return torch.bool if all(kind == torch.bool for kind in kinds) else torch.int64


def logic_or(kind: str, of_bool: str) -> Converter:
    """Arithmetic, which of truth values is logic."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        left, right = operands(e, op, x, own)
        e.node(of_bool if op.dtype == torch.bool else kind, [left, right], out, op.name)

    return form


def not_equal(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Not", [e.node("Equal", operands(e, op, x, own), f"{op.name}/equal")], out, op.name)


def floor_div(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """ONNX divides integers towards zero: without its remainder, which is torch's, a number is divided exactly."""
    left, right = operands(e, op, x, own)
    if op.dtype.is_floating_point:
        e.node("Floor", [e.node("Div", [left, right], f"{op.name}/quotient")], out, op.name)
        return
    rest = e.node("Mod", [left, right], f"{op.name}/rest")
    e.node("Div", [e.node("Sub", [left, rest], f"{op.name}/whole"), right], out, op.name)


def remainder(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """With the sign of the divisor; ONNX has that of real numbers with the sign of what is divided only."""
    left, right = operands(e, op, x, own)
    if not op.dtype.is_floating_point:
        e.node("Mod", [left, right], out, op.name)
        return
    rest = e.node("Mod", [left, right], f"{op.name}/rest", fmod=1)
    e.node("Mod", [e.node("Add", [rest, right], f"{op.name}/above"), right], out, op.name, fmod=1)


def bitwise(kind: str) -> Converter:
    """Bits of two tensors of integers. Raises UsageError for an opset that has none."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        least = needed(op)
        if e.opset < least:
            raise UsageError(
                f"{op.place}: ONNX has no bits of two tensors before opset {least}", f"choose --opset {least}"
            )
        e.node(kind, operands(e, op, x, own), out, op.name)

    return form


def where(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    want = (torch.bool, e.dtype(op), e.dtype(op))
    given = zip(x, op.inputs, want, strict=True)
    values = [
        typed(e, name, e.dtype(e.graph[source]), kind, f"{op.name}/choice{index}")
        for index, (name, source, kind) in enumerate(given)
    ]
    e.node("Where", values, out, op.name)


ELEMENTWISE: dict[str, Converter] = {
    "relu": unary("Relu"),
    "clip": clip,
    "hardswish": hardswish,
    "hardsigmoid": hardsigmoid,
    "sigmoid": unary("Sigmoid"),
    "tanh": unary("Tanh"),
    "silu": silu,
    "gelu": gelu,
    "leaky_relu": unary("LeakyRelu", alpha="slope"),
    "elu": unary("Elu", alpha="alpha"),
    "exp": unary("Exp"),
    "log": unary("Log"),
    "sqrt": unary("Sqrt"),
    "rsqrt": rsqrt,
    "reciprocal": unary("Reciprocal"),
    "neg": unary("Neg"),
    "abs": unary("Abs"),
    "sin": unary("Sin"),
    "cos": unary("Cos"),
    "floor": unary("Floor"),
    "ceil": unary("Ceil"),
    "round": unary("Round"),
    "erf": unary("Erf"),
    "atan": unary("Atan"),
    "sign": unary("Sign"),
    "logical_not": unary("Not"),
    "softplus": softplus,
    "cast": cast,
    "add": logic_or("Add", "Or"),
    "sub": binary("Sub"),
    "mul": logic_or("Mul", "And"),
    "div": binary("Div"),
    "pow": binary("Pow"),
    "maximum": logic_or("Max", "Or"),
    "minimum": logic_or("Min", "And"),
    "floor_div": floor_div,
    "remainder": remainder,
    "equal": binary("Equal"),
    "not_equal": not_equal,
    "less": binary("Less"),
    "less_equal": binary("LessOrEqual"),
    "greater": binary("Greater"),
    "greater_equal": binary("GreaterOrEqual"),
    "logical_and": binary("And"),
    "logical_or": binary("Or"),
    "bitwise_and": bitwise("BitwiseAnd"),
    "bitwise_or": bitwise("BitwiseOr"),
    "bitwise_xor": bitwise("BitwiseXor"),
    "where": where,
}
