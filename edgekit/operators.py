"""Canonical forms: how torch's modules, functions and methods become operators of a Graph.

A form takes the walk, a name and the call's own arguments under torch's names, and emits operators. To teach edgekit
a new spelling, add a line to MODULES, FUNCTIONS or METHODS.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from edgekit.trace import Walk

Form = Callable[..., Any]


def _tuple(value: Any, rank: int) -> tuple[int, ...]:
    return (
        tuple(value)
        if isinstance(value, (tuple, list)) and len(value) > 1
        else (tuple(value) * rank if isinstance(value, (tuple, list)) else (value,) * rank)
    )


def _rank(walk: Walk, x: Any) -> int:
    return len(walk.shape(x)) - 2


# Convolution and linear


def conv(
    walk: Walk,
    name: str,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    rank = _rank(walk, input)
    dilation, stride = _tuple(dilation, rank), _tuple(stride, rank)
    if padding == "same":
        kernel = walk.kernel(weight)
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pairs = tuple((t // 2, t - t // 2) for t in total)
    else:
        pairs = tuple((p, p) for p in _tuple(0 if padding == "valid" else padding, rank))
    return walk.emit(
        name,
        "conv",
        [input],
        {"weight": weight, "bias": bias},
        stride=stride,
        padding=pairs,
        dilation=dilation,
        groups=groups,
    )


def _conv_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
    if module.padding_mode != "zeros":
        return walk.call(name, _with(module), (x,), {})
    return conv(
        walk, name, x, own["weight"], own.get("bias"), module.stride, module.padding, module.dilation, module.groups
    )


def conv_transpose(
    walk: Walk,
    name: str,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    rank = _rank(walk, input)
    return walk.emit(
        name,
        "conv_transpose",
        [input],
        {"weight": weight, "bias": bias},
        stride=_tuple(stride, rank),
        padding=tuple((p, p) for p in _tuple(padding, rank)),
        groups=groups,
        output_padding=_tuple(output_padding, rank),
        dilation=_tuple(dilation, rank),
    )


def linear(walk: Walk, name: str, input: Any, weight: Any, bias: Any = None) -> Any:
    return walk.emit(name, "linear", [input], {"weight": weight, "bias": bias})


def batch_norm(
    walk: Walk,
    name: str,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if training or running_mean is None or running_var is None:

        def own_statistics(x: Any, weight: Any, bias: Any) -> Any:
            return F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)

        own_statistics.__name__ = "batch_norm without running statistics"
        return walk.call(name, own_statistics, (input, weight, bias), {})
    return walk.emit(
        name, "batch_norm", [input], {"weight": weight, "bias": bias, "mean": running_mean, "var": running_var}, eps=eps
    )


# Pooling. Ceil mode becomes padding at the high end, which every runtime agrees on.


def _windows(
    walk: Walk, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    rank = _rank(walk, x)
    kernel, dilation, padding = _tuple(kernel_size, rank), _tuple(dilation, rank), _tuple(padding, rank)
    stride = _tuple(kernel_size if stride in (None, []) else stride, rank)
    pairs = []
    for size, k, s, p, d in zip(walk.shape(x)[2:], kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        steps = (size + 2 * p - reach) / s
        count = math.floor(steps) + 1
        if ceil_mode:
            count = math.ceil(steps) + 1
            if (count - 1) * s >= size + p:  # a window must start inside the input or its low padding
                count -= 1
        pairs.append((p, max((count - 1) * s + reach - size - p, p) if ceil_mode else p))
    return kernel, stride, dilation, tuple(pairs)


def max_pool(
    walk: Walk,
    name: str,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices:
        return NotImplemented
    kernel, stride, dilation, pairs = _windows(walk, input, kernel_size, stride, padding, dilation, ceil_mode)
    return walk.emit(name, "max_pool", [input], kernel=kernel, stride=stride, dilation=dilation, padding=pairs)


def avg_pool(
    walk: Walk,
    name: str,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    if divisor_override is not None:
        return NotImplemented
    kernel, stride, _, pairs = _windows(walk, input, kernel_size, stride, padding, 1, ceil_mode)
    if count_include_pad and any(p for p in _tuple(padding, len(kernel))):
        own = tuple((p, p) for p in _tuple(padding, len(kernel)))
        input = walk.emit(f"{name}.pad", "pad", [input], pads=((0, 0), (0, 0), *own), value=0.0)
        pairs = tuple((0, high - p) for (_, high), (p, _) in zip(pairs, own, strict=True))
    return walk.emit(name, "avg_pool", [input], kernel=kernel, stride=stride, padding=pairs)


def _adaptive(kind: str) -> Form:
    def form(walk: Walk, name: str, input: Any, output_size: Any, return_indices: bool = False) -> Any:
        if return_indices:
            return NotImplemented
        rank, sizes = _rank(walk, input), walk.shape(input)[2:]
        wanted = tuple(
            have if want is None else want for want, have in zip(_tuple(output_size, rank), sizes, strict=True)
        )
        if wanted == sizes:
            return input
        if kind == "avg" and set(wanted) == {1}:
            return walk.emit(name, "mean", [input], dims=tuple(range(2, 2 + rank)), keepdim=True)
        if all(have % want == 0 for have, want in zip(sizes, wanted, strict=True)):
            step = tuple(have // want for have, want in zip(sizes, wanted, strict=True))
            return (avg_pool if kind == "avg" else max_pool)(walk, name, input, step, step)
        return walk.emit(name, f"adaptive_{kind}_pool", [input], size=wanted)

    return form


def mean(walk: Walk, name: str, input: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Any:
    rank = len(walk.shape(input))
    dims = range(rank) if dim is None else (dim if isinstance(dim, (tuple, list)) else (dim,))
    return walk.emit(name, "mean", [input], dims=tuple(sorted(d % rank for d in dims)), keepdim=keepdim)


# Elementwise


def unary(kind: str, **defaults: Any) -> Form:
    """An operator of one tensor whose further arguments have torch's names and defaults."""

    def form(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(defaults, args, strict=False)) | kwargs
        given.pop("inplace", None)
        return walk.emit(name, kind, [input], **{key: given.get(key, value) for key, value in defaults.items()})

    return form


