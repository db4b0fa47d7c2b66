"""An ONNX file -> a Source: looked into, its input shapes settled, its network built when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from edgekit.errors import UsageError
from edgekit.importers.held import as_torch
from edgekit.importers.onnx.file import OnnxFile
from edgekit.importers.onnx.model import Input, Model, read
from edgekit.importers.onnx.network import OnnxNetwork
from edgekit.importers.onnx.table import OPERATORS
from edgekit.importers.source import (
    QUANTIZED,
    REAL,
    WHOLE,
    Given,
    Shape,
    Source,
    batch_notes,
    check_type,
    fixed_batch,
    given_by_name,
    settled,
)
from edgekit.records.artifact import content_of
from edgekit.records.manifest import Dtype, SourceRecord, TensorRecord
from edgekit.records.preprocessing import Preprocessing

READ = frozenset(OPERATORS)


def open_source(path: Path, given: Given) -> Source:
    """Look into a file; `given` are shapes of its inputs, by name or in order. Raises UsageError."""
    model = read(OnnxFile(path), READ)
    inputs = [replace(one, shape=as_torch(one.shape)) if one.name in model.turned else one for one in model.inputs]
    batch = fixed_batch([one.shape for one in inputs]) if given is None else 1
    if batch > 1:
        inputs = [replace(one, shape=(1, *one.shape[1:])) for one in inputs]
    shapes = _shapes(path, inputs, given)
    return Source(
        path=path,
        shapes=shapes,
        build=lambda: OnnxNetwork(model),
        record=SourceRecord(
            file=path.name,
            format="onnx",
            sha256=content_of(path).sha256,
            producer=model.producer,
            opset=model.opset,
        ),
        preprocessing=_preprocessing(model),
        precision=_precision(model),
        takes=_takes(model) if model.turned or any(one.grid for one in inputs) else (),
        gives=_gives(model) if model.outputs else (),
        whole=frozenset(one.name for one in inputs if one.dtype in WHOLE and one.grid is None),
        ranges=model.ranges,
        integers=model.integers if model.ranges else None,
        batch=batch,
        notes=(*_notes(model), *batch_notes(path.name, batch)),
    )


def _shapes(path: Path, inputs: Sequence[Input], given: Given) -> dict[str, Shape]:
    """The shape of each input: as given, else the file's own with a batch of 1 where that is free."""
    if not inputs:
        raise UsageError(f"{path.name} has no inputs", "give a file of a network")
    wanted = given_by_name(path, [one.name for one in inputs], given)
    found = {}
    for one in inputs:
        check_type(path, one.name, one.dtype)
        found[one.name] = settled(path, one.name, one.shape, wanted.get(one.name))
    return found


def _takes(model: Model) -> tuple[TensorRecord, ...]:
    """How the file has its inputs."""
    return tuple(
        TensorRecord(
            name=one.name,
            dtype=cast(Dtype, one.dtype),
            shape=tuple(size if isinstance(size, int) else -1 for size in one.shape),
            layout="NHWC" if one.name in model.turned else "as in torch",
            scale=one.grid.scale if one.grid else None,
            zero_point=one.grid.zero_point if one.grid else None,
        )
        for one in model.inputs
    )


def _gives(model: Model) -> tuple[TensorRecord, ...]:
    """How the file has its outputs, of which some are integers with a scale; the types of others do not matter."""
    grids = [(name, model.outputs.get(name)) for name in model.block.outputs]
    return tuple(
        TensorRecord(
            name=name,
            dtype="float32" if grid is None else "uint8" if grid.low == 0 else "int8",
            shape=(),
            layout="as in torch",
            scale=grid.scale if grid else None,
            zero_point=grid.zero_point if grid else None,
        )
        for name, grid in grids
    )


def _preprocessing(model: Model) -> Preprocessing | None:
    """How an image becomes the input, where the file says so as ours do."""
    text = model.properties.get("preprocessing")
    if text is None:
        return None
    try:
        return Preprocessing.model_validate_json(text)
    except ValueError:  # another program's
        return None


def _precision(model: Model) -> str:
    """What most of the file's real numbers are."""
    if model.ranges or any(node.kind.startswith("DynamicQuantize") for node in model.block.nodes):
        return "int8"
    held = {tensor.data_type for tensor in model.constants.values()}
    return "fp16" if held & {10, 16} else "fp32"


def _notes(model: Model) -> tuple[str, ...]:
    found = _of_numbers(model)
    if model.turned:
        found += (f"{', '.join(sorted(model.turned))}: the file takes channels last, what is written channels first",)
    return found


def _of_numbers(model: Model) -> tuple[str, ...]:
    if model.ranges:
        return (QUANTIZED,)
    kinds = {one.dtype for one in model.inputs if one.dtype in REAL} - {"float32"}
    held = {model.constants[name].data_type for name in model.constants}
    wide = sorted({name for number, name in {10: "float16", 11: "float64", 16: "bfloat16"}.items() if number in held})
    if not wide and not kinds:
        return ()
    return (f"the file computes in {' and '.join(wide or sorted(kinds))}: it is read in float32",)
