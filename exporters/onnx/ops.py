"""The ONNX form of each kind of operator, opsets 13 to 20.

A form takes the emission, the operator, the names of its inputs and of its own tensors by role, and the name that its
output must have. Padding is part of convolutions and pooling, so no Pad node stands in front of one. What has no form
here is exported by torch (exporters.onnx.fallback).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_elementwise import ELEMENTWISE, Converter, unary
from edgekit.exporters.onnx.ops_moving import MOVES, flat_pads, moves_batch
from edgekit.exporters.onnx.ops_norms import NORMS
from edgekit.exporters.onnx.ops_pools import POOLS
from edgekit.exporters.onnx.ops_recurrent import recurrent
from edgekit.exporters.onnx.ops_reduce import REDUCTIONS
from edgekit.exporters.onnx.ops_resize import grid_sample, upsample
from edgekit.ir.graph import Op

Names = Mapping[str, str]


def _weights(x: list[str], own: Names) -> list[str]:
    return [x[0], own["weight"], *([own["bias"]] if "bias" in own else [])]


def _window(op: Op, weight: Sequence[int]) -> dict[str, Any]:
    """The attributes of a convolution with a weight of that shape."""
    a = op.attrs
    return {
        "kernel_shape": list(weight[2:]),
        "strides": list(a["stride"]),
        "pads": flat_pads(a["padding"]),
        "dilations": list(a["dilation"]),
        "group": a["groups"],
    }


def _conv(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Conv", _weights(x, own), out, op.name, **_window(op, e.tensors(op)["weight"].shape))


def _conv_dynamic(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """A convolution whose weight is computed."""
    inputs = [*x, *([own["bias"]] if "bias" in own else [])]
    e.node("Conv", inputs, out, op.name, **_window(op, e.graph[op.inputs[1]].shape))


def _conv_transpose(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    window = _window(op, e.tensors(op)["weight"].shape)
    e.node("ConvTranspose", _weights(x, own), out, op.name, **window, output_padding=list(op.attrs["output_padding"]))


def _linear(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    if len(op.shape) == 2:
        e.node("Gemm", _weights(x, own), out, op.name, transB=1)
        return
    bias = own.get("bias")
    if bias is None and e.half and moves_batch(e.graph[op.inputs[0]]):  # with a bias onnxruntime makes it a Gemm
        bias = e.constant(f"{op.name}/zeros", torch.zeros(op.shape[-1], dtype=torch.float16))
    columns = e.node("Transpose", [own["weight"]], f"{op.name}/columns", perm=[1, 0])
    product = e.node("MatMul", [x[0], columns], f"{op.name}/product" if bias else out, op.name)
    if bias:
        e.node("Add", [product, bias], out, f"{op.name}/bias")


def _per_channel(e: Emission, op: Op, role: str) -> str:
    """An own tensor of (C,) as (C, 1, 1 ...), which broadcasts over the spatial axes."""
    tensor = e.tensors(op)[role]
    return e.constant(f"{op.params[role]}/per_channel", tensor.reshape(-1, *[1] * (len(op.shape) - 2)))


def _scale(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    scaled = e.node("Mul", [x[0], _per_channel(e, op, "weight")], f"{op.name}/scaled", op.name)
    e.node("Add", [scaled, _per_channel(e, op, "bias")], out, f"{op.name}/shift")


def _prelu(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("PRelu", [x[0], _per_channel(e, op, "weight")], out, op.name)


CONVERTERS: dict[str, Converter] = {
    **ELEMENTWISE,
    **REDUCTIONS,
    **MOVES,
    **NORMS,
    **POOLS,
    "conv": _conv,
    "conv_dynamic": _conv_dynamic,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": unary("MatMul"),
    "scale": _scale,
    "prelu": _prelu,
    "softmax": unary("Softmax", axis="dim"),
    "log_softmax": unary("LogSoftmax", axis="dim"),
    "upsample": upsample,
    "grid_sample": grid_sample,
    "lstm": recurrent,
    "lstm_cell": recurrent,
    "gru": recurrent,
}
