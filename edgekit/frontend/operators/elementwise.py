"""What treats every element alike: arithmetic, comparisons, activations, conversions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node

Converter = Callable[..., Any]  # (builder, name, the call's own arguments) -> what it becomes, or NotImplemented


def renamed(function: Converter, **names: str) -> Converter:
    """The converter of a function whose arguments have other names: theirs, with those of `function`."""
    return lambda b, name, *args, **more: function(b, name, *args, **{names.get(key, key): more[key] for key in more})


def unary(kind: str, **defaults: Any) -> Converter:
    """An operator of one tensor whose further arguments have torch's names and defaults."""

    def convert(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(defaults, args, strict=False)) | kwargs
        input = as_float(b, name, input) if kind not in _ANY_TYPE else input
        return b.emit(name, kind, [input], **{key: given.get(key, value) for key, value in defaults.items()})

    return convert


_ANY_TYPE = ("abs", "neg", "sign", "relu", "floor", "ceil", "round", "logical_not", "clip")


def as_float(b: Builder, name: str, x: Node) -> Node:
    """A tensor of integers as real numbers, which torch makes of them where a function asks for these."""
    return x if x.dtype.is_floating_point else b.emit(f"{name}/float", "cast", [x], dtype=torch.float32)


# Arithmetic


def binary(kind: str, reflected: bool = False) -> Converter:
    """An operator of two tensors, a tensor and one that the network owns, or a tensor and a number."""

    def convert(b: Builder, name: str, input: Any, other: Any, *, alpha: Any = 1, rounding_mode: Any = None) -> Any:
        wanted = {None: kind, "floor": "floor_div"}.get(rounding_mode)
        if wanted is None:
            return NotImplemented
        if alpha != 1:
            other = scaled(b, f"{name}/alpha", other, alpha)
        left, right = (other, input) if reflected else (input, other)
        return pair(b, name, wanted, left, right)

    return convert


def scaled(b: Builder, name: str, value: Any, factor: float) -> Any:
    """A value times a number."""
    if isinstance(value, Node):
        return b.emit(name, "mul", [value], other=_number(factor, value))
    return value * factor


def pair(b: Builder, name: str, kind: str, left: Any, right: Any) -> Node:
    """left (kind) right, of which one at least is a node."""
    swapped = not isinstance(left, Node)
    x, other = (right, left) if swapped else (left, right)
    more: dict[str, Any] = {"reflected": True} if swapped else {}
    if swapped and kind in _MIRRORED:
        kind, more = _MIRRORED[kind], {}
    if isinstance(other, Node):
        return b.emit(name, kind, [x, other])
    if isinstance(other, Tensor):
        return b.emit(name, kind, [x], {"other": other}, **more)
    return b.emit(name, kind, [x], None, other=_number(other, x), **more)


_MIRRORED = {
    "add": "add",
    "mul": "mul",
    "less": "greater",
    "greater": "less",
    "less_equal": "greater_equal",
    "greater_equal": "less_equal",
    "equal": "equal",
    "not_equal": "not_equal",
    "maximum": "maximum",
    "minimum": "minimum",
}


def _number(value: Any, like: Node) -> Any:
    """A number in the kind of a tensor's: torch keeps integers where both are."""
    return value if isinstance(value, int) and not like.dtype.is_floating_point else float(value)


def pow_(b: Builder, name: str, input: Any, exponent: Any) -> Any:
    exponent = _limit(exponent)
    if not isinstance(exponent, (Node, Tensor)) and isinstance(input, Node):
        if exponent == 1:
            return input
        if exponent == 2:
            return b.emit(name, "mul", [input, input])
        if exponent in (0.5, -0.5, -1):
            kind = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}[exponent]
            return b.emit(name, kind, [as_float(b, name, input)])
    return pair(b, name, "pow", input, exponent)


def float_power(b: Builder, name: str, input: Any, exponent: Any) -> Any:
    """The same in real numbers."""
    return pow_(b, name, *(as_float(b, name, x) if isinstance(x, Node) else x for x in (input, exponent)))


def rpow(b: Builder, name: str, exponent: Node, base: Any) -> Any:
    return pair(b, name, "pow", base, exponent)


def square(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "mul", [input, input])


