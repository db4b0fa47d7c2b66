"""Canonical forms of everything elementwise and of everything that only moves elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from edgekit.frontend.convert_layers import Form, per_axis

if TYPE_CHECKING:
    from edgekit.frontend.tracer import Walk

# Elementwise


def unary(kind: str, **defaults: Any) -> Form:
    """An operator of one tensor whose further arguments have torch's names and defaults."""

    def form(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(defaults, args, strict=False)) | kwargs
        given.pop("inplace", None)
        return walk.emit(name, kind, [input], **{key: given.get(key, value) for key, value in defaults.items()})

    return form


def _limit(walk: Walk, value: Any) -> Any:
    """A number where a tensor of the network's tells one."""
    told = walk.number(value) if walk.is_own(value) else None
    return value if told is None else told


def clip(walk: Walk, name: str, input: Any, min: Any = None, max: Any = None, **rest: Any) -> Any:
    min, max = _limit(walk, min), _limit(walk, max)
    if any(walk.is_ref(end) or walk.is_own(end) for end in (min, max)):
        return NotImplemented
    if min == 0 and max is None:
        return walk.emit(name, "relu", [input])
    return walk.emit(name, "clip", [input], min=min, max=max)


def hardtanh(
    walk: Walk, name: str, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return clip(walk, name, input, min_val, max_val)


def leaky_relu(walk: Walk, name: str, input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return walk.emit(name, "leaky_relu", [input], slope=negative_slope)


def celu(walk: Walk, name: str, input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """alpha * elu(x / alpha), which is x above 0."""
    if alpha == 1:
        return walk.emit(name, "elu", [input], alpha=1.0)
    bent = walk.emit(f"{name}.elu", "elu", [walk.emit(f"{name}.div", "div", [input], other=float(alpha))], alpha=1.0)
    return walk.emit(name, "mul", [bent], other=float(alpha))


def argmax(walk: Walk, name: str, input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest score per class; a map of indices stays torch's, TFLite's lowering cannot turn it."""
    rank = len(walk.shape(input))
    if dim is None or keepdim or rank != 2:
        return NotImplemented
    return walk.emit(name, "argmax", [input], dim=dim % rank)


def converted(*to: torch.dtype) -> Form:
    """A conversion to one type, or to what the call names: nothing where the tensor is of this type already."""

    def form(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        given = (*to, *args, *kwargs.values())
        wanted = {value for value in given if isinstance(value, torch.dtype)}
        wanted |= {walk.meta(value).dtype for value in given if walk.is_ref(value)}
        elsewhere = not given or any(
            walk.is_own(value) or isinstance(value, (bool, torch.memory_format)) for value in given
        )
        return NotImplemented if elsewhere or wanted - {walk.meta(input).dtype} else input

    return form


def softmax(kind: str) -> Form:
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


def pad_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
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
    if len(index) > len(walk.shape(x)) or not all(isinstance(part, slice) for part in index):
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
    result = tuple(F.interpolate(walk.meta(input), size, scale_factor, mode, align_corners).shape[2:])
    if scale_factor is not None and not (align_corners or recompute_scale_factor):
        sizes = walk.shape(input)[2:]
        scales = per_axis(scale_factor, len(sizes))
        if not all(math.isclose(have * scale, made) for have, scale, made in zip(sizes, scales, result, strict=True)):
            return _by_scale(walk, name, input, scales, mode)
    return walk.emit(name, "upsample", [input], size=result, mode=mode, align_corners=align_corners)


def clone(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """The same values elsewhere."""
    return walk.copied(input)


def contiguous(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Nothing, or a copy where the elements lie in another order."""
    return input if walk.meta(input).is_contiguous() else walk.copied(input)


def _by_scale(walk: Walk, name: str, input: Any, scales: tuple[float, ...], mode: str) -> Any:
    """torch goes by the scale that it was given, which sizes do not tell where it is not their ratio."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=scales, mode=mode)

    function.__name__ = f"upsampling by {'x'.join(f'{scale:g}' for scale in scales)}, which is not the ratio of sizes"
    return walk.call(name, function, (input,), {})


def identity(walk: Walk, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """What does nothing in eval mode."""
    return input


def shape_of(walk: Walk, name: str, input: Any, dim: int | None = None) -> Any:
    return walk.shape(input) if dim is None else walk.shape(input)[dim]


def attribute(walk: Walk, name: str, input: Any, which: str) -> Any:
    if which == "device":  # the meta device, where shapes are worked out, is none that a network should know of
        return torch.device("cpu")
    return walk.shape(input) if which == "shape" else getattr(walk.meta(input), which)


def of(form: Form, *names: str) -> Form:
    """The form of a module without tensors of its own, whose attributes `names` are the arguments."""

    def module_form(walk: Walk, name: str, module: Any, own: dict[str, Any], *tensors: Any) -> Any:
        return form(walk, name, *tensors, **{attr: getattr(module, attr) for attr in names})

    return module_form
