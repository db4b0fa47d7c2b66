"""int8w in ONNX: a Cast and a Mul behind each int8 weight, everything else as in float.

onnxruntime computes these two once, when it loads the file. A DequantizeLinear it leaves for integer kernels to find,
and runs it at every inference, in twice the time of float weights.
"""

from __future__ import annotations

import onnx

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.emitter import Emission, Operator, value_names
from edgekit.ir.graph import Op
from edgekit.ir.quantized import QuantizedGraph


def emit(job: WriteJob, opset: int, operator: Operator) -> Emission:
    """The nodes and constants of a network whose weights alone are int8; `operator` adds those of one operator."""
    quantized = job.quantized
    if quantized is None:
        raise ValueError("an int8w job carries a quantized graph")
    if job.io != "float32":
        raise UsageError(f"--io {job.io} needs --precision int8, not int8w", "leave --io out")
    graph = quantized.graph
    emission = Emission(graph, opset, job.dynamic_batch)
    value = value_names(graph)
    for op in graph:
        if op.kind != "input":
            operator(emission, op, [value[name] for name in op.inputs], _own(emission, quantized, op), value[op.name])
    return emission


def _own(e: Emission, quantized: QuantizedGraph, op: Op) -> dict[str, str]:
    """The operator's own tensors; a weight that several layers share is expanded once."""
    if op.name not in quantized.weights:
        return e.own(op)
    weight, name = quantized.weights[op.name], op.params["weight"]
    real = f"{name}/real"
    if name not in e.constants:
        stored, scale = e.constant(name, weight.values), e.constant(f"{name}/scale", weight.along(weight.scale))
        e.node("Mul", [e.node("Cast", [stored], f"{name}/float", to=onnx.TensorProto.FLOAT), scale], real)
    others = {role: e.constant(own, e.graph.params[own]) for role, own in op.params.items() if role != "weight"}
    return others | {"weight": real}
