"""A TFLite file -> a Source: looked into, its input shapes settled, its network built when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgekit.importers.held import as_torch
from edgekit.importers.source import (
    QUANTIZED,
    Given,
    Shape,
    Source,
    batch_notes,
    check_type,
    fixed_batch,
    given_by_name,
    settled,
)
from edgekit.importers.tflite.file import Stored, TfliteFile
from edgekit.importers.tflite.integers import own_integers, ranges
from edgekit.importers.tflite.model import Model, read
from edgekit.importers.tflite.network import TfliteNetwork
from edgekit.importers.tflite.signs import span
from edgekit.importers.tflite.table import OPERATORS
from edgekit.records.artifact import content_of
from edgekit.records.manifest import Dtype, SourceRecord, TensorRecord

_LETTERS = {4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")


def open_source(path: Path, given: Given) -> Source:
    """Look into a file; `given` are shapes of its inputs as torch has them, by name or in order. Raises UsageError."""
    model = read(TfliteFile(path), OPERATORS)
    sizes = [model.file.tensor(index).open_sizes for index in model.inputs]
    batch = fixed_batch(sizes) if given is None else 1
    return Source(
        path=path,
        shapes=_shapes(model, given, batch),
        build=lambda: TfliteNetwork(model),
        record=SourceRecord(
            file=path.name,
            format="tflite",
            sha256=content_of(path).sha256,
            producer=model.file.description,
        ),
        precision="int8" if _rounds(model) else "fp32",
        ranges=ranges(model),
        integers=own_integers(model) if model.spanned else None,
        batch=batch,
        notes=(*_notes(model), *batch_notes(path.name, batch)),
        takes=tuple(_record(model, index) for index in model.inputs),
        gives=tuple(_record(model, index) for index in model.outputs),
        whole=frozenset(model.file.tensor(index).name for index in model.whole()),
    )


def _shapes(model: Model, given: Given, batch: int) -> dict[str, Shape]:
    """The shape of each input as torch has it: as given, else the file's own with a batch of 1 where that is free."""
    names = [model.file.tensor(index).name for index in model.inputs]
    wanted = given_by_name(model.file.path, names, given)
    found = {}
    for index, name in zip(model.inputs, names, strict=True):
        shape = _shape(model, index, wanted.get(name))
        found[name] = (1, *shape[1:]) if batch > 1 else shape
    return found


def _shape(model: Model, index: int, given: Shape | None) -> Shape:
    tensor = model.file.tensor(index)
    check_type(model.file.path, tensor.name, tensor.dtype)
    sizes = tuple("?" if size < 0 else size for size in tensor.open_sizes)
    return settled(model.file.path, tensor.name, sizes if index in model.turned else as_torch(sizes), given)


def _record(model: Model, index: int) -> TensorRecord:
    """How the file has an input or output."""
    tensor = model.file.tensor(index)
    real = span(tensor) is not None and tensor.grid is not None
    layouts = _LETTERS.get(len(tensor.shape))
    return TensorRecord(
        name=tensor.name,
        dtype=cast(Dtype, tensor.dtype),
        shape=tensor.shape,
        layout=layouts[index in model.turned] if layouts else "as in torch",
        scale=float(tensor.grid.scales[0]) if real and tensor.grid else None,
        zero_point=int(tensor.grid.zeros[0]) if real and tensor.grid else None,
    )


def _rounds(model: Model) -> bool:
    """Whether the file computes in integers: with integers between its operators, or with integer weights in one."""
    constants = set(model.constants())

    def is_integer(index: int) -> bool:
        return index in constants and span(model.file.tensor(index)) is not None

    return bool(model.spanned) or any(
        is_integer(index) for node in model.nodes if node.kind in _WEIGHTED for index in node.inputs
    )


def _notes(model: Model) -> tuple[str, ...]:
    found = []
    if model.spanned:
        found.append(QUANTIZED)
    constants: list[Stored] = [model.file.tensor(index) for index in model.constants()]
    if any(one.dtype == "float16" for one in constants):
        found.append("the file's weights are float16: they are read in float32")
    if model.file.graphs > 1:
        found.append(f"the file has {model.file.graphs} graphs: the first is read")
    return tuple(found)
