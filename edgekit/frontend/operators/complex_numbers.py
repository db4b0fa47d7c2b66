"""Complex tensors, kept as pairs of real ones: no format has numbers of that kind."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Complex, Node, halves, mapped
from edgekit.frontend.operators import attention, layers, special
from edgekit.frontend.operators.elementwise import Converter, as_float, clip, pair
from edgekit.frontend.operators.moving import expanded, select, stack, turned

Part = Any  # a node, a tensor or a number; None stands for zero


def parts(value: Any) -> tuple[Part, Part]:
    """Return the real and the imaginary part of a value."""
    if isinstance(value, Complex):
        return value.real, value.imag
    if isinstance(value, Tensor) and value.is_complex():
        return halves(value)
    if isinstance(value, complex):
        return value.real or None, value.imag or None
    return value, None


def joined(b: Builder, name: str, real: Part, imag: Part) -> Complex:
    """Return the complex tensor of two parts, of which one at least is a node."""
    like = next(x for x in (real, imag) if isinstance(x, Node))
    shapes = [tuple(x.shape) for x in (real, imag) if isinstance(x, (Node, Tensor))]
    shape = tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]
    whole = (_whole(b, f"{name}/{part}", x, like, shape) for part, x in (("real", real), ("imag", imag)))
    return Complex.of(*whole)


def _whole(b: Builder, name: str, x: Part, like: Node, shape: tuple[int, ...]) -> Node:
    if x is None:
        return b.constant(name, torch.zeros(shape, dtype=like.dtype))
    return expanded(b, name, b.operand(name, x, like), shape)


# Arithmetic of parts


def _of(b: Builder, name: str, kind: str, x: Part, y: Part) -> Part:
    if isinstance(x, Node) or isinstance(y, Node):
        return pair(b, name, kind, x, y)
    return getattr(operator, kind)(x, y)


def _sum(b: Builder, name: str, x: Part, y: Part) -> Part:
    return y if x is None else x if y is None else _of(b, name, "add", x, y)


def _difference(b: Builder, name: str, x: Part, y: Part) -> Part:
    if y is None:
        return x
    return _negative(b, name, y) if x is None else _of(b, name, "sub", x, y)


def _negative(b: Builder, name: str, x: Part) -> Part:
    if x is None:
        return None
    return b.emit(f"{name}/neg", "neg", [x]) if isinstance(x, Node) else -x


def _product(b: Builder, name: str, x: Part, y: Part) -> Part:
    return None if x is None or y is None else _of(b, name, "mul", x, y)


# Operators


def add(b: Builder, name: str, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """z + alpha * w."""
    other = other if alpha == 1 else mul(b, f"{name}/alpha", other, alpha)
    (a, c), (d, e) = parts(input), parts(other)
    return joined(b, name, _sum(b, f"{name}/real", a, d), _sum(b, f"{name}/imag", c, e))


def sub(b: Builder, name: str, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """z - alpha * w."""
    other = other if alpha == 1 else mul(b, f"{name}/alpha", other, alpha)
    (a, c), (d, e) = parts(input), parts(other)
    return joined(b, name, _difference(b, f"{name}/real", a, d), _difference(b, f"{name}/imag", c, e))


def reflected(function: Converter) -> Converter:
    """The operator with its operands exchanged."""
    return lambda b, name, input, other, **more: function(b, name, other, input, **more)


def bilinear(function: Callable[[Builder, str, Part, Part], Any]) -> Converter:
    """A product of two tensors: the products of their parts, (ac - bd) + i(ad + bc)."""

    def convert(b: Builder, name: str, input: Any, other: Any) -> Any:
        (x, y), (u, v) = parts(input), parts(other)

        def times(part: str, one: Part, two: Part) -> Part:
            return None if one is None or two is None else function(b, f"{name}/{part}", one, two)

        real = _difference(b, f"{name}/real", times("xu", x, u), times("yv", y, v))
        return joined(b, name, real, _sum(b, f"{name}/imag", times("xv", x, v), times("yu", y, u)))

    return convert


mul = bilinear(lambda b, name, one, two: _of(b, name, "mul", one, two))


def div(b: Builder, name: str, input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    """z / w, with a real w part by part, else as z * conj(w) / |w|^2."""
    if rounding_mode is not None:
        return NotImplemented
    (x, y), (u, v) = parts(input), parts(other)
    if v is None:
        return joined(b, name, *(None if one is None else pair(b, f"{name}/part", "div", one, u) for one in (x, y)))
    if isinstance(other, (Tensor, complex)):
        return mul(b, name, input, 1 / other)
    size = b.emit(f"{name}/size", "add", [b.emit(f"{name}/square", "mul", [one, one]) for one in (u, v)])
    turned_back = mul(b, f"{name}/product", input, conj(b, f"{name}/conj", other))
    return joined(b, name, *(pair(b, f"{name}/part", "div", one, size) for one in parts(turned_back)))


def reciprocal(b: Builder, name: str, input: Any) -> Any:
    """1 / z."""
    return div(b, name, 1.0, input)


def neg(b: Builder, name: str, input: Any) -> Any:
    """-z."""
    return joined(b, name, *(_negative(b, name, one) for one in parts(input)))


def conj(b: Builder, name: str, input: Any) -> Any:
    """The same with the other sign of the imaginary part."""
    if not isinstance(input, Complex):
        return input
    return joined(b, name, input.real, _negative(b, name, input.imag))


def turned_conj(b: Builder, name: str, input: Any) -> Any:
    """The last two axes exchanged, and the conjugate of it."""
    x = Complex.of(*(turned(b, name, one) for one in parts(input)))
    return conj(b, name, x)


def power(b: Builder, name: str, input: Any, exponent: Any) -> Any:
    """z to a whole power above 0."""
    if not isinstance(input, Complex) or not isinstance(exponent, (int, float)) or exponent not in range(1, 9):
        return NotImplemented
    found = input
    for _ in range(int(exponent) - 1):
        found = mul(b, name, found, input)
    return found


def square(b: Builder, name: str, input: Any) -> Any:
    """z * z."""
    return mul(b, name, input, input)


def exp(b: Builder, name: str, input: Any) -> Any:
    """e^x * (cos y + i sin y)."""
    return polar(b, name, b.emit(f"{name}/size", "exp", [input.real]), input.imag)


def log(b: Builder, name: str, input: Any) -> Any:
    """log |z| + i * angle."""
    return joined(b, name, b.emit(f"{name}/log", "log", [absolute(b, f"{name}/abs", input)]), angle(b, name, input))


def sgn(b: Builder, name: str, input: Any) -> Any:
    """z / |z|, which is 0 at 0."""
    size = absolute(b, f"{name}/abs", input)
    at = b.emit(f"{name}/at", "equal", [size], other=0.0)
    return div(b, name, input, b.emit(f"{name}/divisor", "where", [at, b.number(f"{name}/one", 1.0, size), size]))


# From pairs of real tensors, and back to real ones


def absolute(b: Builder, name: str, input: Complex) -> Node:
    """|z| as the larger part times a root from 1 on: squares of a spectrum are beyond what float16 holds."""
    sizes = [b.emit(f"{name}/size", "abs", [part]) for part in (input.real, input.imag)]
    large, small = (b.emit(f"{name}/{kind}", kind, sizes) for kind in ("maximum", "minimum"))
    least = clip(b, f"{name}/least", large, min=torch.finfo(torch.float32).tiny)
    slope = b.emit(f"{name}/slope", "div", [small, least])
    square = b.emit(f"{name}/more", "add", [b.emit(f"{name}/square", "mul", [slope, slope])], other=1.0)
    return b.emit(name, "mul", [large, b.emit(f"{name}/root", "sqrt", [square])])


def angle(b: Builder, name: str, input: Any) -> Node:
    """The angle of z; of a real number it is 0 or pi."""
    if isinstance(input, Complex):
        return special.atan2(b, name, input.imag, input.real)
    x = as_float(b, name, input)
    below = b.emit(f"{name}/below", "less", [x], other=0.0)
    ends = (b.number(f"{name}/{what}", value, x) for what, value in (("pi", torch.pi), ("zero", 0.0)))
    return b.emit(name, "where", [below, *ends])


def real(b: Builder, name: str, input: Any) -> Any:
    """The real part."""
    return input.real if isinstance(input, Complex) else input


def imag(b: Builder, name: str, input: Complex) -> Node:
    """The imaginary part."""
    return input.imag


def complex_(b: Builder, name: str, real: Any, imag: Any) -> Any:
    """torch.complex: of a real and an imaginary part."""
    return joined(b, name, real, imag)


def polar(b: Builder, name: str, abs: Any, angle: Any) -> Any:
    """The complex number of a size and an angle."""

    def wave(kind: str) -> Any:
        if isinstance(angle, Node):
            return b.emit(f"{name}/{kind}", kind, [angle])
        return getattr(torch, kind)(angle)

    return joined(b, name, *(_of(b, f"{name}/part", "mul", abs, wave(kind)) for kind in ("cos", "sin")))


def view_as_complex(b: Builder, name: str, input: Node) -> Any:
    """A last axis of two as real and imaginary part."""
    return Complex.of(*(select(b, f"{name}/{part}", input, -1, at) for at, part in enumerate(("real", "imag"))))


def view_as_real(b: Builder, name: str, input: Complex) -> Any:
    """Real and imaginary part along a new last axis."""
    return stack(b, name, [input.real, input.imag], -1)


def converted(b: Builder, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A conversion between complex types changes nothing; one to a real type leaves the real part."""
    told = [value for value in (*args, *kwargs.values()) if isinstance(value, (torch.dtype, Node, Tensor))]
    wanted = (told[0] if isinstance(told[0], torch.dtype) else told[0].dtype) if told else torch.complex64
    if not isinstance(input, Complex):
        return joined(b, name, input, None)
    return input if wanted.is_complex else input.real


