"""What each kind of operator computes, in torch.

Attributes, all static:
  conv            stride, dilation (per spatial axis), padding ((low, high) per spatial axis, zeros), groups
  conv_transpose  stride, dilation, padding ((p, p)), output_padding, groups
  linear          -                       weight (out, in), bias
  batch_norm      eps                     mean, var, and weight and bias where affine
  scale           -                       per channel (axis 1): x * weight + bias
  max_pool        kernel, stride, dilation, padding ((low, high), minus infinity)
  avg_pool        kernel, stride, padding ((low, high)); divides by the elements that are inside the input
  mean sum max min prod   dims, keepdim
  adaptive_avg_pool, adaptive_max_pool   size
  lrn             size, alpha, beta, k    as torch's LocalResponseNorm: alpha is divided by size
  clip            min, max                relu6 is a clip of 0 and 6
  exp log sqrt rsqrt reciprocal neg abs sin cos floor ceil round erf sign   -
  softmax log_softmax cumsum   dim
  argmax argmin   dim, keepdim (False where absent); int64
  topk_values, topk_indices   k, dim, largest, sorted; the indices are int64
  leaky_relu      slope;   elu  alpha
  add sub mul div                         two inputs; or one, and a tensor "other", or a number attrs["other"];
                                          `reflected` for other - x and other / x
  pow maximum minimum floor_div remainder   the same
  equal not_equal less less_equal greater greater_equal   the same; bool. logical_and, logical_or, logical_not of bool
  where           three inputs: condition (bool), where it holds, where not
  softplus        beta, threshold;   cast  dtype
  matmul          two inputs, axes in front broadcast
  conv_dynamic    as conv, with the weight as its second input
  constant        no input; the tensor "value", whatever the batch
  cat             dim
  pad             pads ((low, high) for every axis), value; mode (constant where absent, reflect, replicate)
  reshape         shape, -1 first where the batch is kept
  permute         dims
  slice           dim, start, stop, step (above 0)
  gather          dim; takes what a vector "indices" says, its own or its second input
  flip            dims;   expand  shape, -1 where the size is kept;   tile  repeats
  upsample        size, mode (of F.interpolate), align_corners; scale: the factors that torch goes by, where it does not
                  go by the sizes
  layer_norm      dims (the last ones), eps          weight, bias
  group_norm      groups, eps                        weight, bias
  lstm, gru       hidden, reverse: one direction of one layer on (T, N, C); further inputs: the first state(s)
                                                     w_ih, w_hh, b_ih, b_hh
  grid_sample     two inputs; mode, padding_mode, align_corners
  call            function(*inputs): anything else that torch can run; exported to ONNX only
"""

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
_ADAPTIVE_AVG: list[Callable[..., Tensor]] = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
_ADAPTIVE_MAX: list[Callable[..., Tensor]] = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]

# Functions of torch that treat every element alike and take nothing else; nothing more has to be known of them.
ONE_TENSOR = (
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "neg",
    "abs",
    "sin",
    "cos",
    "floor",
    "ceil",
    "round",
    "erf",
    "sign",
)


def _by_rank(table: list[Callable[..., Tensor]], x: Tensor) -> Callable[..., Tensor]:
    return table[x.dim() - 3]


def pad_argument(padding: tuple[tuple[int, int], ...]) -> list[int]:
    """((low, high), ...) per axis, first axis first, in the order of torch's F.pad (last axis first)."""
    return [amount for pair in reversed(padding) for amount in pair]


