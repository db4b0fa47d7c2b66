"""Each kind of operator alone: its inputs, own tensors and attributes, and the function of torch that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.ir.graph import Graph, Op

Shape = tuple[int, ...]
VECTORS, SIGNAL, MAP, VOLUME = (2, 6), (1, 6, 7), (1, 6, 5, 7), (1, 4, 3, 5, 6)
RANKS: tuple[Shape, ...] = ((6,), VECTORS, SIGNAL, MAP, VOLUME)


@dataclass(frozen=True)
class Case:
    """One operator. `inputs` are drawn by `draw` where they are given as shapes."""

    kind: str
    function: Callable[..., Tensor]
    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Tensor] = field(default_factory=dict)
    draw: str = "normal"
    close: float = 2e-6  # of the largest value

    def values(self) -> list[Tensor]:
        """The inputs."""
        drawn = torch.Generator().manual_seed(3)
        return [x if isinstance(x, Tensor) else DRAWN[self.draw](x, drawn) for x in self.inputs]

    def graph(self) -> Graph:
        """The network that is this operator."""
        values = self.values()
        want = self.function(*values)
        names = tuple(f"x{i}" for i in range(len(values)))
        ops = [Op(n, "input", (), tuple(x.shape), dtype=x.dtype) for n, x in zip(names, values, strict=True)]
        own = {role: f"own.{role}" for role in self.params}
        ops.append(Op("y", self.kind, names, tuple(want.shape), own, dict(self.attrs), want.dtype))
        return Graph(tuple(ops), {"y": "y"}, {f"own.{role}": t for role, t in self.params.items()})


DRAWN: dict[str, Callable[[Shape, torch.Generator], Tensor]] = {
    "normal": lambda shape, g: torch.randn(shape, generator=g) * 2,
    "positive": lambda shape, g: torch.rand(shape, generator=g) * 3 + 0.1,
    "apart": lambda shape, g: (
        torch.where(torch.rand(shape, generator=g) < 0.5, -1.0, 1.0) * (torch.rand(shape, generator=g) + 0.5)
    ),
    "whole": lambda shape, g: torch.randint(-3, 4, shape, generator=g),
    "few": lambda shape, g: torch.randint(-3, 4, shape, generator=g).float(),
    "bool": lambda shape, g: torch.rand(shape, generator=g) < 0.5,
}


def own(*shape: int, seed: int = 5, low: float | None = None) -> Tensor:
    """A tensor of the operator's own."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=drawn) if low is None else torch.rand(shape, generator=drawn) + low


