"""What a file answers with: the network's own output, its softmax, or the index of the largest.

A head is put on when a file is written. Ranges, simulation and parity are about the network's own output, which says
more; that the head computes what it should is proved apart (edgekit.exporting.head_proof).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.tflite_constraints import FIXED_OUTPUT
from edgekit.ir.graph import Graph, Op, rebuilt
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.formats import LOGITS, SOFTMAX
from edgekit.util.formatting import shape_text


def check(graph: Graph, head: str) -> None:
    """Raises UsageError for a head that this network's output cannot have."""
    if head == LOGITS:
        return
    last = graph[graph.output]
    if len(last.shape) != 2 or last.shape[1] < 2:
        shape = shape_text(last.shape)
        raise UsageError(
            f"--output {head} is for one score per class, and the network gives {shape}", "leave --output out"
        )
    if head == SOFTMAX and last.kind in ("softmax", "log_softmax"):
        raise UsageError(f"the network ends in a {last.kind} already ({last.name})", "leave --output out")


def with_head(job: WriteJob, head: str) -> WriteJob:
    """Return the same job, whose network answers with `head` (softmax or argmax) of its output."""
    last = job.graph[job.graph.output]
    name = _free_name(job.graph, head)
    shape, dtype = (last.shape, last.dtype) if head == SOFTMAX else (last.shape[:1], torch.int64)
    op = Op(name, head, (last.name,), shape, {}, {"dim": 1}, dtype)
    graph = rebuilt(job.graph, [*job.graph, op], {name: name})
    quantized = _quantized(job.quantized, graph, op, job.io) if job.quantized else None
    return replace(job, graph=graph, quantized=quantized)


def _free_name(graph: Graph, name: str) -> str:
    taken = graph.by_name
    while name in taken:
        name += "_of_output"
    return name


def _quantized(quantized: QuantizedGraph, graph: Graph, op: Op, io: str) -> QuantizedGraph:
    """A softmax comes out in integers only where the caller takes integers: 1/256 is a coarse step for it."""
    if op.kind == SOFTMAX and io != "float32":
        return replace(quantized, graph=graph, activations={**quantized.activations, op.name: FIXED_OUTPUT[SOFTMAX]})
    return replace(quantized, graph=graph, islands={**quantized.islands, op.name: "it is what the file answers with"})