def _conv(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
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


def _conv_transpose(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
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


def _batch_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return F.batch_norm(
        inputs[0], own["mean"], own["var"], own.get("weight"), own.get("bias"), False, 0.0, op.attrs["eps"]
    )


def _scale(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    shape = (1, -1, *[1] * (inputs[0].dim() - 2))
    return inputs[0] * own["weight"].reshape(shape) + own["bias"].reshape(shape)


def _max_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    padding = a["padding"]
    if any(low != high or 2 * low > k for (low, high), k in zip(padding, a["kernel"], strict=True)):
        x, padding = F.pad(x, pad_argument(padding), value=-math.inf), ((0, 0),) * len(padding)
    return _by_rank(_MAX_POOL, x)(x, a["kernel"], a["stride"], tuple(p for p, _ in padding), a["dilation"])


def _avg_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    pool = _by_rank(_AVG_POOL, x)
    if all(low == high for low, high in a["padding"]):
        return pool(x, a["kernel"], a["stride"], tuple(p for p, _ in a["padding"]), count_include_pad=False)
    pads = pad_argument(a["padding"])
    inside = F.pad(torch.ones_like(x[:1, :1]), pads)
    return pool(F.pad(x, pads), a["kernel"], a["stride"]) / pool(inside, a["kernel"], a["stride"])


def _binary(function: Callable[[Any, Any], Tensor]) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        left: Any = inputs[0]
        right: Any = inputs[1] if len(inputs) > 1 else own.get("other", op.attrs.get("other"))
        return function(right, left) if op.attrs.get("reflected") else function(left, right)

    return kernel


def _over(function: Callable[..., Tensor]) -> Kernel:
    """A reduction over axes."""
    return lambda op, inputs, own: function(inputs[0], op.attrs["dims"], op.attrs["keepdim"])


def _prod(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim)
    return x


def _index_of(function: Callable[..., Tensor]) -> Kernel:
    return lambda op, inputs, own: function(inputs[0], op.attrs["dim"], op.attrs.get("keepdim", False))


def _topk(part: int) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        a = op.attrs
        both: tuple[Tensor, Tensor] = torch.topk(inputs[0], a["k"], a["dim"], a["largest"], a["sorted"])
        return both[part]

    return kernel


def _unary(function: Callable[..., Tensor], **names: str) -> Kernel:
    """A function of one tensor; `names` maps its keyword arguments to attributes."""

    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        return function(inputs[0], **{keyword: op.attrs[attribute] for keyword, attribute in names.items()})

    return kernel


def _reshape(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return inputs[0].reshape(op.attrs["shape"])


def _slice(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    index = [slice(None)] * a["dim"] + [slice(a["start"], a["stop"], a["step"])]
    return inputs[0][tuple(index)]


def _pad(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    pads, mode = op.attrs["pads"], op.attrs.get("mode", "constant")
    if mode == "constant":
        return F.pad(inputs[0], pad_argument(pads), value=op.attrs["value"])
    return F.pad(inputs[0], pad_argument(pads[2:]), mode=mode)  # torch has these for the axes behind the channels


def _gather(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return inputs[0].index_select(op.attrs["dim"], inputs[1] if len(inputs) > 1 else own["indices"])


def _upsample(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    scale = a.get("scale")
    size = a["size"] if scale is None else None
    return F.interpolate(inputs[0], size, scale, mode=a["mode"], align_corners=a["align_corners"])


def _layer_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    (x,), a = inputs, op.attrs
    sizes = [x.shape[dim] for dim in a["dims"]]
    return F.layer_norm(x, sizes, own.get("weight"), own.get("bias"), a["eps"])


def _group_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return F.group_norm(inputs[0], op.attrs["groups"], own.get("weight"), own.get("bias"), op.attrs["eps"])


def _recurrent(function: Callable[..., Any]) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        x, *states = inputs
        if not states:
            zero = x.new_zeros((1, x.shape[1], op.attrs["hidden"]))
            states = [zero, zero] if op.kind == "lstm" else [zero]
        weights = [own[role] for role in ("w_ih", "w_hh", "b_ih", "b_hh") if role in own]
        x = x.flip(0) if op.attrs["reverse"] else x
        given = states if op.kind == "lstm" else states[0]
        y: Tensor = function(x, given, weights, len(weights) == 4, 1, 0.0, False, False, False)[0]
        return y.flip(0) if op.attrs["reverse"] else y

    return kernel


def _conv_dynamic(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return _conv(op, inputs[:1], {**own, "weight": inputs[1]})


def _grid_sample(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    return F.grid_sample(inputs[0], inputs[1], a["mode"], a["padding_mode"], a["align_corners"])


KERNELS: dict[str, Kernel] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda op, inputs, own: F.linear(inputs[0], own["weight"], own.get("bias")),
    "batch_norm": _batch_norm,
    "scale": _scale,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "mean": _over(torch.mean),
    "sum": _over(torch.sum),
    "max": _over(torch.amax),
    "min": _over(torch.amin),
    "prod": _over(_prod),
    "adaptive_avg_pool": lambda op, inputs, own: _by_rank(_ADAPTIVE_AVG, inputs[0])(inputs[0], op.attrs["size"]),
    "adaptive_max_pool": lambda op, inputs, own: _by_rank(_ADAPTIVE_MAX, inputs[0])(inputs[0], op.attrs["size"]),
    "lrn": _unary(F.local_response_norm, size="size", alpha="alpha", beta="beta", k="k"),
    "relu": _unary(F.relu),
    "clip": _unary(torch.clamp, min="min", max="max"),
    "hardswish": _unary(F.hardswish),
    "hardsigmoid": _unary(F.hardsigmoid),
    "sigmoid": _unary(torch.sigmoid),
    "tanh": _unary(torch.tanh),
    "silu": _unary(F.silu),
    "gelu": _unary(F.gelu, approximate="approximate"),
    "leaky_relu": _unary(F.leaky_relu, negative_slope="slope"),
    "elu": _unary(F.elu, alpha="alpha"),
    "prelu": lambda op, inputs, own: F.prelu(inputs[0], own["weight"]),
    "softmax": _unary(F.softmax, dim="dim"),
    "log_softmax": _unary(F.log_softmax, dim="dim"),
    "argmax": _index_of(torch.argmax),
    "argmin": _index_of(torch.argmin),
    "cumsum": _unary(torch.cumsum, dim="dim"),
    "topk_values": _topk(0),
    "topk_indices": _topk(1),
    **{name: _unary(getattr(torch, name)) for name in ONE_TENSOR},
    "logical_not": _unary(torch.logical_not),
    "softplus": _unary(F.softplus, beta="beta", threshold="threshold"),
    "cast": lambda op, inputs, own: inputs[0].to(op.attrs["dtype"]),
    "add": _binary(torch.add),
    "sub": _binary(lambda a, b: a - b),
    "mul": _binary(torch.mul),
    "div": _binary(lambda a, b: a / b),
    "pow": _binary(torch.pow),
    "maximum": _binary(torch.maximum),
    "minimum": _binary(torch.minimum),
    "floor_div": _binary(lambda a, b: torch.div(a, b, rounding_mode="floor")),
    "remainder": _binary(torch.remainder),
    "equal": _binary(torch.eq),
    "not_equal": _binary(torch.ne),
    "less": _binary(torch.lt),
    "less_equal": _binary(torch.le),
    "greater": _binary(torch.gt),
    "greater_equal": _binary(torch.ge),
    "logical_and": _binary(torch.logical_and),
    "logical_or": _binary(torch.logical_or),
    "where": lambda op, inputs, own: torch.where(inputs[0], inputs[1], inputs[2]),
    "matmul": lambda op, inputs, own: torch.matmul(*inputs),
    "conv_dynamic": _conv_dynamic,
    "constant": lambda op, inputs, own: own["value"],
    "cat": lambda op, inputs, own: torch.cat(inputs, op.attrs["dim"]),
    "pad": _pad,
    "reshape": _reshape,
    "permute": lambda op, inputs, own: inputs[0].permute(op.attrs["dims"]),
    "slice": _slice,
    "gather": _gather,
    "flip": lambda op, inputs, own: inputs[0].flip(op.attrs["dims"]),
    "expand": lambda op, inputs, own: inputs[0].expand(op.attrs["shape"]),
    "tile": lambda op, inputs, own: inputs[0].repeat(op.attrs["repeats"]),
    "upsample": _upsample,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "lstm": _recurrent(torch.lstm),
    "gru": _recurrent(torch.gru),
    "grid_sample": _grid_sample,
    "call": lambda op, inputs, own: op.attrs["function"](*inputs, **own),
}
