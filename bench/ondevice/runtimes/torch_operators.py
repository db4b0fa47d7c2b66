"""ONNX's operators in torch: for each a function that reads a node and gives what computes it.

torch.py runs them one after the other. To add an operator: a
function here, and a line in OPERATORS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional as F

if TYPE_CHECKING:  # Python 3.8 cannot subscript it at run time
    Function = Callable[..., Any]


class Node(NamedTuple):
    """One ONNX node; `constants` are the numpy arrays of the file by name."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    constants: dict[str, Any]

    def constant(self, index: int) -> Any:
        """The numpy array of an input that must be one, or None where it is left out."""
        if index >= len(self.inputs) or not self.inputs[index]:
            return None
        if self.inputs[index] not in self.constants:
            raise RuntimeError(f"{self.kind} with a computed '{self.inputs[index]}' is not supported")
        return self.constants[self.inputs[index]]

    def integers(self, index: int, name: str = "") -> list[int] | None:
        """Integers from an attribute (older opsets) or a constant input."""
        if name in self.attributes:
            return [int(value) for value in self.attributes[name]]
        value = self.constant(index)
        return None if value is None else [int(item) for item in value.reshape(-1)]


def _pads(node: Node, rank: int) -> list[int]:
    """ONNX's [begins, ends] as torch's F.pad has them: last axis first, begin and end together."""
    if node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise RuntimeError(f"{node.kind} with auto_pad is not supported")
    pads = list(node.attributes.get("pads", [0] * 2 * rank))
    return [pads[axis + side * rank] for axis in reversed(range(rank)) for side in (0, 1)]


def _conv(node: Node) -> Function:
    rank = node.constant(1).ndim - 2
    strides, dilations = (list(node.attributes.get(name, [1] * rank)) for name in ("strides", "dilations"))
    pads, groups = _pads(node, rank), node.attributes.get("group", 1)
    function = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    if pads[0::2] == pads[1::2]:
        both = pads[0::2][::-1]
        return lambda x, w, b=None: function(x, w, b, strides, both, dilations, groups)
    return lambda x, w, b=None: function(F.pad(x, pads), w, b, strides, 0, dilations, groups)


def _conv_transpose(node: Node) -> Function:
    rank, attributes = node.constant(1).ndim - 2, node.attributes
    strides, dilations = (list(attributes.get(name, [1] * rank)) for name in ("strides", "dilations"))
    pads, extra = _pads(node, rank), list(attributes.get("output_padding", [0] * rank))
    if pads[0::2] != pads[1::2] or "output_shape" in attributes:
        raise RuntimeError("ConvTranspose with uneven padding is not supported")
    both, groups = pads[0::2][::-1], attributes.get("group", 1)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    return lambda x, w, b=None: function(x, w, b, strides, both, extra, groups, dilations)


def _pool(node: Node, functions: tuple[Function, ...], fill: float) -> tuple[Function, Function, dict[str, Any]]:
    """The torch function of this rank, what pads its input, and the arguments that maximum and average share."""
    kernel = list(node.attributes["kernel_shape"])
    pads = _pads(node, len(kernel))
    arguments = {
        "kernel_size": kernel,
        "stride": list(node.attributes.get("strides", [1] * len(kernel))),
        "ceil_mode": bool(node.attributes.get("ceil_mode", 0)),
    }
    if not any(pads):
        return functions[len(kernel) - 1], lambda x: x, arguments
    if arguments["ceil_mode"]:
        raise RuntimeError(f"{node.kind} with padding and ceil_mode is not supported")
    return functions[len(kernel) - 1], lambda x: F.pad(x, pads, value=fill), arguments


def _max_pool(node: Node) -> Function:
    function, pad, arguments = _pool(node, (F.max_pool1d, F.max_pool2d, F.max_pool3d), -math.inf)
    dilation = list(node.attributes.get("dilations", [1] * len(arguments["kernel_size"])))
    return lambda x: function(pad(x), dilation=dilation, **arguments)


def _average_pool(node: Node) -> Function:
    function, pad, arguments = _pool(node, (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), 0.0)
    if node.attributes.get("count_include_pad", 0) or not any(node.attributes.get("pads", ())):
        return lambda x: function(pad(x), **arguments)
    return lambda x: function(pad(x), **arguments) / function(pad(torch.ones_like(x[:1, :1])), **arguments)


def _gemm(node: Node) -> Function:
    values = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **node.attributes}
    alpha, beta, turn_a, turn_b = (values[name] for name in ("alpha", "beta", "transA", "transB"))

    def gemm(a: Any, b: Any, c: Any = None) -> Any:
        a, b = a.T if turn_a else a, b.T if turn_b else b
        return alpha * (a @ b) if c is None else torch.addmm(c, a, b, beta=beta, alpha=alpha)

    return gemm


def _clip(node: Node) -> Function:
    low, high = (node.constant(index) for index in (1, 2))
    low, high = (None if limit is None else float(limit) for limit in (low, high))
    return lambda x: x.clamp(low, high)