# What treats both parts alike


def alike(function: Converter, *values: int | str) -> Converter:
    """What is linear: moves, sums, joins. `values` are places and names of arguments where a number is an element."""

    def element(at: int | str, x: Any) -> Any:
        return complex(x) if at in values and isinstance(x, (int, float)) else x

    def convert(b: Builder, name: str, *args: Any, **kwargs: Any) -> Any:
        given = tuple(element(at, x) for at, x in enumerate(args)), {key: element(key, x) for key, x in kwargs.items()}
        found = []
        for which in range(2):
            part = mapped(given, partial(_one, which))
            found.append(function(b, f"{name}/{('real', 'imag')[which]}", *part[0], **part[1]))
        return _paired(*found)

    return convert


def _one(which: int, value: Any) -> Any:
    """A part of what is complex; of a real tensor of elements the imaginary part is zero."""
    if isinstance(value, complex):
        return (value.real, value.imag)[which]
    if isinstance(value, Complex) or (isinstance(value, Tensor) and value.is_complex()):
        return parts(value)[which]
    if which and isinstance(value, (Node, Tensor)) and value.dtype.is_floating_point:
        return torch.zeros(value.shape, dtype=value.dtype)
    return value


def _paired(real: Any, imag: Any) -> Any:
    if isinstance(real, (tuple, list)):
        return tuple(_paired(one, other) for one, other in zip(real, imag, strict=True))
    return Complex.of(real, imag) if isinstance(real, Node) and isinstance(imag, Node) else NotImplemented


