"""One format per package; each has one function `write(job, path)` that turns a folded network into a file.

`FORMATS` (edgekit.records.formats) says which there are, and everything that tells one from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.records.formats import FORMATS as FORMATS
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing

if TYPE_CHECKING:  # measuring with trtexec reads its flags here, and needs no torch
    from edgekit.ir.graph import Graph, Op
    from edgekit.ir.quantized import QuantizedGraph

LAYOUTS = {1: "N", 2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}


@dataclass(frozen=True)
class WriteJob:
    """What is to be written. `quantized` is there exactly when the precision is int8 or int8w."""

    graph: Graph  # folded
    precision: str  # fp32, fp16, int8 or int8w
    quantized: QuantizedGraph | None = None
    io: str = "float32"  # what a caller hands over and gets: float32, uint8 or int8
    dynamic_batch: bool = False
    layout: str = "nhwc"  # of maps in TFLite: nhwc, or nchw as torch has them
    opset: int | None = None  # ONNX only; None: its default
    description: str = ""  # goes into the file's own metadata, like the next two
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()  # the outputs' names, in their order
    options: Mapping[str, Any] = field(default_factory=dict)  # of one format; tensorrt's stand at its write()

    def record(self, op: Op, name: str) -> TensorRecord:
        """Return an input or output in torch's axes, as a caller sees it: real numbers are float32."""
        shape = (-1, *op.shape[1:]) if self.dynamic_batch else op.shape
        dtype = "float32" if op.dtype.is_floating_point else str(op.dtype).removeprefix("torch.")
        return TensorRecord(name=name, dtype=dtype, shape=shape, layout=LAYOUTS.get(len(shape), "other"))

    @property
    def about(self) -> dict[str, str]:
        """What a file says beside its network: how an image becomes the input, as JSON; each output's name, a line."""
        how = {"preprocessing": self.preprocessing.model_dump_json()} if self.preprocessing is not None else {}
        return how | ({"labels": "\n".join(self.labels)} if self.labels else {})


@dataclass(frozen=True)
class Written:
    """What stands in the file."""

    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    operators: dict[str, int]  # by the format's own names
    details: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
