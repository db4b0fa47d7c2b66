"""TFLite's model metadata: what Android's libraries and other readers know of a file beside its operators.

A flatbuffer of its own (tensorflow/lite/schema's companion, metadata_schema.fbs, identifier M001) in a buffer that the
model names TFLITE_METADATA. Names of outputs are a text file in a ZIP archive behind the model: a reader of archives
finds it from the file's end, and one of flatbuffers does not look there.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers

from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import CHANNELS, Preprocessing
from edgekit.util.zip_file import members

NAME, IDENTIFIER = "TFLITE_METADATA", b"M001"
LABELS = "labels.txt"
# Numbers of the schema's enumerations and unions.
AXIS_LABELS, NORMALIZATION, FEATURE, IMAGE = 2, 1, 1, 2
COLORS = {"RGB": 1, "L": 2}  # others are unknown to it: 0
# Places of a table's fields, in the schema's order.
MODEL = {"name": 0, "description": 1, "subgraph_metadata": 3}
SUBGRAPH = {"input_tensor_metadata": 2, "output_tensor_metadata": 3}
TENSOR = {"name": 0, "dimension_names": 2, "content": 3, "process_units": 4, "associated_files": 6}
CONTENT = {"content_properties_type": 0, "content_properties": 1}
PROCESS_UNIT = {"options_type": 0, "options": 1}
USUAL = ("NHWC", "NDHWC")  # of TFLite's maps and volumes: of inputs only other orders are said
STAMP = (1980, 1, 1, 0, 0, 0)  # the first time that a ZIP can tell: the bytes are the same whenever they are made
LARGEST_LABELS = 1 << 24  # bytes


def pack(
    description: str,
    inputs: Sequence[TensorRecord],
    outputs: Sequence[TensorRecord],
    how: Preprocessing | None,
    labels: Sequence[str],
) -> bytes:
    """The metadata of one model: its tensors, the input's normalization, and that labels.txt names the outputs."""
    builder = flatbuffers.Builder(1024)
    given = [
        _tensor(builder, one, _content(builder, one, how), _units(builder, one, how), None, one.layout not in USUAL)
        for one in inputs
    ]
    files = _vector(builder, [_labels(builder)]) if labels else None
    taken = [
        _tensor(builder, one, _table(builder, 2, CONTENT, _feature(builder)), None, files, True) for one in outputs
    ]
    sides = {"input_tensor_metadata": _vector(builder, given), "output_tensor_metadata": _vector(builder, taken)}
    graphs = _vector(builder, [_table(builder, 10, SUBGRAPH, sides)])
    text = builder.CreateString(description)
    model = {"name": text, "description": text, "subgraph_metadata": graphs}
    builder.Finish(_table(builder, 8, MODEL, model), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def append_labels(path: Path, labels: Sequence[str]) -> None:
    """Put the names behind a written model."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr(zipfile.ZipInfo(LABELS, STAMP), "\n".join(labels) + "\n")
    with path.open("ab") as stream:
        stream.write(archive.getvalue())


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the names that stand behind a model; empty where there are none."""
    if not zipfile.is_zipfile(path):
        return ()
    with zipfile.ZipFile(path) as archive:
        if LABELS not in [member.filename for member in members(archive)]:
            return ()
        with archive.open(LABELS) as stream:  # a few packed bytes can be any number of names
            data = stream.read(LARGEST_LABELS + 1)
    if len(data) > LARGEST_LABELS:
        raise ValueError(f"its {LABELS} is larger than {LARGEST_LABELS >> 20} MiB")
    return tuple(data.decode().splitlines())


def _content(builder: Any, record: TensorRecord, how: Preprocessing | None) -> int:
    if how is None or not _is_image(record, how):
        return _table(builder, 2, CONTENT, _feature(builder))
    builder.StartObject(2)
    builder.PrependInt8Slot(0, COLORS.get(how.channels, 0), 0)
    properties = {"content_properties_type": IMAGE, "content_properties": builder.EndObject()}
    return _table(builder, 2, CONTENT, properties)


def _feature(builder: Any) -> dict[str, int]:
    builder.StartObject(0)
    return {"content_properties_type": FEATURE, "content_properties": builder.EndObject()}


def _units(builder: Any, record: TensorRecord, how: Preprocessing | None) -> int | None:
    if how is None or not _is_image(record, how):
        return None
    numbers = {}
    for place, values in enumerate((how.mean, how.std)):
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependFloat32(value)
        numbers[place] = builder.EndVector()
    builder.StartObject(2)
    for place, offset in numbers.items():
        builder.PrependUOffsetTRelativeSlot(place, offset, 0)
    options = {"options_type": NORMALIZATION, "options": builder.EndObject()}
    return _vector(builder, [_table(builder, 2, PROCESS_UNIT, options)])


def _is_image(record: TensorRecord, how: Preprocessing) -> bool:
    return len(record.shape) == 4 and record.shape[-1] == CHANNELS[how.channels]


def _tensor(
    builder: Any, record: TensorRecord, content: int, units: int | None, files: int | None, says_axes: bool
) -> int:
    fields = {"name": builder.CreateString(record.name), "content": content}
    fields |= {"process_units": units} if units is not None else {}
    fields |= {"associated_files": files} if files is not None else {}
    if says_axes and len(record.shape) >= 3 and len(record.layout) == len(record.shape):
        fields |= {"dimension_names": _vector(builder, [builder.CreateString(letter) for letter in record.layout])}
    return _table(builder, 7, TENSOR, fields)


def _labels(builder: Any) -> int:
    name = builder.CreateString(LABELS)
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependInt8Slot(2, AXIS_LABELS, 0)
    return int(builder.EndObject())


def _table(builder: Any, size: int, places: dict[str, int], fields: dict[str, int]) -> int:
    """A table of references; a union's `..._type` is a byte."""
    builder.StartObject(size)
    for name, value in fields.items():
        if name.endswith("_type"):
            builder.PrependUint8Slot(places[name], value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(places[name], value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