def addcmul(b: Builder, name: str, input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    return _added(b, name, "mul", input, tensor1, tensor2, value)


def addcdiv(b: Builder, name: str, input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    return _added(b, name, "div", input, tensor1, tensor2, value)


def _added(b: Builder, name: str, kind: str, input: Any, one: Any, other: Any, value: float) -> Any:
    if not isinstance(one, Node) and not isinstance(other, Node):
        product = (one * other if kind == "mul" else one / other) * value
    else:
        product = pair(b, f"{name}/{kind}", kind, one, other)
        product = product if value == 1 else scaled(b, f"{name}/value", product, value)
    return pair(b, name, "add", input, product)


def lerp(b: Builder, name: str, input: Any, end: Any, weight: Any) -> Any:
    apart = pair(b, f"{name}/apart", "sub", end, input)
    return pair(b, name, "add", input, pair(b, f"{name}/part", "mul", apart, weight))


def where(b: Builder, name: str, condition: Any, input: Any = None, other: Any = None) -> Any:
    if input is None or other is None:
        return NotImplemented
    like = next((x for x in (input, other) if isinstance(x, Node)), None)
    if like is None:
        tensors = [x for x in (input, other) if isinstance(x, Tensor)]
        dtype = tensors[0].dtype if tensors else torch.get_default_dtype()
        like = Node("", "", (), (), dtype)
    parts = [b.operand(f"{name}/{part}", x, like) for part, x in (("input", input), ("other", other))]
    return b.emit(name, "where", [b.operand(f"{name}/condition", condition, like), *parts])


def masked_fill(b: Builder, name: str, input: Any, mask: Any, value: Any) -> Any:
    like = input if isinstance(input, Node) else Node("", "", (), (), input.dtype)
    parts = [b.operand(f"{name}/mask", mask, like), b.operand(f"{name}/value", value, like)]
    return b.emit(name, "where", [*parts, b.operand(f"{name}/input", input, like)])


def logical(kind: str, bits: Converter | None = None) -> Converter:
    """and, or, not of truth values; of integers what `bits` makes, or torch tells."""

    def convert(b: Builder, name: str, *values: Any) -> Any:
        if any(isinstance(x, (Node, Tensor)) and x.dtype != torch.bool for x in values):
            return NotImplemented if bits is None else bits(b, name, *values)
        nodes = [b.operand(f"{name}/{index}", x, values[0]) for index, x in enumerate(values)]
        return b.emit(name, kind, nodes)

    return convert


def masked_bits(kind: str) -> Converter:
    """Bits of integers; those of a number that is known by divisions: exact in every format, below opset 18 too.

    x | m is (x without m) + m, and x ^ m is (x without m) + (m without x), of which no bit is in both.
    """

    def convert(b: Builder, name: str, input: Any, other: Any) -> Any:
        x, mask = (input, other) if isinstance(input, Node) else (other, input)
        if isinstance(mask, Tensor) and mask.dim() == 0 and not mask.is_meta:
            mask = int(mask)
        if x.dtype not in _SIGNED:
            return NotImplemented
        if not isinstance(mask, int) or not -_FAR <= mask < _FAR:
            return _bitwise(b, name, f"bitwise_{kind}", x, mask)
        mask = int(mask)  # a truth value is a number too
        both = _kept_bits(b, name if kind == "and" else f"{name}/both", x, mask)
        if kind == "and":
            return both
        rest = b.emit(f"{name}/rest", "sub", [x, both])
        if kind == "or":
            return b.emit(name, "add", [rest], other=mask)
        return b.emit(name, "add", [rest, b.emit(f"{name}/else", "sub", [both], other=mask, reflected=True)])

    return convert


def _bitwise(b: Builder, name: str, kind: str, x: Node, other: Any) -> Node:
    """Bits of two tensors, in the wider type of both."""
    mask = b.operand(f"{name}/mask", other, x)
    wide = torch.promote_types(x.dtype, mask.dtype)
    both = [one if one.dtype == wide else b.emit(f"{name}/cast", "cast", [one], dtype=wide) for one in (x, mask)]
    return b.emit(name, kind, both)


_SIGNED = (torch.int32, torch.int64)
_FAR = 2**30  # the power of two above a mask is an int32, which TFLite makes of every integer


def _kept_bits(b: Builder, name: str, x: Node, mask: int) -> Node:
    """x & mask: each run of ones is cut out by a division and a remainder; of a negative mask, what is not in it."""
    if mask < 0:
        return b.emit(name, "sub", [x, _kept_bits(b, f"{name}/outside", x, ~mask)])
    total, low = None, 0
    while mask >> low:
        length = 0
        while mask >> (low + length) & 1:
            length += 1
        if length:
            part = b.emit(f"{name}/down{low}", "floor_div", [x], other=2**low) if low else x
            part = b.emit(f"{name}/bits{low}", "remainder", [part], other=2**length)
            part = b.emit(f"{name}/up{low}", "mul", [part], other=2**low) if low else part
            total = part if total is None else b.emit(f"{name}/sum{low}", "add", [total, part])
        low += length or 1
    return b.emit(name, "mul", [x], other=0) if total is None else total


def flipped_bits(b: Builder, name: str, input: Node) -> Any:
    """~x is -1 - x."""
    return b.emit(name, "sub", [input], other=-1, reflected=True) if input.dtype in _SIGNED else NotImplemented


def shifted(left: bool) -> Converter:
    """Integers shifted by bits that are known: times a power of two, or divided by it."""

    def convert(b: Builder, name: str, input: Any, other: Any) -> Any:
        bits = _limit(other)
        if not isinstance(input, Node) or isinstance(bits, (Node, Tensor)):
            return NotImplemented
        return b.emit(name, "mul" if left else "floor_div", [input], other=2 ** int(bits))

    return convert


# Limits


def _limit(value: Any) -> Any:
    """A number where a tensor of one element tells one."""
    one = isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta
    return float(value) if one else value


def clip(b: Builder, name: str, input: Any, min: Any = None, max: Any = None) -> Any:
    min, max = _limit(min), _limit(max)
    if not isinstance(input, Node):
        return NotImplemented
    if isinstance(min, (Node, Tensor)) or isinstance(max, (Node, Tensor)):
        limits = [(kind, end) for kind, end in (("maximum", min), ("minimum", max)) if end is not None]
        x = input
        for index, (kind, end) in enumerate(limits):
            x = pair(b, name if index == len(limits) - 1 else f"{name}/{kind}", kind, x, _as_limit(end, x))
        return x
    if min == 0 and max is None:
        return b.emit(name, "relu", [input])
    return b.emit(name, "clip", [input], min=min, max=max)


def _as_limit(limit: Any, like: Node) -> Any:
    return limit if isinstance(limit, (Node, Tensor)) else torch.tensor(float(limit), dtype=like.dtype)


def clamp_min(b: Builder, name: str, input: Node, min: Any) -> Any:
    return clip(b, name, input, min=min)


def clamp_max(b: Builder, name: str, input: Node, max: Any) -> Any:
    return clip(b, name, input, max=max)


def relu6(b: Builder, name: str, input: Node, inplace: bool = False) -> Any:
    return clip(b, name, input, 0.0, 6.0)


def hardtanh(
    b: Builder, name: str, input: Node, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return clip(b, name, input, min_val, max_val)


# Conversions


def converted(*to: torch.dtype) -> Converter:
    """A conversion to one type, or to what the call names: nothing where the tensor is of this type already."""

    def convert(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
        given = (*to, *args, *kwargs.values())
        wanted = [value for value in given if isinstance(value, torch.dtype)]
        wanted += [value.dtype for value in given if isinstance(value, (Node, Tensor))]
        wanted += [_NAMED[value] for value in given if isinstance(value, str) and value in _NAMED]
        if not wanted or wanted[0] == input.dtype:
            return input
        return b.emit(name, "cast", [input], dtype=wanted[0])

    return convert


_NAMED = {
    f"torch.{name}Tensor": getattr(torch, f"{name}Tensor").dtype
    for name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}


def type_(b: Builder, name: str, input: Node, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    if dtype is None:
        return torch.empty((), dtype=input.dtype).type()
    return converted()(b, name, input, getattr(dtype, "dtype", dtype))  # torch.FloatTensor is one of its own kind


def same(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
    """What changes nothing, or only where the values lie."""
    return input


def frac(b: Builder, name: str, input: Node) -> Any:
    whole = b.emit(f"{name}/whole", "floor", [b.emit(f"{name}/size", "abs", [input])])
    signed = b.emit(f"{name}/signed", "mul", [whole, b.emit(f"{name}/sign", "sign", [input])])
    return b.emit(name, "sub", [input, signed])


def trunc(b: Builder, name: str, input: Node) -> Any:
    whole = b.emit(f"{name}/whole", "floor", [b.emit(f"{name}/size", "abs", [input])])
    return b.emit(name, "mul", [whole, b.emit(f"{name}/sign", "sign", [input])])


def logarithm(base: float) -> Converter:
    def convert(b: Builder, name: str, input: Node) -> Node:
        return b.emit(name, "mul", [b.emit(f"{name}/log", "log", [input])], other=1 / math.log(base))

    return convert
