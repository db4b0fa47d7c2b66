"""Layers: norms, resizes, pads, pools, convolutions, recurrent ones and samplers."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.exporters.case import MAP, SIGNAL, VECTORS, VOLUME, Case, Shape, own

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
    cases["grid_sample of two"] = Case(
        "grid_sample", lambda x, g, a=attrs: F.grid_sample(x, g, **a), ((2, 6, 5, 7), (2, 4, 3, 2)), attrs, close=1e-5
    )
    return cases
