"""torch's own archive (.pt2), which torch.export.load opens: a program of ATen's operators and its weights.

The file holds no pickle. Its bytes depend on the network and on the release of torch alone.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from edgekit.errors import UsageError, first_line
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.free_batch import batch_axes
from edgekit.exporters.half import halved, within
from edgekit.exporters.pt2.network import Network
from edgekit.ir.graph import Graph, Op
from edgekit.util.files import environment


def write(job: WriteJob, path: Path) -> Written:
    """Write the folded graph to `path` in float32, or in float16 with float32 outside.

    Raises UsageError for an operator that torch.export does not take, and for a batch that cannot be free.
    """
    if job.dynamic_batch:
        batch_axes(job.graph)
    graph = _in_half(job.graph) if job.precision == "fp16" else job.graph.to(torch.float32)
    inputs = tuple(job.record(op, op.name) for op in graph.inputs)
    outputs = tuple(job.record(graph[name], public) for public, name in graph.outputs.items())
    program = _exported(Network(graph), graph, job.dynamic_batch)
    names = {"inputs": [one.name for one in inputs], "outputs": [one.name for one in outputs]}
    with environment(path), path.open("wb") as stream:  # by a path, its name would be in the bytes
        torch.export.save(program, stream, extra_files={**job.about, "names": json.dumps(names)})
    return Written(
        inputs=inputs,
        outputs=outputs,
        operators=dict(sorted(_operators(program).items())),
        details={"dynamic_batch": job.dynamic_batch},
    )


def _exported(network: Network, graph: Graph, dynamic_batch: bool) -> ExportedProgram:
    """The program, without what tells of this machine and of this run."""
    given = tuple(torch.zeros(op.shape, dtype=_outside(op)) for op in graph.inputs)
    if dynamic_batch:
        given = tuple(torch.cat([x, x]) for x in given)  # torch.export takes a batch of 1 for a number
    free = tuple({0: Dim("batch")} for _ in given) if dynamic_batch else None
    try:
        with torch.no_grad():
            program = torch.export.export(network, given, dynamic_shapes=free, strict=False)
    except UsageError:
        raise
    except Exception as error:  # torch.export has many kinds of errors of its own
        raise UsageError(
            f"torch.export cannot write this network: {first_line(error)}", "choose --format onnx or tflite"
        ) from error
    _clean(program)
    return program


def _clean(program: ExportedProgram) -> None:
    """Take out the lines of edgekit's source, the assertions of types that static shapes do not need, and the zeros."""
    for node in list(program.graph.nodes):
        node.meta.pop("stack_trace", None)
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            program.graph.erase_node(node)
    program.graph_module.recompile()
    program.example_inputs = None


def _outside(op: Op) -> torch.dtype:
    """The type in which a caller gives an input."""
    return torch.float32 if op.dtype.is_floating_point else op.dtype


def _operators(program: ExportedProgram) -> Counter[str]:
    calls = (node.target for node in program.graph.nodes if node.op == "call_function")
    return Counter(str(target).rpartition(".")[0] for target in calls if target is not operator.getitem)


def _in_half(graph: Graph) -> Graph:
    """The graph in float16, its weights and the numbers of its operators."""
    found = halved(graph).to(torch.float16)
    return replace(found, ops=tuple(op.with_(attrs=_attrs_in_half(op)) for op in found))


def _attrs_in_half(op: Op) -> dict[str, Any]:
    return {name: within(value) if isinstance(value, float) else value for name, value in op.attrs.items()}
