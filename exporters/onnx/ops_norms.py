"""The ONNX form of normalizations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_elementwise import Converter
from edgekit.ir.graph import Op

Names = Mapping[str, str]
_LAYER_NORM = 17  # the first opset with LayerNormalization


def batch_norm(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    mean = e.tensors(op)["mean"]
    weight = own.get("weight") or e.constant(f"{op.name}/ones", torch.ones_like(mean))
    bias = own.get("bias") or e.constant(f"{op.name}/zeros", torch.zeros_like(mean))
    inputs = [x[0], weight, bias, own["mean"], own["var"]]
    e.node("BatchNormalization", inputs, out, op.name, epsilon=float(op.attrs["eps"]))


def lrn(e: Emission, op: Op, x: list[str], own: Names, out: str) -> Any:
    a, size = op.attrs, op.attrs["size"]
    if size % 2:
        numbers = {"alpha": float(a["alpha"]), "beta": float(a["beta"]), "bias": float(a["k"])}
        return e.node("LRN", x, out, op.name, size=size, **numbers)
    # ONNX centers an even window elsewhere than torch does: the sum over channels becomes a product with a band.
    channels = op.shape[1]
    band = torch.ones(channels, channels).tril(size - size // 2 - 1).triu(-(size // 2)) * (a["alpha"] / size)
    weight = e.constant(f"{op.name}/band", band.reshape(channels, channels, *[1] * (len(op.shape) - 2)).to(e.dtype(op)))
    bias = e.constant(f"{op.name}/k", torch.full((channels,), float(a["k"]), dtype=e.dtype(op)))
    square = e.node("Mul", [x[0], x[0]], f"{op.name}/square")
    base = e.node("Conv", [square, weight, bias], f"{op.name}/base")
    power = e.node("Pow", [base, e.number(f"{op.name}/beta", a["beta"], op)], f"{op.name}/power")
    return e.node("Div", [x[0], power], out, op.name)


def layer_norm(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """LayerNormalization; older opsets have it in parts."""
    sizes = [op.shape[dim] for dim in op.attrs["dims"]]
    if e.opset < _LAYER_NORM:
        _in_parts(e, op, x[0], own, out)
        return
    weight = own.get("weight") or e.constant(f"{op.name}/ones", torch.ones(sizes, dtype=e.dtype(op)))
    inputs = [x[0], weight, *([own["bias"]] if "bias" in own else [])]
    e.node("LayerNormalization", inputs, out, op.name, axis=op.attrs["dims"][0], epsilon=float(op.attrs["eps"]))


def _in_parts(e: Emission, op: Op, x: str, own: Names, out: str) -> None:
    axes, name = list(op.attrs["dims"]), op.name
    mean = e.node("ReduceMean", [x], f"{name}/mean", axes=axes)
    apart = e.node("Sub", [x, mean], f"{name}/centered")
    square = e.node("Mul", [apart, apart], f"{name}/square")
    variance = e.node("ReduceMean", [square], f"{name}/variance", axes=axes)
    more = e.node("Add", [variance, e.number(f"{name}/eps", op.attrs["eps"], op)], f"{name}/more")
    root = e.node("Sqrt", [more], f"{name}/root")
    parts = [(kind, own[role]) for kind, role in (("Mul", "weight"), ("Add", "bias")) if role in own]
    y = e.node("Div", [apart, root], f"{name}/normalized" if parts else out)
    for index, (kind, operand) in enumerate(parts):
        y = e.node(kind, [y, operand], out if index == len(parts) - 1 else f"{name}/scaled")


def group_norm(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """InstanceNormalization of the groups as channels, then one factor and one addend per channel."""
    groups, channels, dtype = op.attrs["groups"], op.shape[1], e.dtype(op)
    ones, zeros = (
        e.constant(f"{op.name}/{role}", torch.full((groups,), value, dtype=dtype))
        for role, value in (("ones", 1.0), ("zeros", 0.0))
    )
    eps = float(op.attrs["eps"])
    if groups == channels and len(op.shape) > 2:
        inputs = [x[0], own.get("weight", ones), own.get("bias", zeros)]
        e.node("InstanceNormalization", inputs, out, op.name, epsilon=eps)
        return
    flat = e.node("Reshape", [x[0], e.integers(f"{op.name}/groups", (0, groups, -1))], f"{op.name}/split")
    y = e.node("InstanceNormalization", [flat, ones, zeros], f"{op.name}/normalized", epsilon=eps)
    parts = [(kind, role) for kind, role in (("Mul", "weight"), ("Add", "bias")) if role in own]
    shape = e.integers(f"{op.name}/shape", (-1, *op.shape[1:]))
    y = e.node("Reshape", [y, shape], f"{op.name}/whole" if parts else out)
    for index, (kind, role) in enumerate(parts):
        tensor = e.tensors(op)[role].detach().to(dtype).reshape(-1, *[1] * len(op.shape[2:]))
        operand = e.constant(f"{op.name}/{role}", tensor)
        y = e.node(kind, [y, operand], out if index == len(parts) - 1 else f"{op.name}/scaled")


NORMS: dict[str, Converter] = {
    "batch_norm": batch_norm,
    "lrn": lrn,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
}
