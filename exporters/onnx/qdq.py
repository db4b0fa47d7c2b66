"""int8 in ONNX: QuantizeLinear/DequantizeLinear pairs where onnxruntime joins them with the operators between.

Weights are stored as int8 and biases as int32, each behind a DequantizeLinear. A pair stands behind every tensor that
exists as integers and nowhere else, so that Conv + Relu becomes one integer operator.
"""

from __future__ import annotations

import numpy as np
import torch

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.activations import operand
from edgekit.exporters.onnx.emitter import Emission, Operator, published, value_names
from edgekit.ir.graph import Op
from edgekit.ir.quantized import QParams, QuantizedGraph, QWeight


def emit(job: WriteJob, opset: int, operator: Operator) -> Emission:
    """The nodes and constants of the int8 network; `operator` adds those of one float operator."""
    quantized = job.quantized
    if quantized is None:
        raise ValueError("an int8 job carries a quantised graph")
    if job.io != "float32":
        raise UsageError(
            f"int8 ONNX files take and give float32, not {job.io}", "leave --io out, or use --format tflite"
        )
    graph = quantized.graph
    e = Emission(graph, opset, job.dynamic_batch)
    value, final = value_names(graph), published(graph)
    for op in graph:
        params, name = quantized.activations.get(op.name), value[op.name]
        made = f"{op.name}/float" if params and op.name in final else name
        if op.kind != "input":
            operator(e, op, [value[name] for name in op.inputs], _own(e, quantized, op), made)
        value[op.name] = _pair(e, made, final.get(op.name, f"{op.name}/real"), op, params) if params else made
    return e


def _pair(e: Emission, made: str, real: str, op: Op, params: QParams) -> str:
    grid = _grid(e, op.name, params)
    integers = e.node("QuantizeLinear", [made, *grid], f"{op.name}/integers")
    return e.node("DequantizeLinear", [integers, *grid], real, f"{op.name}/real")


def _grid(e: Emission, name: str, params: QParams) -> list[str]:
    kind = np.uint8 if params.low == 0 else np.int8
    return [
        e.constant(f"{name}/scale", np.array(params.scale, np.float32)),
        e.constant(f"{name}/zero_point", np.array(params.zero_point, kind)),
    ]


def _own(e: Emission, quantized: QuantizedGraph, op: Op) -> dict[str, str]:
    if op.name not in quantized.weights:
        if op.kind in ("add", "mul") and op.name not in quantized.islands and len(op.inputs) == 1:
            return {"other": _operand(e, quantized, op)}  # which may have the name of the float tensor
        return e.own(op)
    weight = quantized.weights[op.name]
    return {"weight": _weight(e, op.name, weight, quantized.scheme), "bias": _bias(e, quantized, op)}


def _weight(e: Emission, name: str, weight: QWeight, scheme: str) -> str:
    scale = e.constant(f"{name}.weight/scale", weight.scale)
    zero = e.constant(f"{name}.weight/zero_point", np.zeros(len(weight.scale), np.int8))
    if scheme == "tensorrt":  # before 10 it reads no int8 constants: the pair stands behind rounded floats
        real = e.constant(f"{name}.weight", weight.real())
        stored = e.node("QuantizeLinear", [real, scale, zero], f"{name}.weight/integers", axis=weight.axis)
    else:
        stored = e.constant(f"{name}.weight", weight.values)
    return e.node("DequantizeLinear", [stored, scale, zero], f"{name}.weight/real", axis=weight.axis)


def _bias(e: Emission, quantized: QuantizedGraph, op: Op) -> str:
    values = quantized.biases[op.name]
    step = quantized.activations[op.inputs[0]].scale * quantized.weights[op.name].scale.double()
    if quantized.scheme == "tensorrt":  # it reads no int32 and keeps biases in float
        return e.constant(f"{op.name}.bias", (values.double() * step).float())
    stored = e.constant(f"{op.name}.bias", values)
    scale = e.constant(f"{op.name}.bias/scale", step.float())
    zero = e.constant(f"{op.name}.bias/zero_point", np.zeros(len(values), np.int32))
    return e.node("DequantizeLinear", [stored, scale, zero], f"{op.name}.bias/real", axis=0)


def _operand(e: Emission, quantized: QuantizedGraph, op: Op) -> str:
    """The constant of an addition or product, as integers too."""
    tensor = e.tensors(op).get("other", torch.tensor(op.attrs.get("other", 0.0)))
    params = operand(tensor, quantized.scheme)
    integers = torch.round(tensor.detach().float() / params.scale + params.zero_point).clamp(params.low, params.high)
    kind = torch.uint8 if params.low == 0 else torch.int8
    grid = _grid(e, f"{op.name}.other", params)
    if quantized.scheme == "tensorrt":
        real = e.constant(f"{op.name}.other", ((integers - params.zero_point) * params.scale).float())
        stored = e.node("QuantizeLinear", [real, *grid], f"{op.name}.other/integers")
    else:
        stored = e.constant(f"{op.name}.other", integers.to(kind))
    return e.node("DequantizeLinear", [stored, *grid], f"{op.name}.other/real")
