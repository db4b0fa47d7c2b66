"""Operators on each element of one tensor or of two."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.exporters.case import DRAWN, MAP, RANKS, SIGNAL, VECTORS, VOLUME, Case, Shape, own


def one_tensor() -> dict[str, Case]:
    functions: dict[str, tuple[Callable[..., Tensor], str]] = {
        **{name: (getattr(torch, name), "normal") for name in ("exp", "neg", "abs", "sin", "cos", "erf", "atan")},
        **{name: (getattr(torch, name), "normal") for name in ("floor", "ceil", "round", "sign")},
        **{name: (getattr(torch, name), "positive") for name in ("log", "sqrt", "rsqrt")},
        "reciprocal": (torch.reciprocal, "apart"),
    }
    cases = {
        f"{name} {len(shape)}": Case(name, function, (shape,), draw=draw)
        for (name, (function, draw)), shape in product(functions.items(), RANKS)
    }
    return cases | {
        "round halves": Case("round", torch.round, (torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5]]),)),
        "logical_not": Case("logical_not", torch.logical_not, (MAP,), draw="bool"),
        "softplus": Case("softplus", F.softplus, (torch.linspace(-40, 40, 200).reshape(1, 200),),
                         {"beta": 1.0, "threshold": 20.0}),
        "softplus 2.5": Case("softplus", lambda x: F.softplus(x, 2.5, 4.0), (MAP,), {"beta": 2.5, "threshold": 4.0}),
        "cast to int": Case("cast", lambda x: x.int(), (MAP,), {"dtype": torch.int32}),
        "cast to bool": Case("cast", lambda x: x.bool(), (MAP,), {"dtype": torch.bool}, draw="few"),
        "cast bool to float": Case("cast", lambda x: x.float(), (MAP,), {"dtype": torch.float32}, draw="bool"),
        "cast int to float": Case("cast", lambda x: x.float(), (MAP,), {"dtype": torch.float32}, draw="whole"),
        "sign of integers": Case("sign", torch.sign, (MAP,), draw="whole"),
        "neg of integers": Case("neg", torch.neg, (MAP,), draw="whole"),
    }  # fmt: skip


def two_tensors() -> dict[str, Case]:
    functions: dict[str, tuple[Callable[..., Tensor], str]] = {
        "add": (torch.add, "normal"),
        "sub": (torch.sub, "normal"),
        "mul": (torch.mul, "normal"),
        "div": (torch.div, "apart"),
        "maximum": (torch.maximum, "normal"),
        "minimum": (torch.minimum, "normal"),
        "pow": (torch.pow, "positive"),
        "floor_div": (lambda a, b: torch.div(a, b, rounding_mode="floor"), "apart"),
        "remainder": (torch.remainder, "apart"),
        "equal": (torch.eq, "few"),
        "not_equal": (torch.ne, "few"),
        "less": (torch.lt, "few"),
        "less_equal": (torch.le, "few"),
        "greater": (torch.gt, "few"),
        "greater_equal": (torch.ge, "few"),
        "logical_and": (torch.logical_and, "bool"),
        "logical_or": (torch.logical_or, "bool"),
    }
    pairs: tuple[tuple[Shape, Shape], ...] = (
        (MAP, MAP), (MAP, (1, 6, 1, 1)), ((1, 6, 1, 1), MAP), (MAP, (7,)), (SIGNAL, (7, 1)[1:]), ((6, 1), (6, 5)),
        (VOLUME, (1, 4, 1, 1, 1)), (VOLUME, (1, 1, 3, 1, 6)), ((2, 3, 4, 1, 2, 3), (2, 3, 1, 5, 2, 3)), ((6,), (6,)),
        (VECTORS, ()),
    )  # fmt: skip
    cases = {
        f"{name} {a} {b}": Case(name, function, (a, b), draw=draw)
        for (name, (function, draw)), (a, b) in product(functions.items(), pairs)
    }
    for name in ("add", "sub", "mul", "div", "pow", "maximum", "floor_div", "remainder", "less", "equal"):
        function, draw = functions[name]
        for other in (2.0, own(6, 1, 1, low=0.5), own(7, low=0.5)):
            kind = "number" if isinstance(other, float) else str(tuple(other.shape))
            fixed = other if isinstance(other, Tensor) else torch.tensor(other)
            given: Any = {"params": {"other": other}} if isinstance(other, Tensor) else {"attrs": {"other": other}}
            cases[f"{name} with {kind}"] = Case(
                name, lambda x, f=function, o=fixed: f(x, o), (MAP,), draw=draw, **given
            )
    return cases | {
        "number minus": Case("sub", lambda x: 1.5 - x, (MAP,), {"other": 1.5, "reflected": True}),
        "number over": Case("div", lambda x: 1.5 / x, (MAP,), {"other": 1.5, "reflected": True}, draw="apart"),
        "number to the power": Case("pow", lambda x: 1.5**x, (MAP,), {"other": 1.5, "reflected": True}),
        "power 3": Case("pow", lambda x: x**3, (MAP,), {"other": 3.0}),
        "integers plus": Case("add", lambda x: x + 2, (MAP,), {"other": 2}, draw="whole"),
        "integers times": Case("mul", torch.mul, (MAP, MAP), draw="whole"),
        "integers compared": Case("less", lambda x: x < 2, (MAP,), {"other": 2}, draw="whole"),
        "integers with a real number": Case("less", lambda x: x < 0.5, (MAP,), {"other": 0.5}, draw="whole"),
        "integers floor": Case("floor_div", lambda x: x // 2, (MAP,), {"other": 2}, draw="whole"),
        "integers remainder": Case("remainder", lambda x: x % 3, (MAP,), {"other": 3}, draw="whole"),
        "truth plus": Case("add", torch.add, (MAP, MAP), draw="bool"),
        "where": Case("where", torch.where, (DRAWN["bool"](MAP, torch.Generator().manual_seed(1)), MAP, MAP)),
        "where of rows": Case("where", torch.where, (torch.arange(5).reshape(5, 1) > 2, MAP, ())),
        "where of a volume": Case(
            "where", torch.where, (torch.tensor([True, False, True, False, True, True]), VOLUME, VOLUME)),
        "where of 6 axes": Case(
            "where", torch.where,
            (torch.tensor([True, False, True]).reshape(1, 1, 3, 1, 1, 1), (2, 1, 3, 2, 2, 2), (2, 4, 3, 2, 2, 2))),
    }  # fmt: skip


def bits() -> dict[str, Case]:
    """Bits of two tensors, of all 32 bits that TFLite has."""
    drawn = torch.Generator().manual_seed(2)
    left, right = (torch.randint(-(2**31), 2**31, shape, generator=drawn) for shape in (MAP, (1, 6, 1, 1)))
    row = torch.randint(-9, 9, (7,), generator=drawn)
    functions = {name: getattr(torch, f"bitwise_{name}") for name in ("and", "or", "xor")}
    return {
        f"bitwise_{name} {tuple(other.shape)}": Case(f"bitwise_{name}", function, (left, other))
        for (name, function), other in product(functions.items(), (left.flip(3), right, row))
    }
