"""Operators that reduce, multiply or move along axes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.exporters.case import MAP, SIGNAL, VECTORS, VOLUME, Case, Shape


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


SEVEN = (1, 2, 3, 4, 2, 3, 2)


def seven_axes() -> dict[str, Case]:
    """Operators over axes of a tensor that has more of them than the runtimes' quickest kernels take."""
    weight, bias = torch.linspace(-1, 1, 8).reshape(4, 2), torch.linspace(0, 1, 4)
    pads = ((0, 0), (0, 0), (1, 0), (0, 0), (0, 0), (1, 2), (0, 0))
    found = {
        "softmax": Case("softmax", lambda x: x.softmax(2), (SEVEN,), {"dim": 2}),
        "log_softmax": Case("log_softmax", lambda x: x.log_softmax(-1), (SEVEN,), {"dim": 6}),
        "sum": Case("sum", lambda x: x.sum((2, 3)), (SEVEN,), {"dims": (2, 3), "keepdim": False}),
        "mean": Case("mean", lambda x: x.mean((1, 4), True), (SEVEN,), {"dims": (1, 4), "keepdim": True}),
        "cat": Case("cat", lambda x, y: torch.cat([x, y], 3), (SEVEN, SEVEN), {"dim": 3}),
        "pad": Case("pad", lambda x: F.pad(x, (0, 0, 1, 2, 0, 0, 0, 0, 1, 0)), (SEVEN,), {"pads": pads, "value": 0.0}),
        "layer_norm": Case(
            "layer_norm", lambda x: F.layer_norm(x, (2,), bias[:2], bias[2:]), (SEVEN,), {"dims": (6,), "eps": 1e-5},
            {"weight": bias[:2], "bias": bias[2:]}),
        "linear": Case(
            "linear", lambda x: F.linear(x, weight, bias), (SEVEN,), {}, {"weight": weight, "bias": bias}),
    }  # fmt: skip
    return {f"{name} of 7 axes": case for name, case in found.items()}
