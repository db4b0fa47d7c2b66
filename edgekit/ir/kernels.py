"""What the operators with attributes compute, in torch; edgekit.ir.reference says what each attribute means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from edgekit.ir.graph import Op

Tensors = Mapping[str, Tensor]
Kernel = Callable[["Op", list[Tensor], Tensors], Tensor]
_CONV: list[Callable[..., Tensor]] = [F.conv1d, F.conv2d, F.conv3d]
_CONV_TRANSPOSE: list[Callable[..., Tensor]] = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]
_MAX_POOL: list[Callable[..., Tensor]] = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
_AVG_POOL: list[Callable[..., Tensor]] = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]
ADAPTIVE_AVG: list[Callable[..., Tensor]] = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
ADAPTIVE_MAX: list[Callable[..., Tensor]] = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]


def _by_rank(table: list[Callable[..., Tensor]], x: Tensor) -> Callable[..., Tensor]:
    return table[x.dim() - 3]


def pad_argument(padding: tuple[tuple[int, int], ...]) -> list[int]:
    """((low, high), ...) per axis, first axis first, in the order of torch's F.pad (last axis first)."""
    return [amount for pair in reversed(padding) for amount in pair]


def along_axis(values: Tensor, axis: int, rank: int) -> Tensor:
    """Return a vector in a shape that broadcasts along one axis of a tensor of `rank` axes."""
    return values.reshape([-1 if at == axis % rank else 1 for at in range(rank)])


def conv(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    (x,), padding = inputs, op.attrs["padding"]
    if any(low != high for low, high in padding):
        x, padding = F.pad(x, pad_argument(padding)), ((0, 0),) * len(padding)
    return _by_rank(_CONV, x)(
        x,
        own["weight"],
        own.get("bias"),
        op.attrs["stride"],
        tuple(p for p, _ in padding),
        op.attrs["dilation"],
        op.attrs["groups"],
    )


def conv_transpose(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    return _by_rank(_CONV_TRANSPOSE, x)(
        x,
        own["weight"],
        own.get("bias"),
        a["stride"],
        tuple(p for p, _ in a["padding"]),
        a["output_padding"],
        a["groups"],
        a["dilation"],
    )


def batch_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return F.batch_norm(
        inputs[0], own["mean"], own["var"], own.get("weight"), own.get("bias"), False, 0.0, op.attrs["eps"]
    )


def scale(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    shape = (1, -1, *[1] * (inputs[0].dim() - 2))
    return inputs[0] * own["weight"].reshape(shape) + own["bias"].reshape(shape)


def max_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    padding = a["padding"]
    if any(low != high or 2 * low > k for (low, high), k in zip(padding, a["kernel"], strict=True)):
        x, padding = F.pad(x, pad_argument(padding), value=-math.inf), ((0, 0),) * len(padding)
    return _by_rank(_MAX_POOL, x)(x, a["kernel"], a["stride"], tuple(p for p, _ in padding), a["dilation"])


def avg_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    pool = _by_rank(_AVG_POOL, x)
    if all(low == high for low, high in a["padding"]):
        return pool(x, a["kernel"], a["stride"], tuple(p for p, _ in a["padding"]), count_include_pad=False)
    pads = pad_argument(a["padding"])
    inside = F.pad(torch.ones_like(x[:1, :1]), pads)
    return pool(F.pad(x, pads), a["kernel"], a["stride"]) / pool(inside, a["kernel"], a["stride"])


def adaptive_pool(table: list[Callable[..., Tensor]]) -> Kernel:
    """Return the pooling to a size of one kind, for every number of axes."""
    return lambda op, inputs, own: _by_rank(table, inputs[0])(inputs[0], op.attrs["size"])


def prod(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim)
    return x


def reshape(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return inputs[0].reshape(op.attrs["shape"])


def slice_(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    index = [slice(None)] * a["dim"] + [slice(a["start"], a["stop"], a["step"])]
    return inputs[0][tuple(index)]


def pad(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    pads, mode = op.attrs["pads"], op.attrs.get("mode", "constant")
    if mode == "constant":
        return F.pad(inputs[0], pad_argument(pads), value=op.attrs["value"])
    return F.pad(inputs[0], pad_argument(pads[2:]), mode=mode)  # torch has these for the axes behind the channels


class OutsideTable(IndexError):
    """Computed indices that choose rows which a tensor does not have."""


def gather(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, dim = inputs[0], op.attrs["dim"]
    indices = inputs[1] if len(inputs) > 1 else own["indices"]
    try:
        return x.index_select(dim, indices)
    except (IndexError, RuntimeError) as error:
        low, high = int(indices.min()), int(indices.max())
        if low >= 0 and high < x.shape[dim]:
            raise
        worst = low if low < 0 else high
        raise OutsideTable(f"{op.place} chooses row {worst} of {x.shape[dim]}, counted from 0") from error


def upsample(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    scale = a.get("scale")
    size = a["size"] if scale is None else None
    return F.interpolate(inputs[0], size, scale, mode=a["mode"], align_corners=a["align_corners"])


def layer_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    (x,), a = inputs, op.attrs
    sizes = [x.shape[dim] for dim in a["dims"]]
    return F.layer_norm(x, sizes, own.get("weight"), own.get("bias"), a["eps"])


def group_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return F.group_norm(inputs[0], op.attrs["groups"], own.get("weight"), own.get("bias"), op.attrs["eps"])


def recurrent(function: Callable[..., Any], part: int = 0) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        x, *states = inputs
        if not states:
            zero = x.new_zeros((1, x.shape[1], op.attrs["hidden"]))
            states = [zero] if op.kind == "gru" else [zero, zero]
        weights = [own[role] for role in ("w_ih", "w_hh", "b_ih", "b_hh") if role in own]
        x = x.flip(0) if op.attrs["reverse"] else x
        given = states[0] if op.kind == "gru" else states
        y: Tensor = function(x, given, weights, len(weights) == 4, 1, 0.0, False, False, False)[part]
        return y.flip(0) if op.attrs["reverse"] else y

    return kernel


def conv_dynamic(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return conv(op, inputs[:1], {**own, "weight": inputs[1]})


def grid_sample(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    return F.grid_sample(inputs[0], inputs[1], a["mode"], a["padding_mode"], a["align_corners"])
