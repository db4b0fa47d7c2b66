"""The bytes of an ONNX file: its graph as a message, and its large tensors left where they are until they are read.

A file of 500 MB would cost three times its size as one message of protobuf. So the message is made without the large
tensors: each is said to be external data of the same file, and is read, like those that really are external, straight
into the array that keeps it. Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.errors import UsageError, first_line
from edgekit.importers.beginnings import told_by
from edgekit.records import onnx_parts
from edgekit.records.onnx_parts import ATTRIBUTE, DATA_LOCATION, EXTERNAL_DATA, GRAPH, LEADS, MODEL, NODE, TENSOR
from edgekit.util.formatting import shape_text

LARGE = 4096  # bytes, from which on a tensor stays in the file
LARGEST_MESSAGE = 2**31 - 1
RAW_DATA = 9
_OPENED = {MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR}  # the messages that are looked into for tensors
_REFUSED_TYPES = "edgekit reads float32, float16, bfloat16, float64, bool and integers of 8 to 64 bits"
_READABLE = frozenset(
    ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL", "INT8", "INT16", "INT32", "INT64")
    + ("UINT8", "UINT16", "UINT32", "UINT64")
)


class OnnxFile:
    """An ONNX file that was opened: `model` is its ModelProto without the large tensors, which `array` reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places = {"": path}  # what is in no other file
        # External data that is missing, cut short or outside the folder is refused here.
        self._places |= {part.relative_to(path.parent).as_posix(): part for part in onnx_parts.parts(path)}
        self.model = _message(path)

    def array(self, tensor: Any) -> NDArray[Any]:
        """The values of a TensorProto of this file. Raises UsageError for a type or a size that is not right."""
        name = tensor.name or "a constant"
        kind = _type_name(tensor.data_type)
        if kind not in _READABLE:
            raise UsageError(f"tensor {name} of {self.path.name} is of the type {kind.lower()}", _REFUSED_TYPES)
        try:
            if min(tensor.dims, default=0) < 0:
                raise ValueError("it has a negative size")
            found = self._external(tensor) if tensor.data_location == 1 else onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OSError) as error:
            raise UsageError(
                f"tensor {name} of {self.path.name} cannot be read: {first_line(error)}", "get or export the file again"
            ) from error
        return np.asarray(found)

    def _external(self, tensor: Any) -> NDArray[Any]:
        """A tensor whose bytes lie in a file."""
        place = {entry.key: entry.value for entry in tensor.external_data}
        location = place.get("location", "")
        path = self._places.get(PurePosixPath(location).as_posix() if location else "")
        if path is None:
            raise ValueError(f"its bytes are in '{location}', which is no part of the file")
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        count = int(np.prod(tensor.dims, dtype=np.int64)) if tensor.dims else 1
        given = int(place["length"]) if "length" in place else count * dtype.itemsize
        if given != count * dtype.itemsize:
            shape = shape_text(tensor.dims)
            raise ValueError(f"it has {given} bytes, and {shape} of {dtype} needs {count * dtype.itemsize}")
        offset = int(place.get("offset", 0))
        if offset < 0:
            raise ValueError(f"its bytes begin at {offset}")
        found = np.fromfile(path, dtype, count, offset=offset)
        if len(found) != count:
            raise ValueError(f"it ends after {len(found)} of {count} values")
        return found.reshape(tuple(tensor.dims))


def _type_name(number: int) -> str:
    known = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return str(known.get(number, f"number {number}"))


def _message(path: Path) -> Any:
    """The file as a ModelProto. Raises UsageError for what is none."""
    size = path.stat().st_size
    if size > LARGEST_MESSAGE:
        raise UsageError(
            f"{path} has {size:,} bytes, and one ONNX file holds at most {LARGEST_MESSAGE:,}",
            "save its weights beside it: onnx.save(model, PATH, save_as_external_data=True)",
        )
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if not start:
                raise ValueError("it is empty")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                without = b"".join(_small(data, MODEL, 0, len(data)))
        model = onnx.ModelProto()
        model.ParseFromString(without)
    except Exception as error:  # protobuf's own class is private; what else is told of bytes that are none of its
        told = told_by(start)
        why = f"it is {told}" if told else f"truncated, encrypted or something else ({first_line(error)})"
        raise UsageError(f"{path} is no readable ONNX file: {why}", "give a file that onnx.load reads") from error
    if not all(isinstance(text, str) for text in _texts(model)):
        raise UsageError(f"{path} is no readable ONNX file: a name in it is no text", "get or export the file again")
    if not model.graph.node:
        raise UsageError(f"{path} holds no network: it has no operators", "get or export the file again")
    return model


def _texts(message: Any) -> Iterator[Any]:
    """Every name and other text in a message; protobuf gives bytes for what is none."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            yield from (value,) if isinstance(value, (str, bytes)) else value
        elif field.type == field.TYPE_MESSAGE:
            for one in (value,) if hasattr(value, "ListFields") else value:
                yield from _texts(one)


def _small(data: mmap.mmap, kind: int, at: int, end: int) -> Iterator[bytes]:
    """The bytes of a message without the large tensors in it. Raises ValueError for what is no protobuf."""
    kept, place = at, b""
    for field, start, stop in onnx_parts.fields(data, at, end):
        inner = LEADS[kind].get(field) if kind != TENSOR else None
        if kind == TENSOR and field == RAW_DATA and stop - start >= LARGE:
            tag = _tag_before(data, kept, start, field, stop - start)
            yield data[kept:tag]
            place, kept = _external_place(start, stop - start), stop
        elif inner in _OPENED and stop - start >= LARGE:
            assert inner is not None
            tag = _tag_before(data, kept, start, field, stop - start)
            yield data[kept:tag]
            yield _field(field, b"".join(_small(data, inner, start, stop)))
            kept = stop
    yield data[kept:end]
    yield place  # last, because the tensor itself may say that its bytes are in the message


def _tag_before(data: mmap.mmap, kept: int, start: int, field: int, length: int) -> int:
    """Where the tag of a field stands whose content begins at `start`: it and the length are before that."""
    tag = _tag(field, length)
    at = start - len(tag)
    if at < kept or data[at:start] != tag:
        raise ValueError("no protobuf that a writer of ONNX makes: a number takes more bytes than it needs")
    return at


def _external_place(offset: int, length: int) -> bytes:
    """Fields of a TensorProto that say: the bytes lie in this same file."""
    found = b""
    for key, value in (("offset", offset), ("length", length)):
        found += _field(EXTERNAL_DATA, _field(1, key.encode()) + _field(2, str(value).encode()))
    return found + onnx_parts.as_varint(DATA_LOCATION << 3) + onnx_parts.as_varint(onnx_parts.EXTERNAL)


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, a text or a message as protobuf writes it."""
    return _tag(number, len(content)) + content


def _tag(number: int, length: int) -> bytes:
    """What stands before the content of such a field."""
    return onnx_parts.as_varint(number << 3 | 2) + onnx_parts.as_varint(length)
