"""The ONNX form of each kind of operator, opsets 13 to 20.

A form takes the emission, the operator, the names of its inputs and of its own tensors by role, and the name that its
output must have. Padding is part of convolutions and pooling, so no Pad node stands in front of one. What has no form
here is exported by torch (exporters.onnx.fallback).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_resize import upsample
from edgekit.exporters.windows import means
from edgekit.ir.graph import Op

Names = Mapping[str, str]
Form = Callable[[Emission, Op, list[str], Names, str], Any]


def _pads(padding: Any) -> list[int]:
    return [low for low, _ in padding] + [high for _, high in padding]


def _weights(x: list[str], own: Names) -> list[str]:
    return [x[0], own["weight"], *([own["bias"]] if "bias" in own else [])]


def _conv(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    e.node(
        "Conv",
        _weights(x, own),
        out,
        op.name,
        kernel_shape=list(e.tensors(op)["weight"].shape[2:]),
        strides=list(a["stride"]),
        pads=_pads(a["padding"]),
        dilations=list(a["dilation"]),
        group=a["groups"],
    )


def _conv_transpose(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    e.node(
        "ConvTranspose",
        _weights(x, own),
        out,
        op.name,
        kernel_shape=list(e.tensors(op)["weight"].shape[2:]),
        strides=list(a["stride"]),
        pads=_pads(a["padding"]),
        output_padding=list(a["output_padding"]),
        dilations=list(a["dilation"]),
        group=a["groups"],
    )


def _linear(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    if len(op.shape) == 2:
        e.node("Gemm", _weights(x, own), out, op.name, transB=1)
        return
    columns = e.node("Transpose", [own["weight"]], f"{op.name}/columns", perm=[1, 0])
    product = e.node("MatMul", [x[0], columns], f"{op.name}/product" if "bias" in own else out, op.name)
    if "bias" in own:
        e.node("Add", [product, own["bias"]], out, f"{op.name}/bias")


def _batch_norm(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    mean = e.tensors(op)["mean"]
    weight = own.get("weight") or e.constant(f"{op.name}/ones", torch.ones_like(mean))
    bias = own.get("bias") or e.constant(f"{op.name}/zeros", torch.zeros_like(mean))
    inputs = [x[0], weight, bias, own["mean"], own["var"]]
    e.node("BatchNormalization", inputs, out, op.name, epsilon=float(op.attrs["eps"]))


def _per_channel(e: Emission, op: Op, role: str) -> str:
    """An own tensor of (C,) as (C, 1, 1 ...), which broadcasts over the spatial axes."""
    tensor = e.tensors(op)[role]
    return e.constant(f"{op.params[role]}/per_channel", tensor.reshape(-1, *[1] * (len(op.shape) - 2)))


def _scale(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    scaled = e.node("Mul", [x[0], _per_channel(e, op, "weight")], f"{op.name}/scaled", op.name)
    e.node("Add", [scaled, _per_channel(e, op, "bias")], out, f"{op.name}/shift")


def _prelu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("PRelu", [x[0], _per_channel(e, op, "weight")], out, op.name)


def _max_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a, source = op.attrs, x[0]
    padding = a["padding"]
    if any(max(pair) >= k for pair, k in zip(padding, a["kernel"], strict=True)):  # runtimes refuse such padding
        source = _padded(e, op, source, ((0, 0), (0, 0), *padding), -math.inf, f"{op.name}/padded")
        padding = ((0, 0),) * len(padding)
    e.node(
        "MaxPool",
        [source],
        out,
        op.name,
        kernel_shape=list(a["kernel"]),
        strides=list(a["stride"]),
        pads=_pads(padding),
        dilations=list(a["dilation"]),
    )


def _avg_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    shape = {"kernel_shape": list(a["kernel"]), "strides": list(a["stride"])}
    e.node("AveragePool", [x[0]], out, op.name, **shape, pads=_pads(a["padding"]), count_include_pad=0)


def _adaptive_avg_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    matrix = means(e.graph[op.inputs[0]].shape[2:], op.shape[2:]).T.contiguous()
    flat = e.integers(f"{op.name}/flat_shape", (-1, op.shape[1], matrix.shape[0]))
    y = e.node("Reshape", [x[0], flat], f"{op.name}/flat")
    y = e.node("MatMul", [y, e.constant(f"{op.name}/windows", matrix.to(e.dtype(op)))], f"{op.name}/means")
    e.node("Reshape", [y, e.integers(f"{op.name}/shape", (-1, *op.shape[1:]))], out, op.name)


def _mean(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    dims, rank = list(op.attrs["dims"]), len(e.graph[op.inputs[0]].shape)
    if rank > 2 and dims == list(range(2, rank)):
        pooled = out if op.attrs["keepdim"] else f"{op.name}/pooled"
        e.node("GlobalAveragePool", [x[0]], pooled, op.name)
        if not op.attrs["keepdim"]:
            shape = e.integers(f"{op.name}/shape", (-1, op.shape[1]))
            e.node("Reshape", [pooled, shape], out, f"{op.name}/flat")
        return
    keep = int(op.attrs["keepdim"])
    if e.opset >= 18:
        e.node("ReduceMean", [x[0], e.integers(f"{op.name}/axes", dims)], out, op.name, keepdims=keep)
    else:
        e.node("ReduceMean", [x[0]], out, op.name, axes=dims, keepdims=keep)


def _lrn(e: Emission, op: Op, x: list[str], own: Names, out: str) -> Any:
    a, size = op.attrs, op.attrs["size"]
    if size % 2:
        numbers = {"alpha": float(a["alpha"]), "beta": float(a["beta"]), "bias": float(a["k"])}
        return e.node("LRN", x, out, op.name, size=size, **numbers)
    # ONNX centres an even window elsewhere than torch does: the sum over channels becomes a product with a band.
    channels = op.shape[1]
    band = torch.ones(channels, channels).tril(size - size // 2 - 1).triu(-(size // 2)) * (a["alpha"] / size)
    weight = e.constant(f"{op.name}/band", band.reshape(channels, channels, *[1] * (len(op.shape) - 2)).to(e.dtype(op)))
    bias = e.constant(f"{op.name}/k", torch.full((channels,), float(a["k"]), dtype=e.dtype(op)))
    square = e.node("Mul", [x[0], x[0]], f"{op.name}/square")
    base = e.node("Conv", [square, weight, bias], f"{op.name}/base")
    power = e.node("Pow", [base, e.number(f"{op.name}/beta", a["beta"], op)], f"{op.name}/power")
    return e.node("Div", [x[0], power], out, op.name)


def _clip(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    low, high = op.attrs["min"], op.attrs["max"]
    bounds = [
        "" if bound is None else e.number(f"{op.name}/{side}", float(bound), op)
        for side, bound in (("min", low), ("max", high))
    ]
    e.node("Clip", [*x, *bounds] if bounds[1] else [*x, bounds[0]], out, op.name)


def _unary(kind: str, **names: str) -> Form:
    """One node of one input; `names` maps its attributes to ours."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        e.node(kind, x, out, op.name, **{theirs: op.attrs[ours] for theirs, ours in names.items()})

    return form