def _reshape(node: Node) -> Function:
    sizes = node.integers(1) or []
    if 0 in sizes:
        return lambda x: x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])
    return lambda x: x.reshape(sizes)


def _reduce_mean(node: Node) -> Function:
    axes, keep = node.integers(1, "axes"), bool(node.attributes.get("keepdims", 1))
    return lambda x: x.mean(axes if axes is not None else list(range(x.dim())), keep)


def _pad(node: Node) -> Function:
    if node.attributes.get("mode", b"constant") != b"constant":
        raise RuntimeError("Pad other than with a constant is not supported")
    pads, value = node.integers(1) or [], node.constant(2)
    rank, fill = len(pads) // 2, 0.0 if value is None else float(value)
    turned = [pads[axis + side * rank] for axis in reversed(range(rank)) for side in (0, 1)]
    return lambda x: F.pad(x, turned, value=fill)


def _slice(node: Node) -> Function:
    starts, ends = node.integers(1) or [], node.integers(2) or []
    axes, steps = node.integers(3) or list(range(len(starts))), node.integers(4) or [1] * len(starts)
    index = {axis: slice(starts[i], ends[i], steps[i]) for i, axis in enumerate(axes)}
    return lambda x: x[tuple(index.get(axis, slice(None)) for axis in range(x.dim()))]


def _batch_norm(node: Node) -> Function:
    eps = node.attributes.get("epsilon", 1e-5)
    return lambda x, scale, bias, mean, var: F.batch_norm(x, mean, var, scale, bias, False, 0.0, eps)


def _lrn(node: Node) -> Function:
    values = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **node.attributes}
    return lambda x: F.local_response_norm(x, values["size"], values["alpha"], values["beta"], values["bias"])


def _hard_sigmoid(node: Node) -> Function:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    return lambda x: (x * alpha + beta).clamp(0, 1)


def _flatten(node: Node) -> Function:
    axis = node.attributes.get("axis", 1)
    return lambda x: x.reshape(math.prod(x.shape[:axis]), -1)


def _as(function: Function) -> Callable[[Node], Function]:
    """What has no attributes: the function itself."""
    return lambda node: function


def _with(function: Function, name: str, default: Any = None) -> Callable[[Node], Function]:
    """A function of one tensor and one attribute."""

    def build(node: Node) -> Function:
        value = node.attributes.get(name, default)
        return lambda x: function(x, value)

    return build


def _spatial(x: Any) -> list[int]:
    return list(range(2, x.dim()))


# Operator -> how many of its inputs are read at run time (None: all; the others are constants), and its builder.
OPERATORS: dict[str, tuple[int | None, Callable[[Node], Function]]] = {
    "Add": (None, _as(torch.add)),
    "AveragePool": (1, _average_pool),
    "BatchNormalization": (5, _batch_norm),
    "Clip": (1, _clip),
    "Concat": (None, lambda node: lambda *parts: torch.cat(parts, node.attributes["axis"])),
    "Conv": (None, _conv),
    "ConvTranspose": (None, _conv_transpose),
    "Div": (None, _as(torch.div)),
    "Dropout": (1, _as(lambda x: x)),
    "Elu": (1, _with(F.elu, "alpha", 1.0)),
    "Erf": (1, _as(torch.erf)),
    "Flatten": (1, _flatten),
    "Gemm": (None, _gemm),
    "GlobalAveragePool": (1, _as(lambda x: x.mean(_spatial(x), True))),
    "GlobalMaxPool": (1, _as(lambda x: x.amax(_spatial(x), True))),
    "HardSigmoid": (1, _hard_sigmoid),
    "HardSwish": (1, _as(F.hardswish)),
    "Identity": (1, _as(lambda x: x)),
    "LRN": (1, _lrn),
    "LeakyRelu": (1, _with(F.leaky_relu, "alpha", 0.01)),
    "LogSoftmax": (1, _with(torch.log_softmax, "axis", -1)),
    "MatMul": (None, _as(torch.matmul)),
    "MaxPool": (1, _max_pool),
    "Mul": (None, _as(torch.mul)),
    "PRelu": (2, _as(lambda x, slope: torch.where(x < 0, x * slope, x))),
    "Pad": (1, _pad),
    "Pow": (None, _as(torch.pow)),
    "ReduceMean": (1, _reduce_mean),
    "Relu": (1, _as(torch.relu)),
    "Reshape": (1, _reshape),
    "Sigmoid": (1, _as(torch.sigmoid)),
    "Slice": (1, _slice),
    "Softmax": (1, _with(torch.softmax, "axis", -1)),
    "Sqrt": (1, _as(torch.sqrt)),
    "Sub": (None, _as(torch.sub)),
    "Tanh": (1, _as(torch.tanh)),
    "Transpose": (1, _with(torch.permute, "perm")),
}