def by_size(function: Converter) -> Converter:
    """A norm of complex numbers: that of their sizes."""

    def convert(b: Builder, name: str, input: Complex, *args: Any, **kwargs: Any) -> Any:
        return function(b, name, absolute(b, f"{name}/abs", input), *args, **kwargs)

    return convert


def layer(function: Converter) -> Converter:
    """A linear layer or a convolution, whose weight or input is complex."""

    def convert(b: Builder, name: str, input: Any, weight: Any, bias: Any = None, *args: Any, **kwargs: Any) -> Any:
        y = bilinear(lambda b, part, x, w: function(b, part, x, w, None, *args, **kwargs))(b, name, input, weight)
        if bias is None:
            return y
        axes = [1] * (y.rank - 2) if function is not layers.linear else []
        return add(b, name, y, bias.detach().reshape(-1, *axes)) if isinstance(bias, Tensor) else NotImplemented

    return convert


def einsum(b: Builder, name: str, equation: Any, *operands: Any) -> Any:
    """One tensor is summed and moved part by part; two are a product of their parts."""
    given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else list(operands)
    if len(given) == 1:
        return alike(attention.einsum)(b, name, equation, *given)
    if len(given) > 2:
        return NotImplemented
    return bilinear(lambda b, part, one, two: attention.einsum(b, part, equation, one, two))(b, name, *given)
