"""Activation functions: kinds of their own where the runtimes have them, else made of others."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter, clip


def leaky_relu(b: Builder, name: str, input: Node, negative_slope: float = 0.01, inplace: bool = False) -> Node:
    return b.emit(name, "leaky_relu", [input], slope=negative_slope)


def rrelu(
    b: Builder,
    name: str,
    input: Node,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """In eval mode the slope is the middle."""
    return NotImplemented if training else leaky_relu(b, name, input, (lower + upper) / 2)


def elu(
    b: Builder,
    name: str,
    input: Node,
    alpha: float = 1.0,
    scale: Any = False,
    input_scale: Any = 1,
    *rest: Any,
    **k: Any,
) -> Any:
    if scale not in (False, 1, None) or input_scale not in (1, None):
        return NotImplemented
    return b.emit(name, "elu", [input], alpha=alpha)


def celu(b: Builder, name: str, input: Node, alpha: float = 1.0, inplace: bool = False) -> Node:
    """alpha * elu(x / alpha), which is x above 0."""
    if alpha == 1:
        return b.emit(name, "elu", [input], alpha=1.0)
    bent = b.emit(f"{name}/elu", "elu", [b.emit(f"{name}/div", "div", [input], other=float(alpha))], alpha=1.0)
    return b.emit(name, "mul", [bent], other=float(alpha))


def selu(b: Builder, name: str, input: Node, inplace: bool = False) -> Node:
    bent = b.emit(f"{name}/elu", "elu", [input], alpha=1.6732632423543772)
    return b.emit(name, "mul", [bent], other=1.0507009873554805)


def softplus(b: Builder, name: str, input: Node, beta: float = 1, threshold: float = 20) -> Node:
    return b.emit(name, "softplus", [input], beta=float(beta), threshold=float(threshold))


def mish(b: Builder, name: str, input: Node, inplace: bool = False) -> Node:
    """x * tanh(softplus(x))"""
    gate = b.emit(f"{name}/tanh", "tanh", [softplus(b, f"{name}/softplus", input)])
    return b.emit(name, "mul", [input, gate])


def log_sigmoid(b: Builder, name: str, input: Node) -> Node:
    """-softplus(-x)"""
    return b.emit(name, "neg", [softplus(b, f"{name}/softplus", b.emit(f"{name}/neg", "neg", [input]))])


def softsign(b: Builder, name: str, input: Node) -> Node:
    size = b.emit(f"{name}/more", "add", [b.emit(f"{name}/abs", "abs", [input])], other=1.0)
    return b.emit(name, "div", [input, size])


def tanhshrink(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "sub", [input, b.emit(f"{name}/tanh", "tanh", [input])])


def softshrink(b: Builder, name: str, input: Node, lambd: float = 0.5) -> Any:
    """What is left of x beyond lambd on either side."""
    inside = clip(b, f"{name}/inside", input, -float(lambd), float(lambd))
    return b.emit(name, "sub", [input, inside])


def hardshrink(b: Builder, name: str, input: Node, lambd: float = 0.5) -> Node:
    far = b.emit(f"{name}/far", "greater", [b.emit(f"{name}/abs", "abs", [input])], other=float(lambd))
    return b.emit(name, "where", [far, input, b.number(f"{name}/zero", 0.0, input)])


def threshold(b: Builder, name: str, input: Node, threshold: float, value: float, inplace: bool = False) -> Node:
    above = b.emit(f"{name}/above", "greater", [input], other=float(threshold))
    return b.emit(name, "where", [above, input, b.number(f"{name}/value", value, input)])


def glu(b: Builder, name: str, input: Node, dim: int = -1) -> Node:
    """The first half times the sigmoid of the second."""
    dim %= input.rank
    half = input.shape[dim] // 2
    parts = [
        b.emit(f"{name}/{part}", "slice", [input], dim=dim, start=start, stop=start + half, step=1)
        for part, start in (("value", 0), ("gate", half))
    ]
    return b.emit(name, "mul", [parts[0], b.emit(f"{name}/sigmoid", "sigmoid", [parts[1]])])


def softmax(kind: str) -> Converter:
    def convert(b: Builder, name: str, input: Node, dim: Any = None, *rest: Any, **more: Any) -> Node:
        wanted = next((x for x in (*rest, *more.values()) if isinstance(x, torch.dtype)), input.dtype)
        if wanted != input.dtype:
            input = b.emit(f"{name}/cast", "cast", [input], dtype=wanted)
        axis = (0 if input.rank in (0, 1, 3) else 1) if dim is None else dim
        return b.emit(name, kind, [input], dim=axis % max(input.rank, 1))

    return convert


def softmin(b: Builder, name: str, input: Node, dim: Any = None, *rest: Any, **more: Any) -> Any:
    return softmax("softmax")(b, name, b.emit(f"{name}/neg", "neg", [input]), dim, *rest, **more)


def gelu(b: Builder, name: str, input: Node, approximate: str = "none") -> Node:
    return b.emit(name, "gelu", [input], approximate=approximate)


def logit(b: Builder, name: str, input: Node, eps: Any = None) -> Any:
    x = input if eps is None else clip(b, f"{name}/clip", input, eps, 1 - eps)
    rest = b.emit(f"{name}/rest", "sub", [x], other=1.0, reflected=True)
    return b.emit(name, "log", [b.emit(f"{name}/odds", "div", [x, rest])])


def hyperbolic(sign: int) -> Converter:
    """sinh and cosh."""

    def convert(b: Builder, name: str, input: Node) -> Node:
        up = b.emit(f"{name}/up", "exp", [input])
        down = b.emit(f"{name}/down", "exp", [b.emit(f"{name}/neg", "neg", [input])])
        both = b.emit(f"{name}/both", "add" if sign > 0 else "sub", [up, down])
        return b.emit(name, "mul", [both], other=0.5)

    return convert


def expm1(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "sub", [b.emit(f"{name}/exp", "exp", [input])], other=1.0)


def log1p(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "log", [b.emit(f"{name}/more", "add", [input], other=1.0)])


def exp2(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "exp", [b.emit(f"{name}/scaled", "mul", [input], other=math.log(2))])


def tan(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "div", [b.emit(f"{name}/sin", "sin", [input]), b.emit(f"{name}/cos", "cos", [input])])