def _argmax(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("ArgMax", x, out, op.name, axis=op.attrs["dim"], keepdims=0)


def _hardsigmoid(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("HardSigmoid", x, out, op.name, alpha=1 / 6, beta=0.5)


def _hardswish(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    gate = e.node("HardSigmoid", x, f"{op.name}/gate", alpha=1 / 6, beta=0.5)
    e.node("Mul", [x[0], gate], out, op.name)


def _silu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    gate = e.node("Sigmoid", x, f"{op.name}/gate")
    e.node("Mul", [x[0], gate], out, op.name)


def _gelu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> Any:
    if op.attrs["approximate"] != "none":
        return NotImplemented
    root = e.node("Div", [x[0], e.number(f"{op.name}/sqrt2", math.sqrt(2), op)], f"{op.name}/scaled")
    error = e.node("Erf", [root], f"{op.name}/erf")
    shifted = e.node("Add", [error, e.number(f"{op.name}/one", 1.0, op)], f"{op.name}/shifted")
    product = e.node("Mul", [x[0], shifted], f"{op.name}/product")
    return e.node("Mul", [product, e.number(f"{op.name}/factor", 0.5, op)], out, op.name)


def _binary(kind: str) -> Form:
    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        right = x[1] if len(x) > 1 else own.get("other") or e.number(f"{op.name}/other", op.attrs["other"], op)
        e.node(kind, [right, x[0]] if op.attrs.get("reflected") else [x[0], right], out, op.name)

    return form


def _padded(e: Emission, op: Op, source: str, pads: Any, value: float, out: str) -> str:
    amounts = e.integers(f"{op.name}/pads", _pads(pads))
    return e.node("Pad", [source, amounts, e.number(f"{op.name}/value", value, op)], out, mode="constant")


def _pad(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    value = op.attrs["value"]
    if value == 0 and any(reader.kind in ("max_pool", "avg_pool") for reader in e.graph.consumers()[op.name]):
        # onnxruntime joins a Pad of zeros with the pooling behind it, as if a pooling padded with zeros. It knows zero
        # by its bytes, and those of -0.0 are not zero.
        value = -0.0
    _padded(e, op, x[0], op.attrs["pads"], value, out)


def _reshape(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Reshape", [x[0], e.integers(f"{op.name}/shape", op.attrs["shape"])], out, op.name)


def _slice(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    parts = (("starts", a["start"]), ("ends", a["stop"]), ("axes", a["dim"]), ("steps", a["step"]))
    e.node("Slice", [x[0], *(e.integers(f"{op.name}/{part}", [value]) for part, value in parts)], out, op.name)


FORMS: dict[str, Form] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "scale": _scale,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "mean": _mean,
    "lrn": _lrn,
    "relu": _unary("Relu"),
    "clip": _clip,
    "hardswish": _hardswish,
    "hardsigmoid": _hardsigmoid,
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "silu": _silu,
    "gelu": _gelu,
    "leaky_relu": _unary("LeakyRelu", alpha="slope"),
    "elu": _unary("Elu", alpha="alpha"),
    "prelu": _prelu,
    "softmax": _unary("Softmax", axis="dim"),
    "log_softmax": _unary("LogSoftmax", axis="dim"),
    "argmax": _argmax,
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "cat": _unary("Concat", axis="dim"),
    "pad": _pad,
    "reshape": _reshape,
    "permute": _unary("Transpose", perm="dims"),
    "slice": _slice,
    "upsample": upsample,
}
