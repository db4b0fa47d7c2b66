"""ONNX: one file, weights inside, static shapes unless the batch is asked to be free, a conservative IR version.

The folded graph is written operator by operator (exporters.onnx.ops). A node bears the name of its layer and an
initializer the name of its parameter, so that what a profiler says can be laid beside the layer table.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import torch

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.free_batch import batch_axes
from edgekit.exporters.half import halved
from edgekit.exporters.onnx.emitter import Emission, Operator, copies, onnx_type, published, value_names
from edgekit.exporters.onnx.expanded import emit as emit_expanded
from edgekit.exporters.onnx.fallback import inline
from edgekit.exporters.onnx.ops import CONVERTERS
from edgekit.exporters.onnx.qdq import emit as emit_quantized
from edgekit.exporters.onnx.serialize import check, save
from edgekit.exporters.onnx.versions import IR_VERSIONS, opset_of
from edgekit.ir.graph import Op
from edgekit.records.manifest import TensorRecord


def write(job: WriteJob, path: Path) -> Written:
    """Write the folded graph to `path` as ONNX in float32, float16 (float32 outside), int8 (Q/DQ) or int8w.

    Raises UsageError for an opset outside 13 to 20, an operator without a form, a batch that cannot be free, and more
    than 2 GB.
    """
    opset = opset_of(job.graph, job.opset)
    if job.dynamic_batch:
        batch_axes(job.graph)
    emit = {"int8": emit_quantized, "int8w": emit_expanded}.get(job.precision, _emit)
    emission = emit(job, opset, emit_operator)
    for public, name in copies(emission.graph):
        emission.node("Identity", [published(emission.graph).get(name, name)], public)
    emission.drop_unread()
    given = tuple(job.record(op, op.name) for op in emission.graph.inputs)
    results = tuple(job.record(emission.graph[name], public) for public, name in emission.graph.outputs.items())
    model = _model(job, emission, given, results, opset)
    check(model, emission.constants)
    save(model, emission.constants, path)
    return Written(
        inputs=given,
        outputs=results,
        operators=dict(sorted(Counter(node.op_type for node in emission.nodes).items())),
        details={"opset": opset, "ir_version": IR_VERSIONS[opset], "dynamic_batch": job.dynamic_batch},
    )


def emit_operator(emission: Emission, op: Op, inputs: list[str], own: dict[str, str], out: str) -> None:
    """Add the nodes of one operator; its output gets the name `out`."""
    form = CONVERTERS.get(op.kind)
    if form is None or form(emission, op, inputs, own, out) is NotImplemented:
        inline(emission, op, inputs, own, out)


def _emit(job: WriteJob, opset: int, operator: Operator) -> Emission:
    if job.io != "float32":
        raise UsageError(f"--io {job.io} needs --precision int8, not {job.precision}", "leave --io out")
    half = job.precision == "fp16"
    graph = halved(job.graph) if half else job.graph.to(torch.float32)
    emission = Emission(graph, opset, job.dynamic_batch, half)
    value = value_names(graph)
    widened = {}
    if half:
        for op in graph.inputs:
            if op.dtype.is_floating_point:
                value[op.name] = emission.node("Cast", [op.name], f"{op.name}/float16", to=onnx.TensorProto.FLOAT16)
        widened = {name: public for name, public in published(graph).items() if graph[name].dtype.is_floating_point}
        value |= {name: f"{public}/float16" for name, public in widened.items()}
    for op in graph.ops:
        if op.kind != "input":
            operator(emission, op, [value[name] for name in op.inputs], emission.own(op), value[op.name])
    for name, public in widened.items():
        emission.node("Cast", [value[name]], public, f"{public}/float", to=onnx.TensorProto.FLOAT)
    return emission


def _model(
    job: WriteJob,
    emission: Emission,
    given: tuple[TensorRecord, ...],
    results: tuple[TensorRecord, ...],
    opset: int,
) -> Any:
    graph = onnx.helper.make_graph(emission.nodes, "network", [*map(_info, given)], [*map(_info, results)])
    model = onnx.helper.make_model(
        graph,
        ir_version=IR_VERSIONS[opset],
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        producer_name="edgekit",
        producer_version=importlib.metadata.version("edgekit"),
        doc_string=job.description,
    )
    onnx.helper.set_model_props(model, job.about)
    return model


def _info(record: TensorRecord) -> Any:
    shape = ["batch" if size == -1 else size for size in record.shape]
    return onnx.helper.make_tensor_value_info(record.name, onnx_type(record.dtype), shape)