def one_tensor() -> dict[str, Case]:
    functions: dict[str, tuple[Callable[..., Tensor], str]] = {
        **{name: (getattr(torch, name), "normal") for name in ("exp", "neg", "abs", "sin", "cos", "erf")},
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


def reductions() -> dict[str, Case]:
    def product_of(x: Tensor, dims: Shape, keepdim: bool) -> Tensor:
        for dim in sorted(dims, reverse=True):
            x = x.prod(dim, keepdim)
        return x

    functions: dict[str, Callable[..., Tensor]] = {
        "mean": torch.mean, "sum": torch.sum, "max": torch.amax, "min": torch.amin, "prod": product_of
    }  # fmt: skip
    over: tuple[tuple[Shape, Shape], ...] = (
        ((6,), (0,)), (VECTORS, (1,)), (SIGNAL, (2,)), (SIGNAL, (1,)), (MAP, (1,)), (MAP, (2, 3)), (MAP, (1, 2, 3)),
        (MAP, (3,)), (VOLUME, (2, 3, 4)), (VOLUME, (1,)), ((1, 2, 3, 4, 2, 3), (2, 4)), (VECTORS, (0, 1)),
    )  # fmt: skip
    cases = {
        f"{name} of {shape} over {dims}{' kept' if keep else ''}": Case(
            name, lambda x, f=function, d=dims, k=keep: f(x, d, k), (shape,), {"dims": dims, "keepdim": keep}
        )
        for (name, function), (shape, dims), keep in product(functions.items(), over, (False, True))
    }
    for kind, shape, keep in product(("argmax", "argmin"), (VECTORS, SIGNAL, MAP, VOLUME), (False, True)):
        for dim in range(1, len(shape)):
            cases[f"{kind} of {shape} over {dim}{' kept' if keep else ''}"] = Case(
                kind,
                lambda x, n=kind, d=dim, k=keep: getattr(torch, n)(x, d, k),
                (shape,),
                {"dim": dim, "keepdim": keep},
            )
    for shape in (VECTORS, SIGNAL, MAP):
        for dim in range(1, len(shape)):
            cases[f"cumsum of {shape} over {dim}"] = Case(
                "cumsum", lambda x, d=dim: torch.cumsum(x, d), (shape,), {"dim": dim}
            )
            for part, largest in product((0, 1), (True, False)):
                given = {"k": 3, "dim": dim, "largest": largest, "sorted": True}
                cases[f"topk {part} of {shape} over {dim} {largest}"] = Case(
                    ("topk_values", "topk_indices")[part],
                    lambda x, p=part, g=given: torch.topk(x, g["k"], g["dim"], g["largest"], True)[p],
                    (shape,),
                    given,
                )
    return cases | {
        "sum of truth": Case("sum", lambda x: x.sum((2, 3)), (MAP,), {"dims": (2, 3), "keepdim": False}, draw="bool"),
        "sum of integers": Case("sum", lambda x: x.sum(1), (MAP,), {"dims": (1,), "keepdim": False}, draw="whole"),
        "max of integers": Case("max", lambda x: x.amax(1), (MAP,), {"dims": (1,), "keepdim": False}, draw="whole"),
    }


def products() -> dict[str, Case]:
    shapes: tuple[tuple[Shape, Shape], ...] = (
        ((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4, 5)), ((1, 2, 3, 4), (1, 2, 4, 5)),
        ((3, 4), (2, 4, 5)), ((1, 2, 3, 4), (1, 1, 4, 5)), ((2, 1, 2, 3, 4), (1, 3, 2, 4, 5)),
        ((1, 2, 3, 2, 3, 4), (1, 2, 3, 2, 4, 5)), ((1, 3, 1), (1, 1, 3)),
    )  # fmt: skip
    return {f"matmul {a} {b}": Case("matmul", torch.matmul, (a, b)) for a, b in shapes}


def moves() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for shape in (VECTORS, SIGNAL, MAP, VOLUME):
        for dim in range(1, len(shape)):
            places = torch.tensor([shape[dim] - 1, 0, 0, 1])
            cases[f"gather of {shape} along {dim}"] = Case(
                "gather", lambda x, d=dim, p=places: x.index_select(d, p), (shape,), {"dim": dim}, {"indices": places}
            )
        for dims in ((1,), tuple(range(1, len(shape)))):
            cases[f"flip of {shape} over {dims}"] = Case("flip", lambda x, d=dims: x.flip(d), (shape,), {"dims": dims})
        repeats = (1, 2, *[1] * (len(shape) - 3), 3)[: len(shape)]
        cases[f"tile of {shape}"] = Case("tile", lambda x, r=repeats: x.repeat(r), (shape,), {"repeats": repeats})
    return cases | {
        "gather by what is computed": Case(
            "gather", lambda x, i: x.index_select(2, i), (MAP, torch.tensor([4, 0, 2])), {"dim": 2}),
        "gather of truth": Case(
            "gather", lambda x: x.index_select(1, torch.tensor([3, 1])), (MAP,), {"dim": 1},
            {"indices": torch.tensor([3, 1])}, draw="bool"),
        "expand": Case("expand", lambda x: x.expand(-1, -1, 5, 7), ((1, 6, 1, 1),), {"shape": (-1, -1, 5, 7)}),
        "expand rows": Case("expand", lambda x: x.expand(-1, 6, -1), ((1, 1, 7),), {"shape": (-1, 6, -1)}),
        "expand the batch": Case("expand", lambda x: x.expand(3, -1), ((1, 6),), {"shape": (3, -1)}),
        "expand of truth": Case(
            "expand", lambda x: x.expand(-1, 6, -1), ((1, 1, 7),), {"shape": (-1, 6, -1)}, draw="bool"),
        "permute of 5 axes": Case("permute", lambda x: x.permute(0, 3, 1, 4, 2), (VOLUME,), {"dims": (0, 3, 1, 4, 2)}),
        "permute of 6 axes": Case(
            "permute", lambda x: x.permute(0, 1, 3, 2, 4, 5), ((1, 2, 3, 4, 5, 2),), {"dims": (0, 1, 3, 2, 4, 5)}),
        "permute of 7 axes": Case(
            "permute", lambda x: x.permute(0, 1, 3, 2, 5, 4, 6), ((1, 2, 3, 4, 5, 2, 2),),
            {"dims": (0, 1, 3, 2, 5, 4, 6)}),
        "slice of 6 axes": Case(
            "slice", lambda x: x[:, :, 1:3], ((2, 2, 3, 4, 2, 2),), {"dim": 2, "start": 1, "stop": 3, "step": 1}),
        "slice of truth": Case(
            "slice", lambda x: x[:, 1:3], (MAP,), {"dim": 1, "start": 1, "stop": 3, "step": 1}, draw="bool"),
        "slice of integers": Case(
            "slice", lambda x: x[:, 1:5:2], (MAP,), {"dim": 1, "start": 1, "stop": 5, "step": 2}, draw="whole"),
        "cat of integers": Case("cat", lambda a, b: torch.cat([a, b], 1), (MAP, MAP), {"dim": 1}, draw="whole"),
        "reshape of truth": Case("reshape", lambda x: x.reshape(-1, 210), (MAP,), {"shape": (-1, 210)}, draw="bool"),
        "reshape to a vector": Case("reshape", lambda x: x.reshape(-1), (MAP,), {"shape": (-1,)}),
    }  # fmt: skip


_NORMED: tuple[tuple[Shape, int], ...] = (
    (VECTORS, 1), (SIGNAL, 1), (SIGNAL, 2), (MAP, 1), (MAP, 3), (VOLUME, 1)
)  # fmt: skip
_GROUPED: tuple[Shape, ...] = (VECTORS, SIGNAL, MAP, (2, 6, 5, 7), (1, 6, 3, 4, 5))


def norms() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for shape, count in _NORMED:
        sizes, dims = shape[-count:], tuple(range(len(shape) - count, len(shape)))
        for affine in (False, True):
            mine = {"weight": own(*sizes), "bias": own(*sizes, seed=6)} if affine else {}
            cases[f"layer_norm of {shape} over {count}{' affine' if affine else ''}"] = Case(
                "layer_norm",
                lambda x, s=sizes, m=mine: F.layer_norm(x, s, m.get("weight"), m.get("bias"), 1e-5),
                (shape,), {"dims": dims, "eps": 1e-5}, mine, close=4e-6,
            )  # fmt: skip
    for shape, groups in product(_GROUPED, (1, 2, 6)):
        if shape == VECTORS and groups == 6:
            continue
        mine = {"weight": own(6), "bias": own(6, seed=6)}
        cases[f"group_norm of {shape} in {groups}"] = Case(
            "group_norm",
            lambda x, g=groups, m=mine: F.group_norm(x, g, m["weight"], m["bias"], 1e-5),
            (shape,), {"groups": groups, "eps": 1e-5}, mine, close=4e-6,
        )  # fmt: skip
    return cases


def resizes() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    sizes: tuple[tuple[int, ...], ...] = ((10, 14), (7, 9), (3, 4), (13, 11), (1, 1), (5, 3))
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for size, corners in product(sizes, (False, True) if mode.startswith("bi") else (None,)):
            attrs = {"size": size, "mode": mode, "align_corners": corners}
            cases[f"{mode} to {size} corners {corners}"] = Case(
                "upsample", lambda x, a=attrs: F.interpolate(x, **a), (MAP,), attrs, close=1e-5
            )
        for factor in (1.3, 2.7, 0.6):
            out = tuple(int(side * factor) for side in MAP[2:])
            given = None if mode.startswith("nearest") else False
            cases[f"{mode} by {factor}"] = Case(
                "upsample",
                lambda x, m=mode, f=factor, c=given: F.interpolate(x, scale_factor=f, mode=m, align_corners=c),
                (MAP,), {"size": out, "mode": mode, "align_corners": given, "scale": (factor, factor)}, close=1e-5,
            )  # fmt: skip
    for mode, size in product(("nearest", "nearest-exact", "trilinear"), ((6, 5, 6), (5, 9, 4))):
        for corners in (False, True) if mode == "trilinear" else (None,):
            attrs = {"size": size, "mode": mode, "align_corners": corners}
            cases[f"{mode} of a volume to {size} corners {corners}"] = Case(
                "upsample", lambda x, a=attrs: F.interpolate(x, **a), (VOLUME,), attrs, close=1e-5
            )
    for mode, size in product(("nearest", "nearest-exact", "linear"), ((14,), (9,), (4,))):
        for corners in (False, True) if mode == "linear" else (None,):
            attrs = {"size": size, "mode": mode, "align_corners": corners}
            cases[f"{mode} of a signal to {size} corners {corners}"] = Case(
                "upsample", lambda x, a=attrs: F.interpolate(x, **a), (SIGNAL,), attrs, close=1e-5
            )
    return cases


def pads_and_pools() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    pads = {SIGNAL: (2, 3), MAP: (1, 2, 3, 1), VOLUME: (1, 2, 0, 1, 1, 0)}
    for (shape, pad), mode in product(pads.items(), ("constant", "reflect", "replicate")):
        pairs = tuple((pad[i], pad[i + 1]) for i in range(0, len(pad), 2))[::-1]
        cases[f"pad {mode} of {shape}"] = Case(
            "pad", lambda x, p=pad, m=mode: F.pad(x, p, m), (shape,),
            {"pads": ((0, 0), (0, 0), *pairs), "mode": mode, "value": 0.0},
        )  # fmt: skip
    for name, pad in (("reflect", (-1, 2, 1, -1)), ("replicate", (3, -2, -1, 2))):
        pairs = ((pad[2], pad[3]), (pad[0], pad[1]))
        cases[f"pad {name} and crop"] = Case(
            "pad", lambda x, p=pad, m=name: F.pad(x, p, m), (MAP,),
            {"pads": ((0, 0), (0, 0), *pairs), "mode": name, "value": 0.0},
        )  # fmt: skip
    for shape, size in (
        (SIGNAL, (3,)),
        (SIGNAL, (7,)),
        (MAP, (3, 4)),
        (MAP, (1, 7)),
        (MAP, (1, 1)),
        (VOLUME, (2, 3, 4)),
    ):
        function = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(shape) - 3]
        cases[f"adaptive_max_pool of {shape} to {size}"] = Case(
            "adaptive_max_pool", lambda x, f=function, s=size: f(x, s), (shape,), {"size": size}
        )
    for padding, stride in product((0, 1), (1, 2)):
        cases[f"max_pool with gaps, padding {padding}, stride {stride}"] = Case(
            "max_pool", lambda x, p=padding, s=stride: F.max_pool2d(x, 2, s, p, 2), (MAP,),
            {"kernel": (2, 2), "stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (2, 2)},
        )  # fmt: skip
    return cases | {
        "max_pool of a volume with gaps": Case(
            "max_pool", lambda x: F.max_pool3d(x, 2, 1, 0, (1, 2, 3)), (VOLUME,),
            {"kernel": (2, 2, 2), "stride": (1, 1, 1), "padding": ((0, 0),) * 3, "dilation": (1, 2, 3)}),
        "max_pool of a signal with gaps": Case(
            "max_pool", lambda x: F.max_pool1d(x, 3, 1, 1, 2), (SIGNAL,),
            {"kernel": (3,), "stride": (1,), "padding": ((1, 1),), "dilation": (2,)}),
    }  # fmt: skip


def layers() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for groups in (2, 4):
        weight, bias = own(8, 4 // groups, 3, 3, 3), own(8)
        for stride in (1, 2):
            cases[f"conv of a volume in {groups}, stride {stride}"] = Case(
                "conv", lambda x, w=weight, b=bias, s=stride, g=groups: F.conv3d(x, w, b, s, 1, 1, g), (VOLUME,),
                {"stride": (stride,) * 3, "padding": ((1, 1),) * 3, "dilation": (1, 1, 1), "groups": groups},
                {"weight": weight, "bias": bias},
            )  # fmt: skip
    for stride, padding, more in ((1, 0, 0), (2, 1, 1), (2, 0, 0), (2, 1, 0)):
        weight = own(4, 3, 3, 3, 3)
        cases[f"conv_transpose of a volume, stride {stride}, padding {padding}, {more} more"] = Case(
            "conv_transpose", lambda x, w=weight, s=stride, p=padding, m=more: F.conv_transpose3d(x, w, None, s, p, m),
            (VOLUME,),
            {"stride": (stride,) * 3, "padding": ((padding, padding),) * 3, "dilation": (1, 1, 1), "groups": 1,
             "output_padding": (more,) * 3},
            {"weight": weight},
        )  # fmt: skip
    return cases | {
        "conv_transpose of a volume in 2": Case(
            "conv_transpose", lambda x: F.conv_transpose3d(x, own(4, 2, 2, 2, 2), own(4), 2, groups=2), (VOLUME,),
            {"stride": (2,) * 3, "padding": ((0, 0),) * 3, "dilation": (1, 1, 1), "groups": 2,
             "output_padding": (0,) * 3}, {"weight": own(4, 2, 2, 2, 2), "bias": own(4)}),
        "conv_dynamic": Case(
            "conv_dynamic", lambda x, w: F.conv2d(x, w, None, 1, 1), (MAP, (4, 6, 3, 3)),
            {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}),
        "conv_dynamic in groups": Case(
            "conv_dynamic", lambda x, w: F.conv2d(x, w, None, 2, 1, 1, 6), (MAP, (6, 1, 3, 3)),
            {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 6}),
        "linear of a vector": Case(
            "linear", lambda x: F.linear(x, own(4, 6), own(4)), ((6,),), {}, {"weight": own(4, 6), "bias": own(4)}),
    }  # fmt: skip


def recurrences() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for kind, reverse, states in product(("lstm", "lstm_cell", "gru"), (False, True), (0, 1)):
        gates, hidden, channels = (3 if kind == "gru" else 4), 5, 3
        mine = [own(gates * hidden, channels), own(gates * hidden, hidden, seed=6), own(gates * hidden, seed=7),
                own(gates * hidden, seed=8)]  # fmt: skip

        def run(x: Tensor, *first: Tensor, k: str = kind, r: bool = reverse, w: list[Tensor] = mine) -> Tensor:
            zero = torch.zeros(1, x.shape[1], 5)
            given: Any = first or ((zero,) if k == "gru" else (zero, zero))
            x = x.flip(0) if r else x
            if k == "gru":
                y: Tensor = torch.gru(x, given[0], w, True, 1, 0.0, False, False, False)[0]
            else:
                y = torch.lstm(x, given, w, True, 1, 0.0, False, False, False)[2 if k == "lstm_cell" else 0]
            return y.flip(0) if r and k != "lstm_cell" else y

        given = ((1, 2, hidden),) * (0 if not states else 1 if kind == "gru" else 2)
        cases[f"{kind}{' backwards' if reverse else ''}{' from a state' if states else ''}"] = Case(
            kind, run, ((7, 2, channels), *given), {"hidden": hidden, "reverse": reverse},
            dict(zip(("w_ih", "w_hh", "b_ih", "b_hh"), mine, strict=True)), close=1e-5,
        )  # fmt: skip
    return cases


def samples() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for mode, padding, corners in product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        attrs = {"mode": mode, "padding_mode": padding, "align_corners": corners}
        cases[f"grid_sample {mode} {padding} {corners}"] = Case(
            "grid_sample", lambda x, g, a=attrs: F.grid_sample(x, g, **a),
            (MAP, (1, 4, 3, 2)), attrs, close=1e-5,
        )  # fmt: skip
    return cases


CASES: dict[str, Case] = (
    one_tensor()
    | two_tensors()
    | reductions()
    | products()
    | moves()
    | norms()
    | resizes()
    | pads_and_pools()
    | layers()
) | recurrences()
SAMPLES = samples()  # ONNX alone has these
