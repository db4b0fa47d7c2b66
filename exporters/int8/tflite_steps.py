"""Operators that a TFLite file computes in several integer steps, or with constants in integers: the same, simulated.

Each step of a file rounds to its tensor's grid. Rounding once in its place would put the simulation beside the file by
a step in a good part of the elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.int8.activations import constant_of, rounded_operand
from edgekit.exporters.int8.tflite_constraints import FIXED_OUTPUT, HARDSIGMOID_SUM, mean_padding
from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QParams
from edgekit.ir.reference import KERNELS

Computed = Callable[..., Tensor]
Steps = Callable[[Graph, Op, Mapping[str, QParams]], Computed | None]


def in_steps(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed | None:
    """Return what computes an integer operator of the inputs as a TFLite file does; None where that is one step.

    `grids` are those of the network's tensors, by operator name. The result is not rounded to the output's grid yet.
    """
    steps = _STEPS.get(op.kind)
    return steps(graph, op, grids) if steps is not None else None


def scale_integers(grid: QParams, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return int8 weights, int32 biases and float64 scales, each (channels,), of a factor and an offset per channel.

    Scales have so few bits that 127 times one is a float32: it reads back the same.
    """
    mantissas, exponents = torch.frexp(torch.maximum(weight.abs() / 127, bias.abs() / (grid.scale * 2**30)))  # an int32
    scales = torch.ldexp(torch.ceil(mantissas * 2**17) / 2**17, exponents).clamp_min(2.0**-99)
    integers = torch.round(weight / scales).to(torch.int8)
    added = torch.round(bias / (scales * grid.scale)).to(torch.int32)
    return integers, added, scales


def _means(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed | None:
    """AVERAGE_POOL_2D rounds halves of its integers away from zero; of volumes it pools planes, then their depth.

    What needs a PAD is pooled in float; maps without padding are averaged by a convolution, which rounds as all do.
    """
    a, grid, padding = op.attrs, grids[op.inputs[0]], mean_padding(graph, op)
    if padding.explicit or (len(op.shape) < 5 and padding.word == "VALID"):
        return None
    if len(op.shape) < 5:
        return lambda x: _mean(op, x, grid)
    still: dict[str, tuple[Any, ...]] = {"kernel": (1,), "stride": (1,), "padding": ((0, 0),)}
    planes = op.with_(attrs={**a, **{name: one + tuple(a[name][1:]) for name, one in still.items()}})
    depth = op.with_(attrs={**a, **{name: tuple(a[name][:1]) + 2 * one for name, one in still.items()}})
    return lambda x: _mean(depth, _mean(planes, x, grid), grid)


def _mean(op: Op, x: Tensor, grid: QParams) -> Tensor:
    codes = torch.round(x / grid.scale) + grid.zero_point
    means = KERNELS["avg_pool"](op, [codes], {})
    return (torch.trunc(means + 0.5 * means.sign()) - grid.zero_point) * grid.scale


def _resized_volume(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed | None:
    """The planes are resized first, then their depth."""
    if len(op.shape) != 5 or op.attrs["mode"] != "trilinear":
        return None
    grid = grids[op.inputs[0]]
    planes = op.with_(attrs={**op.attrs, "size": (graph[op.inputs[0]].shape[2], *op.shape[3:])})
    whole = op.with_(attrs={**op.attrs, "size": op.shape[2:]})
    return lambda x: KERNELS["upsample"](whole, [grid.fake(KERNELS["upsample"](planes, [x], {}))], {})


def _hardsigmoid(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed:
    """relu6(x + 3), rounded, and a sixth of it."""
    return lambda x: HARDSIGMOID_SUM.fake(x + 3) / 6


def _silu(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed:
    """The sigmoid, rounded, and x times it."""
    return lambda x: x * FIXED_OUTPUT["sigmoid"].fake(torch.sigmoid(x))


def _prelu(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed:
    """Slopes are integers of one scale."""
    slope = rounded_operand(graph.tensors(op)["weight"], "tflite")
    return lambda x: KERNELS["prelu"](op, [x], {"weight": slope})


def _scale(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed | None:
    """Factors and offsets are integers, of one scale for each channel."""
    own, grid = graph.tensors(op), grids[op.inputs[0]]
    if len(op.shape) not in (3, 4):
        return None
    integers, added, scales = scale_integers(grid, own["weight"].detach().double(), own["bias"].detach().double())
    real = {"weight": (integers * scales).float(), "bias": (added * scales * grid.scale).float()}
    return lambda x: KERNELS["scale"](op, [x], real)


def _with_constant(graph: Graph, op: Op, grids: Mapping[str, QParams]) -> Computed | None:
    """The other operand is integers of one scale; TFLite divides none, so that it is multiplied by the inverse."""
    if len(op.inputs) == 2:
        return None
    other = constant_of(op, graph.tensors(op))
    if op.kind == "div":
        inverse = rounded_operand(1 / other, "tflite")
        return lambda x: x * inverse
    own = {"other": rounded_operand(other, "tflite")}
    return lambda x: KERNELS[op.kind](op, [x], own)


_STEPS: dict[str, Steps] = {
    "avg_pool": _means,
    "upsample": _resized_volume,
    "hardsigmoid": _hardsigmoid,
    "silu": _silu,
    "prelu": _prelu,
    "scale": _scale,
    **dict.fromkeys(("sub", "div"), _with_constant),
}
