"""Inverse functions of angles, questions about single numbers, and the rounding of simulated quantization."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter, as_float, clip, pair
from edgekit.ir.kernels import along_axis

# Angles


def atan2(b: Builder, name: str, input: Any, other: Any) -> Node:
    """The angle of (other, input): an arc tangent within 45 degrees, turned to where the point lies.

    The smaller of both sizes is divided by the larger, so that nothing on the way is large or infinite.
    """
    like = input if isinstance(input, Node) else other
    up, right = (as_float(b, name, b.operand(f"{name}/{part}", x, like)) for part, x in (("y", input), ("x", other)))
    height, width = (b.emit(f"{name}/size", "abs", [x]) for x in (up, right))
    small, large = (
        b.emit(f"{name}/{which}", kind, [height, width]) for which, kind in (("small", "minimum"), ("large", "maximum"))
    )
    least = clip(b, f"{name}/least", large, min=torch.finfo(torch.float32).tiny)
    angle = b.emit(f"{name}/atan", "atan", [b.emit(f"{name}/slope", "div", [small, least])])
    steep = b.emit(f"{name}/steep", "greater", [height, width])
    angle = _other_angle(b, f"{name}/first", steep, math.pi / 2, angle)
    behind = b.emit(f"{name}/behind", "less", [right], other=0.0)
    angle = _other_angle(b, f"{name}/half", behind, math.pi, angle)
    below = b.emit(f"{name}/below", "less", [up], other=0.0)
    return b.emit(name, "where", [below, b.emit(f"{name}/negative", "neg", [angle]), angle])


def _other_angle(b: Builder, name: str, condition: Node, whole: float, angle: Node) -> Node:
    """whole - angle where a condition holds."""
    rest = b.emit(f"{name}/rest", "sub", [angle], other=whole, reflected=True)
    return b.emit(name, "where", [condition, rest, angle])


def arc(cosine: bool) -> Converter:
    """asin and acos: the angle of (sqrt(1 - x^2), x) or (x, sqrt(1 - x^2))."""

    def convert(b: Builder, name: str, input: Node) -> Node:
        x = as_float(b, name, input)
        more = b.emit(f"{name}/more", "add", [x], other=1.0)
        less = b.emit(f"{name}/less", "sub", [x], other=1.0, reflected=True)
        side = b.emit(f"{name}/side", "sqrt", [b.emit(f"{name}/square", "mul", [more, less])])
        return atan2(b, name, side, x) if cosine else atan2(b, name, x, side)

    return convert


def asinh(b: Builder, name: str, input: Node) -> Node:
    """sign(x) * log(|x| + sqrt(x^2 + 1))"""
    x = as_float(b, name, input)
    size = b.emit(f"{name}/size", "abs", [x])
    square = b.emit(f"{name}/more", "add", [b.emit(f"{name}/square", "mul", [x, x])], other=1.0)
    total = b.emit(f"{name}/total", "add", [size, b.emit(f"{name}/root", "sqrt", [square])])
    return b.emit(name, "mul", [b.emit(f"{name}/log", "log", [total]), b.emit(f"{name}/sign", "sign", [x])])


def acosh(b: Builder, name: str, input: Node) -> Node:
    """log(x + sqrt(x^2 - 1))"""
    x = as_float(b, name, input)
    square = b.emit(f"{name}/less", "sub", [b.emit(f"{name}/square", "mul", [x, x])], other=1.0)
    return b.emit(name, "log", [b.emit(f"{name}/total", "add", [x, b.emit(f"{name}/root", "sqrt", [square])])])


def atanh(b: Builder, name: str, input: Node) -> Node:
    """log((1 + x) / (1 - x)) / 2"""
    x = as_float(b, name, input)
    less = b.emit(f"{name}/less", "sub", [x], other=1.0, reflected=True)
    ratio = b.emit(f"{name}/ratio", "div", [b.emit(f"{name}/more", "add", [x], other=1.0), less])
    return b.emit(name, "mul", [b.emit(f"{name}/log", "log", [ratio])], other=0.5)


# Questions about single numbers


def is_nan(b: Builder, name: str, input: Node) -> Node:
    """What is no number differs from itself."""
    return b.emit(name, "not_equal", [input, input])


def _beyond(kind: str) -> Converter:
    def convert(b: Builder, name: str, input: Node) -> Node:
        size = b.emit(f"{name}/size", "abs", [as_float(b, name, input)])
        return b.emit(name, kind, [size], other=torch.finfo(torch.float32).max)

    return convert


is_inf, is_finite = _beyond("greater"), _beyond("less_equal")


def nan_to_num(b: Builder, name: str, input: Node, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Node:
    """Numbers in place of what is none and of infinities, which become the largest numbers unless told otherwise."""
    if not input.dtype.is_floating_point:
        return input
    largest = torch.finfo(input.dtype).max
    x = input
    for kind, limit, value in (("greater", largest, posinf), ("less", -largest, neginf)):
        if value is not None:
            outside = b.emit(f"{name}/{kind}", kind, [x], other=limit)
            x = b.emit(f"{name}/finite", "where", [outside, b.number(f"{name}/{kind}_value", value, x), x])
    x = b.emit(f"{name}/limited", "clip", [x], min=-largest, max=largest)
    return b.emit(name, "where", [is_nan(b, f"{name}/nan", input), b.number(f"{name}/value", nan or 0.0, x), x])


def heaviside(b: Builder, name: str, input: Any, values: Any) -> Any:
    """0 below 0, 1 above, and a value of its own at 0."""
    if not isinstance(input, Node):
        return NotImplemented
    above = b.emit(f"{name}/above", "cast", [b.emit(f"{name}/greater", "greater", [input], other=0)], dtype=input.dtype)
    at = b.emit(f"{name}/at", "equal", [input], other=0)
    return b.emit(name, "where", [at, b.operand(f"{name}/values", values, input), above])


def sinc(b: Builder, name: str, input: Node) -> Node:
    """sin(pi * x) / (pi * x), which is 1 at 0."""
    x = b.emit(f"{name}/angle", "mul", [as_float(b, name, input)], other=math.pi)
    at = b.emit(f"{name}/at", "equal", [x], other=0.0)
    one = b.number(f"{name}/one", 1.0, x)
    divisor = b.emit(f"{name}/divisor", "where", [at, one, x])
    return b.emit(
        name, "where", [at, one, b.emit(f"{name}/ratio", "div", [b.emit(f"{name}/sin", "sin", [x]), divisor])]
    )


# Simulated quantization


def fake_quantize(
    b: Builder, name: str, input: Node, scale: Any, zero_point: Any, quant_min: int, quant_max: int
) -> Any:
    """Rounded to the integers of a scale and a zero point that are known, and made real again."""
    if isinstance(scale, Node) or isinstance(zero_point, Node):
        return NotImplemented
    scale, zero = (torch.as_tensor(x).detach().to(input.dtype) for x in (scale, zero_point))
    whole = b.emit(f"{name}/round", "round", [_by(b, f"{name}/scaled", "div", input, scale)])
    code = clip(b, f"{name}/codes", _by(b, f"{name}/shifted", "add", whole, zero), float(quant_min), float(quant_max))
    return _by(b, name, "mul", _by(b, f"{name}/centered", "sub", code, zero), scale)


def _by(b: Builder, name: str, kind: str, x: Node, other: torch.Tensor) -> Node:
    return pair(b, name, kind, x, other.item() if other.numel() == 1 else other)


def fake_quantize_per_channel(
    b: Builder, name: str, input: Node, scale: Any, zero_point: Any, axis: int, quant_min: int, quant_max: int
) -> Any:
    if isinstance(scale, Node) or isinstance(zero_point, Node):
        return NotImplemented
    scale, zero_point = (along_axis(values, axis, input.rank) for values in (scale, zero_point))
    return fake_quantize(b, name, input, scale, zero_point, quant_min, quant_max)


def observed_fake_quantize(
    b: Builder,
    name: str,
    input: Node,
    observer_on: Any,
    fake_quant_on: Any,
    running_min: Any,
    running_max: Any,
    scale: Any,
    zero_point: Any,
    averaging_const: float,
    quant_min: int,
    quant_max: int,
    ch_axis: int,
    per_row_fake_quant: bool = False,
    symmetric_quant: bool = False,
) -> Any:
    """What prepare_qat puts behind layers, whose observer must be off; it does nothing where both are off."""
    if bool(observer_on):
        return NotImplemented
    if not bool(fake_quant_on):
        return input
    if per_row_fake_quant:
        return fake_quantize_per_channel(b, name, input, scale, zero_point, ch_axis, quant_min, quant_max)
    return fake_quantize(b, name, input, scale, zero_point, quant_min, quant_max)
