"""int8 in ONNX: QuantizeLinear/DequantizeLinear pairs where onnxruntime joins them with the operators between.

Weights are stored as int8 and biases as int32, each behind a DequantizeLinear. A pair stands behind every tensor that
exists as integers and nowhere else, so that Conv + Relu becomes one integer operator.
"""

from __future__ import annotations

import numpy as np
import torch

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.activations import constant_of, operand
from edgekit.exporters.onnx.emitter import Emission, Operator, published, value_names
from edgekit.ir.graph import Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QParams, QuantizedGraph, QWeight
from edgekit.ir.reference import LAYERS


def emit(job: WriteJob, opset: int, operator: Operator) -> Emission:
    """Return the nodes and constants of the int8 network; `operator` adds those of one float operator."""
    quantized = job.quantized
    if quantized is None:
        raise ValueError("an int8 job carries a quantized graph")
    if job.io != "float32":
        raise UsageError(
            f"int8 ONNX files take and give float32, not {job.io}", "leave --io out, or use --format tflite"
        )
    graph = quantized.graph
    e = Emission(graph, opset, job.dynamic_batch)
    value, final, between = value_names(graph), published(graph), _between_integers(quantized)
    for op in graph:
        params, name = quantized.activations.get(op.name), value[op.name]
        made = f"{op.name}/float" if params and op.name in final else name
        if op.kind == "linear" and len(op.shape) != 2 and op.name in quantized.weights:
            _by_rows(e, quantized, op, value[op.inputs[0]], made)
        elif op.kind != "input":
            own = _own(e, quantized, op) | ({"bias": _hidden_bias(e, op)} if op.name in between else {})
            operator(e, op, [value[name] for name in op.inputs], own, made)
        if params:
            value[op.name] = _pair(e, made, final.get(op.name, f"{op.name}/real"), op.name, _grid(e, op.name, params))
        else:
            value[op.name] = made
    return e


def _pair(e: Emission, made: str, real: str, name: str, grid: list[str]) -> str:
    integers = e.node("QuantizeLinear", [made, *grid], f"{name}/integers")
    return e.node("DequantizeLinear", [integers, *grid], real, f"{name}/real")


def _by_rows(e: Emission, quantized: QuantizedGraph, op: Op, x: str, made: str) -> None:
    """A linear layer of more axes as one of a matrix: onnxruntime's integer product with weights has no others."""
    own, known, name = _own(e, quantized, op), quantized.activations, op.name
    columns = e.tensors(op)["weight"].shape[1]
    rows = e.node("Reshape", [x, e.integers(f"{name}/rows/shape", (-1, columns))], f"{name}/rows")
    source = op.inputs[0]
    rows = _pair(e, rows, f"{name}/rows/real", f"{name}/rows", _grid(e, source, known[source]))
    y = e.node("Gemm", [rows, own["weight"], own["bias"]], f"{name}/product", name, transB=1)
    if name in known:
        y = _pair(e, y, f"{name}/product/real", f"{name}/product", _grid(e, name, known[name]))
    e.node("Reshape", [y, e.integers(f"{name}/shape", (-1, *op.shape[1:]))], made, f"{name}/reshape")


def _grid(e: Emission, name: str, params: QParams) -> list[str]:
    kind = np.uint8 if params.low == 0 else np.int8
    return [
        e.constant(f"{name}/scale", np.array(params.scale, np.float32)),
        e.constant(f"{name}/zero_point", np.array(params.zero_point, kind)),
    ]


def _own(e: Emission, quantized: QuantizedGraph, op: Op) -> dict[str, str]:
    if op.name not in quantized.weights:
        if _has_integer_operand(quantized, op):
            return {"other": _operand(e, quantized, op)}  # which may have the name of the float tensor
        return e.own(op)
    weight = _weight(e, _stored(e, quantized, op, "weight"), quantized.weights[op.name], quantized.scheme)
    return {"weight": weight, "bias": _bias(e, quantized, op)}


def _has_integer_operand(quantized: QuantizedGraph, op: Op) -> bool:
    return op.kind in ("add", "mul") and op.name not in quantized.islands and len(op.inputs) == 1