def clip(walk: Walk, name: str, input: Any, min: Any = None, max: Any = None, **rest: Any) -> Any:
    if min == 0 and max is None:
        return walk.emit(name, "relu", [input])
    return walk.emit(name, "clip", [input], min=min, max=max)


def _hardtanh(
    walk: Walk, name: str, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return clip(walk, name, input, min_val, max_val)


def _leaky_relu(walk: Walk, name: str, input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return walk.emit(name, "leaky_relu", [input], slope=negative_slope)


def _softmax(kind: str) -> Form:
    def form(walk: Walk, name: str, input: Any, dim: int | None = None, *rest: Any, **more: Any) -> Any:
        rank = len(walk.shape(input))
        return walk.emit(name, kind, [input], dim=(1 if dim is None else dim) % rank)

    return form


def binary(kind: str) -> Form:
    """add, sub, mul, div of two tensors, a tensor and one that the network owns, or a tensor and a number."""

    def form(walk: Walk, name: str, input: Any, other: Any, alpha: float = 1, **rest: Any) -> Any:
        if alpha != 1 or any(value is not None for value in rest.values()):
            return NotImplemented
        reflected = not walk.is_ref(input)
        x, other = (other, input) if reflected else (input, other)
        more: dict[str, Any] = {"reflected": True} if reflected else {}
        if walk.is_ref(other):
            return walk.emit(name, kind, [x, other])
        if walk.is_own(other):
            return walk.emit(name, kind, [x], {"other": other}, **more)
        return walk.emit(name, kind, [x], None, other=float(other), **more)

    return form


def cat(walk: Walk, name: str, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    if not all(walk.is_ref(x) for x in tensors):
        return NotImplemented
    return walk.emit(name, "cat", list(tensors), dim=(dim if axis is None else axis) % len(walk.shape(tensors[0])))


# Shape


def pad(
    walk: Walk, name: str, input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Any:
    if mode != "constant":
        return NotImplemented
    rank = len(walk.shape(input))
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return walk.emit(name, "pad", [input], pads=(*[(0, 0)] * (rank - len(pairs)), *pairs), value=float(value or 0.0))


def _pad_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
    return pad(walk, name, x, module.padding, value=getattr(module, "value", 0.0))


def reshaped(change: Callable[..., torch.Tensor]) -> Form:
    """Any view that keeps the order of the elements; the batch stays free where it is kept."""

    def form(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        before, after = walk.shape(input), tuple(change(walk.meta(input), *args, **kwargs).shape)
        if before == after:
            return input
        kept = before[:1] == after[:1]
        return walk.emit(name, "reshape", [input], shape=(-1, *after[1:]) if kept else after)

    return form


def permute(walk: Walk, name: str, input: Any, *dims: Any) -> Any:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    rank = len(walk.shape(input))
    return walk.emit(name, "permute", [input], dims=tuple(d % rank for d in order))


def transpose(walk: Walk, name: str, input: Any, dim0: int, dim1: int) -> Any:
    order = list(range(len(walk.shape(input))))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(walk, name, input, order)


def _slice(walk: Walk, name: str, x: Any, dim: int, start: int, stop: int, step: int = 1) -> Any:
    return walk.emit(name, "slice", [x], dim=dim, start=start, stop=stop, step=step)


def split(walk: Walk, name: str, tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    dim = dim % len(walk.shape(tensor))
    parts = torch.split(walk.meta(tensor), split_size_or_sections, dim)
    ends = [sum(part.shape[dim] for part in parts[: i + 1]) for i in range(len(parts))]
    return tuple(
        _slice(walk, f"{name}.{i}", tensor, dim, end - part.shape[dim], end)
        for i, (end, part) in enumerate(zip(ends, parts, strict=True))
    )


def chunk(walk: Walk, name: str, input: Any, chunks: int, dim: int = 0) -> Any:
    sizes = [part.shape[dim] for part in torch.chunk(walk.meta(input), chunks, dim)]
    return split(walk, name, input, sizes, dim)


def getitem(walk: Walk, name: str, x: Any, index: Any) -> Any:
    if not walk.is_ref(x):
        return x[index]
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in index):
        return NotImplemented
    for dim, part in enumerate(index):
        size = walk.shape(x)[dim]
        start, stop, step = part.indices(size)
        if (start, stop, step) != (0, size, 1):
            x = _slice(walk, name, x, dim, start, stop, step)
    return x


def upsample(
    walk: Walk,
    name: str,
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> Any:
    if mode not in ("nearest", "bilinear") or antialias:
        return NotImplemented
    result = F.interpolate(walk.meta(input), size, scale_factor, mode, align_corners)
    return walk.emit(name, "upsample", [input], size=tuple(result.shape[2:]), mode=mode, align_corners=align_corners)


def identity(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """What does nothing in eval mode."""
    return input


def shape_of(walk: Walk, name: str, input: Any, dim: int | None = None) -> Any:
    return walk.shape(input) if dim is None else walk.shape(input)[dim]


def attribute(walk: Walk, name: str, input: Any, which: str) -> Any:
    return walk.shape(input) if which == "shape" else getattr(walk.meta(input), which)


def _with(module: nn.Module) -> Callable[..., Any]:
    def run(*tensors: Any) -> Any:
        return module(*tensors)

    run.__name__ = type(module).__name__
    return run


def of(form: Form, *names: str) -> Form:
    """The form of a module without tensors of its own, whose attributes `names` are the arguments."""

    def module_form(walk: Walk, name: str, module: Any, own: dict[str, Any], *tensors: Any) -> Any:
        return form(walk, name, *tensors, **{attr: getattr(module, attr) for attr in names})

    return module_form


def _batch_norm_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
    return batch_norm(
        walk,
        name,
        x,
        own.get("running_mean"),
        own.get("running_var"),
        own.get("weight"),
        own.get("bias"),
        eps=module.eps,
    )


_POOL = ("kernel_size", "stride", "padding")
MODULES: dict[type, Form] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _conv_module),
    **dict.fromkeys(
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
        lambda walk, name, m, own, x: conv_transpose(
            walk, name, x, own["weight"], own.get("bias"), m.stride, m.padding, m.output_padding, m.groups, m.dilation
        ),
    ),
    nn.Linear: lambda walk, name, m, own, x: linear(walk, name, x, own["weight"], own.get("bias")),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm_module),
    **dict.fromkeys(
        (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), of(max_pool, *_POOL, "dilation", "ceil_mode", "return_indices")
    ),
    nn.AvgPool1d: of(avg_pool, *_POOL, "ceil_mode", "count_include_pad"),
    **dict.fromkeys(
        (nn.AvgPool2d, nn.AvgPool3d), of(avg_pool, *_POOL, "ceil_mode", "count_include_pad", "divisor_override")
    ),
    **dict.fromkeys(
        (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), of(_adaptive("avg"), "output_size")
    ),
    **dict.fromkeys(
        (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), of(_adaptive("max"), "output_size")
    ),
    nn.LocalResponseNorm: of(unary("lrn", size=5, alpha=1e-4, beta=0.75, k=1.0), "size", "alpha", "beta", "k"),
    nn.ReLU: of(unary("relu")),
    nn.ReLU6: of(_hardtanh, "min_val", "max_val"),
    nn.Hardtanh: of(_hardtanh, "min_val", "max_val"),
    nn.Hardswish: of(unary("hardswish")),
    nn.Hardsigmoid: of(unary("hardsigmoid")),
    nn.Sigmoid: of(unary("sigmoid")),
    nn.Tanh: of(unary("tanh")),
    nn.SiLU: of(unary("silu")),
    nn.GELU: of(unary("gelu", approximate="none"), "approximate"),
    nn.LeakyReLU: of(_leaky_relu, "negative_slope"),
    nn.ELU: of(unary("elu", alpha=1.0), "alpha"),
    nn.PReLU: lambda walk, name, m, own, x: walk.emit(name, "prelu", [x], {"weight": own["weight"]}),
    nn.Softmax: of(_softmax("softmax"), "dim"),
    nn.LogSoftmax: of(_softmax("log_softmax"), "dim"),
    **dict.fromkeys((nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), _pad_module),
    nn.Flatten: of(reshaped(torch.flatten), "start_dim", "end_dim"),
    nn.Upsample: of(upsample, "size", "scale_factor", "mode", "align_corners"),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity), of(identity)),
}

_add, _sub, _mul, _div, _relu = binary("add"), binary("sub"), binary("mul"), binary("div"), unary("relu")
_flatten, _reshape = reshaped(torch.flatten), reshaped(torch.Tensor.reshape)
FUNCTIONS: dict[Any, Form] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d), conv),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), conv_transpose),
    F.linear: linear,
    F.batch_norm: batch_norm,
    **dict.fromkeys((F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d), max_pool),
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), avg_pool),
    **dict.fromkeys((F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d), _adaptive("avg")),
    **dict.fromkeys((F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d), _adaptive("max")),
    F.local_response_norm: unary("lrn", size=5, alpha=1e-4, beta=0.75, k=1.0),
    torch.mean: mean,
    **dict.fromkeys((F.relu, torch.relu, F.relu_), _relu),
    F.relu6: lambda walk, name, input, inplace=False: clip(walk, name, input, 0.0, 6.0),
    F.hardtanh: _hardtanh,
    **dict.fromkeys((torch.clamp, torch.clip), clip),
    F.hardswish: unary("hardswish"),
    F.hardsigmoid: unary("hardsigmoid"),
    **dict.fromkeys((torch.sigmoid, F.sigmoid), unary("sigmoid")),
    **dict.fromkeys((torch.tanh, F.tanh), unary("tanh")),
    F.silu: unary("silu"),
    F.gelu: unary("gelu", approximate="none"),
    F.leaky_relu: _leaky_relu,
    F.elu: unary("elu", alpha=1.0),
    **dict.fromkeys((F.softmax, torch.softmax), _softmax("softmax")),
    **dict.fromkeys((F.log_softmax, torch.log_softmax), _softmax("log_softmax")),
    **dict.fromkeys((torch.add, operator.add, operator.iadd), _add),
    **dict.fromkeys((torch.sub, operator.sub, operator.isub), _sub),
    **dict.fromkeys((torch.mul, operator.mul, operator.imul), _mul),
    **dict.fromkeys((torch.div, operator.truediv, operator.itruediv), _div),
    **dict.fromkeys((torch.cat, torch.concat), cat),
    F.pad: pad,
    torch.flatten: _flatten,
    torch.reshape: _reshape,
    torch.squeeze: reshaped(torch.squeeze),
    torch.unsqueeze: reshaped(torch.unsqueeze),
    torch.permute: permute,
    torch.transpose: transpose,
    torch.split: split,
    torch.chunk: chunk,
    operator.getitem: getitem,
    getattr: attribute,
    F.interpolate: upsample,
    **dict.fromkeys((F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout), identity),
}
METHODS: dict[str, Form] = {
    "mean": mean,
    "relu": _relu,
    "relu_": _relu,
    "sigmoid": unary("sigmoid"),
    "tanh": unary("tanh"),
    "clamp": clip,
    "clip": clip,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "add": _add,
    "add_": _add,
    "sub": _sub,
    "mul": _mul,
    "mul_": _mul,
    "div": _div,
    "flatten": _flatten,
    "reshape": _reshape,
    "view": _reshape,
    "squeeze": reshaped(torch.squeeze),
    "unsqueeze": reshaped(torch.unsqueeze),
    "permute": permute,
    "transpose": transpose,
    "split": split,
    "chunk": chunk,
    "contiguous": identity,
    "detach": identity,
    "clone": identity,
    "size": shape_of,
    "dim": lambda walk, name, input: len(walk.shape(input)),
}
