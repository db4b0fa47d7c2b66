"""Operators of torch's inner library (aten) whose arguments are not those of the function of the same name.

Networks that torch.export wrote call them. What has the same arguments stands in the table under its plain name.
"""

from __future__ import annotations

from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators import layers, moving, norms, pooling, resize
from edgekit.frontend.operators.elementwise import Converter, converted


def batch_norm(
    b: Builder,
    name: str,
    input: Node,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> Any:
    return layers.batch_norm(b, name, input, running_mean, running_var, weight, bias, training, momentum, eps)


def batch_norm_and_statistics(
    b: Builder, name: str, input: Node, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> Any:
    """Of three results only the first is one in eval mode."""
    return layers.batch_norm(b, name, input, mean, var, weight, bias, False, momentum, eps), None, None


def native_batch_norm(
    b: Builder, name: str, input: Node, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *rest: Any
) -> Any:
    """Of three results only the first is used."""
    return batch_norm(b, name, input, weight, bias, mean, var, training, *rest), None, None


def instance_norm(
    b: Builder,
    name: str,
    input: Node,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> Any:
    return norms.instance_norm(b, name, input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def layer_norm_and_statistics(b: Builder, name: str, input: Node, *args: Any) -> Any:
    return norms.layer_norm(b, name, input, *args), None, None


def group_norm_and_statistics(
    b: Builder, name: str, input: Node, weight: Any, bias: Any, n: int, c: int, hw: int, groups: int, eps: float
) -> Any:
    return norms.group_norm(b, name, input, groups, weight, bias, eps), None, None


def slice_(b: Builder, name: str, input: Node, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    dim %= input.rank
    return moving.cut(b, name, input, dim, *slice(start, end, step).indices(input.shape[dim]))


def unsafe_view(b: Builder, name: str, input: Node, size: Any) -> Any:
    return moving.view(b, name, input, size)


def upsample(mode: str) -> Converter:
    """upsample_nearest2d and its kind: (x, size, factors), with align_corners between where the mode has it."""

    def convert(b: Builder, name: str, input: Node, size: Any, *rest: Any) -> Any:
        corners = rest[0] if mode not in ("nearest", "nearest-exact") else None
        factors = rest[-1] if rest and isinstance(rest[-1], (list, tuple)) else None
        return resize.interpolate(b, name, input, size, None if size is not None else factors, mode, corners)

    return convert


def grid_sampler(b: Builder, name: str, input: Any, grid: Any, mode: int, padding: int, corners: bool) -> Any:
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return resize.grid_sample(b, name, input, grid, modes[mode], paddings[padding], corners)


def cast(b: Builder, name: str, input: Node, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return converted()(b, name, input, dtype) if isinstance(dtype, torch.dtype) else input


ATEN: dict[str, Converter] = {
    "batch_norm": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm_and_statistics,
    "native_batch_norm": native_batch_norm,
    "instance_norm": instance_norm,
    "native_layer_norm": layer_norm_and_statistics,
    "native_group_norm": group_norm_and_statistics,
    "_adaptive_avg_pool2d": pooling.adaptive_avg_pool,
    "slice": slice_,
    "_unsafe_view": unsafe_view,
    "_to_copy": cast,
    "grid_sampler": grid_sampler,
    "grid_sampler_2d": grid_sampler,
    **{f"upsample_nearest{n}d": upsample("nearest") for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": upsample("nearest-exact") for n in (1, 2, 3)},
    "upsample_linear1d": upsample("linear"),
    "upsample_bilinear2d": upsample("bilinear"),
    "upsample_trilinear3d": upsample("trilinear"),
    "upsample_bicubic2d": upsample("bicubic"),
}