def _stored(e: Emission, quantized: QuantizedGraph, op: Op, role: str) -> str:
    """The name of a tensor's integers: the tensor's own, or another where an operator reads it in float."""
    name = f"{op.name}.{role}"
    for other in e.graph:
        in_float = other.name not in quantized.weights and not _has_integer_operand(quantized, other)
        if in_float and name in other.params.values():
            return f"{name}/stored"
    return name


def _between_integers(quantized: QuantizedGraph) -> frozenset[str]:
    """The layers in float that read integers and of which integers are made, in onnxruntime."""
    known, fused = quantized.activations, fused_activations(quantized.graph)
    layers = (op for op in quantized.graph if op.kind in LAYERS and op.name not in quantized.weights)
    ends = {op.name: fused.get(op.name, op).name for op in layers if op.inputs[0] in known}
    made = (name for name, end in ends.items() if name in known or end in known)
    return frozenset(made if quantized.scheme != "tensorrt" else ())


def _hidden_bias(e: Emission, op: Op) -> str:
    """The bias of a layer in float behind a DequantizeLinear, as exact as in float32.

    Where the bias is a constant, onnxruntime takes a layer that reads integers for one whose weights were forgotten,
    and rounds them to one scale for all channels.
    """
    weight = e.tensors(op)["weight"]
    channels = weight.shape[1] * op.attrs["groups"] if op.kind == "conv_transpose" else weight.shape[0]
    bias = e.tensors(op).get("bias", torch.zeros(channels)).detach().double()
    step = max(float(bias.abs().max()), 1e-30) / 2**30
    stored = e.constant(f"{op.name}.bias/integers", torch.round(bias / step).to(torch.int32))
    scale = e.constant(f"{op.name}.bias/scale", np.array(step, np.float32))
    return e.node("DequantizeLinear", [stored, scale], f"{op.name}.bias/real")


def _weight(e: Emission, name: str, weight: QWeight, scheme: str) -> str:
    scale = e.constant(f"{name}/scale", weight.scale)
    zero = e.constant(f"{name}/zero_point", np.zeros(len(weight.scale), np.int8))
    if scheme == "tensorrt":  # before 10 it reads no int8 constants: the pair stands behind rounded floats
        real = e.constant(name, weight.real())
        stored = e.node("QuantizeLinear", [real, scale, zero], f"{name}/integers", axis=weight.axis)
    else:
        stored = e.constant(name, weight.values)
    return e.node("DequantizeLinear", [stored, scale, zero], f"{name}/real", axis=weight.axis)


def _bias(e: Emission, quantized: QuantizedGraph, op: Op) -> str:
    values = quantized.biases[op.name]
    step, name = quantized.bias_step(op), _stored(e, quantized, op, "bias")
    if quantized.scheme == "tensorrt":  # it reads no int32 and keeps biases in float
        return e.constant(name, (values.double() * step).float())
    stored = e.constant(name, values)
    scale = e.constant(f"{name}/scale", step.float())
    zero = e.constant(f"{name}/zero_point", np.zeros(len(values), np.int32))
    return e.node("DequantizeLinear", [stored, scale, zero], f"{name}/real", axis=0)


def _operand(e: Emission, quantized: QuantizedGraph, op: Op) -> str:
    """The constant of an addition or product, as integers too."""
    tensor = constant_of(op, e.tensors(op))
    params = operand(tensor, quantized.scheme)
    integers = torch.round(tensor / params.scale + params.zero_point).clamp(params.low, params.high)
    kind = torch.uint8 if params.low == 0 else torch.int8
    name = _stored(e, quantized, op, "other")
    grid = _grid(e, name, params)
    if quantized.scheme == "tensorrt":
        real = e.constant(name, ((integers - params.zero_point) * params.scale).float())
        stored = e.node("QuantizeLinear", [real, *grid], f"{name}/integers")
    else:
        stored = e.constant(name, integers.to(kind))
    return e.node("DequantizeLinear", [stored, *grid], f"{name}/real")
