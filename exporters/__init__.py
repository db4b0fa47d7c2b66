"""One format per file; each has one function `write` that turns a folded network into a file.

To add a format: a module with `write(job: WriteJob, path: Path) -> Written`, and a line in FORMATS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing
from edgekit.registry import Registry

if TYPE_CHECKING:  # measuring with trtexec reads its flags here, and needs no torch
    from edgekit.ir.graph import Graph
    from edgekit.ir.quantized import QuantizedGraph


@dataclass(frozen=True)
class WriteJob:
    """What is to be written. `quantized` is there exactly when the precision is int8."""

    graph: Graph  # folded
    precision: str  # fp32, fp16 or int8
    quantized: QuantizedGraph | None = None
    io: str = "float32"  # what a caller hands over and gets: float32, uint8 or int8
    dynamic_batch: bool = False
    opset: int | None = None  # ONNX only; None: its default
    description: str = ""  # goes into the file's own metadata, like the next two
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()  # the outputs' names, in their order
    options: Mapping[str, Any] = field(default_factory=dict)  # of one format; tensorrt's stand at its write()


@dataclass(frozen=True)
class Written:
    """What stands in the file."""

    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    operators: dict[str, int]  # by the format's own names
    details: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Writer = Callable[[WriteJob, Path], Written]

FORMATS: Registry[Writer] = Registry(
    "format",
    {
        "onnx": "edgekit.exporters.onnx.writer:write",
        "tflite": "edgekit.exporters.tflite.writer:write",
        "tensorrt": "edgekit.exporters.tensorrt.writer:write",
    },
    aliases={"litert": "tflite", "trt": "tensorrt", "engine": "tensorrt"},
)
