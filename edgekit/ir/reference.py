"""What each kind of operator computes, in torch.

Attributes, all static:
  conv            stride, dilation (per spatial axis), padding ((low, high) per spatial axis, zeros), groups
  conv_transpose  stride, dilation, padding ((p, p)), output_padding, groups
  linear          spectrum                weight (out, in), bias
                  `spectrum`, of convolutions too: "to" or "from" where the weight is a Fourier transform to or from
                  frequencies, absent elsewhere
  batch_norm      eps                     mean, var, and weight and bias where affine
  scale           -                       per channel (axis 1): x * weight + bias
  max_pool        kernel, stride, dilation, padding ((low, high), minus infinity)
  avg_pool        kernel, stride, padding ((low, high)); divides by the elements that are inside the input
  mean sum max min prod   dims, keepdim
  adaptive_avg_pool, adaptive_max_pool   size
  lrn             size, alpha, beta, k    as torch's LocalResponseNorm: alpha is divided by size
  clip            min, max                relu6 is a clip of 0 and 6
  exp log sqrt rsqrt reciprocal neg abs sin cos atan floor ceil round erf sign   -
  softmax log_softmax cumsum   dim
  argmax argmin   dim, keepdim (False where absent); int64
  topk_values, topk_indices   k, dim, largest, sorted, stable (False where absent); the indices are int64
  leaky_relu      slope;   elu  alpha
  add sub mul div                         two inputs; or one, and a tensor "other", or a number attrs["other"];
                                          `reflected` for other - x and other / x
  pow maximum minimum floor_div remainder   the same
  equal not_equal less less_equal greater greater_equal   the same; bool. logical_and, logical_or, logical_not of bool
  bitwise_and bitwise_or bitwise_xor      two inputs, of integers
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
  lstm_cell       the same: the last cell state (1, N, hidden)
  grid_sample     two inputs; mode, padding_mode, align_corners
  call            function(*inputs): anything else that torch can run; exported to ONNX only
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.ir import kernels
from edgekit.ir.kernels import Kernel, Tensors

if TYPE_CHECKING:
    from edgekit.ir.graph import Op

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
    "atan",
    "floor",
    "ceil",
    "round",
    "erf",
    "sign",
)
# Values of the attribute `spectrum`.
TO_FREQUENCIES, FROM_FREQUENCIES = "to", "from"
# Layers that multiply what they read by one weight of their own.
LAYERS = frozenset({"conv", "conv_transpose", "linear"})
# Kinds that treat every element alike, whatever their attributes.
ELEMENTWISE = frozenset(
    {"relu", "clip", "hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "gelu", "leaky_relu", "elu", "softplus"}
    | {*ONE_TENSOR}
)


def _binary(function: Callable[[Any, Any], Tensor]) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        left: Any = inputs[0]
        right: Any = inputs[1] if len(inputs) > 1 else own.get("other", op.attrs.get("other"))
        return function(right, left) if op.attrs.get("reflected") else function(left, right)

    return kernel


def _over(function: Callable[..., Tensor]) -> Kernel:
    """A reduction over axes."""
    return lambda op, inputs, own: function(inputs[0], op.attrs["dims"], op.attrs["keepdim"])


def _index_of(function: Callable[..., Tensor]) -> Kernel:
    return lambda op, inputs, own: function(inputs[0], op.attrs["dim"], op.attrs.get("keepdim", False))


def _topk(part: int) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        a, x = op.attrs, inputs[0]
        if a["k"] == x.shape[a["dim"]]:  # torch orders equal values otherwise where it sorts
            return torch.sort(x, dim=a["dim"], descending=a["largest"], stable=a.get("stable", False))[part]
        both: tuple[Tensor, Tensor] = torch.topk(x, a["k"], a["dim"], a["largest"], a["sorted"])
        return both[part]

    return kernel


def _unary(function: Callable[..., Tensor], **names: str) -> Kernel:
    """A function of one tensor; `names` maps its keyword arguments to attributes."""

    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        return function(inputs[0], **{keyword: op.attrs[attribute] for keyword, attribute in names.items()})

    return kernel


KERNELS: dict[str, Kernel] = {
    "conv": kernels.conv,
    "conv_transpose": kernels.conv_transpose,
    "linear": lambda op, inputs, own: F.linear(inputs[0], own["weight"], own.get("bias")),
    "batch_norm": kernels.batch_norm,
    "scale": kernels.scale,
    "max_pool": kernels.max_pool,
    "avg_pool": kernels.avg_pool,
    "mean": _over(torch.mean),
    "sum": _over(torch.sum),
    "max": _over(torch.amax),
    "min": _over(torch.amin),
    "prod": _over(kernels.prod),
    "adaptive_avg_pool": kernels.adaptive_pool(kernels.ADAPTIVE_AVG),
    "adaptive_max_pool": kernels.adaptive_pool(kernels.ADAPTIVE_MAX),
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
    "maximum": _binary(lambda a, b: torch.maximum(torch.as_tensor(a), torch.as_tensor(b))),
    "minimum": _binary(lambda a, b: torch.minimum(torch.as_tensor(a), torch.as_tensor(b))),
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
    **{f"bitwise_{name}": _binary(getattr(torch, f"bitwise_{name}")) for name in ("and", "or", "xor")},
    "where": lambda op, inputs, own: torch.where(inputs[0], inputs[1], inputs[2]),
    "matmul": lambda op, inputs, own: torch.matmul(*inputs),
    "conv_dynamic": kernels.conv_dynamic,
    "constant": lambda op, inputs, own: own["value"],
    "cat": lambda op, inputs, own: torch.cat(inputs, op.attrs["dim"]),
    "pad": kernels.pad,
    "reshape": kernels.reshape,
    "permute": lambda op, inputs, own: inputs[0].permute(op.attrs["dims"]),
    "slice": kernels.slice_,
    "gather": kernels.gather,
    "flip": lambda op, inputs, own: inputs[0].flip(op.attrs["dims"]),
    "expand": lambda op, inputs, own: inputs[0].expand(op.attrs["shape"]),
    "tile": lambda op, inputs, own: inputs[0].repeat(op.attrs["repeats"]),
    "upsample": kernels.upsample,
    "layer_norm": kernels.layer_norm,
    "group_norm": kernels.group_norm,
    "lstm": kernels.recurrent(torch.lstm),
    "lstm_cell": kernels.recurrent(torch.lstm, 2),
    "gru": kernels.recurrent(torch.gru),
    "grid_sample": kernels.grid_sample,
    "call": lambda op, inputs, own: op.attrs["function"](*inputs, **own),
}
