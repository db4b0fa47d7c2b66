"""TFLite files, written by ourselves: a folded Graph becomes TFLite's operators (lowering), these a flatbuffer.

fp32; fp16 and int8w, whose weights are float16 or int8 and are expanded when the file is loaded; and int8 from a
QuantizedGraph, with float islands where TFLite has no int8 kernel. Input and output are channels-last (NHWC).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.free_batch import batch_axes
from edgekit.exporters.half import check
from edgekit.exporters.int8.weights_only import WEIGHTS
from edgekit.exporters.tflite import metadata
from edgekit.exporters.tflite.flatbuffer import write_file
from edgekit.exporters.tflite.layout import layout_name
from edgekit.exporters.tflite.lowering_table import lower
from edgekit.exporters.tflite.program import Program, Stored
from edgekit.records.manifest import TensorRecord

_HALVED = frozenset({"weight", "w_ih", "w_hh"})  # must fit float16; another constant that does not stays in float32


def write(job: WriteJob, path: Path) -> Written:
    """Write one file.

    Raises BackendMissing for an operator that TFLite lacks, and UsageError for a batch that cannot be free, before
    anything is written.
    """
    _check(job)
    if job.dynamic_batch:
        batch_axes(job.graph)
    program = lower(job.graph, job.precision == "fp16", job.quantized, job.io, job.layout == "nchw")
    inputs, outputs = (
        tuple(_record(program, index, job) for index in side) for side in (program.inputs, program.outputs)
    )
    about = metadata.pack(job.description, inputs, outputs, job.preprocessing, job.labels)
    file = write_file(program, path, job.description, job.dynamic_batch, {metadata.NAME: about})
    if job.labels:
        metadata.append_labels(path, job.labels)
    return Written(
        inputs=inputs,
        outputs=outputs,
        operators=dict(sorted(Counter(node.builtin for node in program.nodes).items())),
        details={"min_runtime_version": file.min_runtime, "constant_bytes": file.constant_bytes},
    )


def _check(job: WriteJob) -> None:
    scheme = {"int8": "tflite", "int8w": WEIGHTS}.get(job.precision)
    if (job.quantized.scheme if job.quantized else None) != scheme:
        raise ValueError(f"{job.precision} in TFLite needs a graph quantized as {scheme}")
    if job.io != "float32" and job.precision != "int8":
        raise UsageError(f"{job.io} input and output need int8, not {job.precision}", "add --precision int8")
    if job.precision == "fp16":
        check(job.graph, lambda op, role: role in _HALVED)


def _record(program: Program, index: int, job: WriteJob) -> TensorRecord:
    tensor: Stored = program.tensors[index]
    grid = tensor.grid
    return TensorRecord(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=(-1, *tensor.shape[1:]) if job.dynamic_batch else tensor.shape,
        layout=layout_name(len(tensor.shape), job.layout == "nchw"),
        scale=grid.scales[0] if grid else None,
        zero_point=grid.zero_point if grid else None,
    )
