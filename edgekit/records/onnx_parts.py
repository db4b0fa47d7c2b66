"""The other files that an .onnx file takes its weights from (ONNX's external data).

They are read off the file's own bytes, which are protobuf, so that measuring needs no package for it. Weights in the
file itself are skipped, not read. Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from edgekit.errors import UsageError

# A kind of message -> the fields that lead to others, and to which kind.
MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING = range(8)
LEADS = {
    MODEL: {7: GRAPH, 20: TRAINING, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
    TRAINING: {1: GRAPH, 2: GRAPH},
}
EXTERNAL_DATA, DATA_LOCATION, EXTERNAL = 13, 14, 1
VARINT, BYTES, GROUP, GROUP_END, FIXED = 0, 2, 3, 4, {1: 8, 5: 4}  # wire types, and the length of what is fixed
ONE_FILE = "make it one file: onnx.save(onnx.load(PATH), NEW_PATH)"
MOST_FIELDS = 10_000_000  # of a file; the largest networks have some hundred thousand operators
LONGEST = 4096  # bytes of a place's name


@dataclass(frozen=True)
class _Place:
    """Where a tensor's bytes are."""

    location: str
    end: int  # the last byte that is needed, and one


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the parts of a file of any kind: only .onnx files have some."""
    return parts(path) if path.suffix == ".onnx" else ()


def parts(path: Path) -> tuple[Path, ...]:
    """The files beside an .onnx file that hold its weights, each of them there and long enough; none for most files.

    Raises UsageError for one that is missing, cut short, or outside the file's own folder. What is no ONNX file has
    none: whoever runs it says so.
    """
    try:
        places = list(_places(path))
    except OverflowError as error:
        raise UsageError(f"{path} is no readable ONNX file: {error}", "get or export the file again") from error
    except (ValueError, IndexError):  # no protobuf
        return ()
    needed: dict[str, int] = {}
    for place in places:
        needed[place.location] = max(needed.get(place.location, 0), place.end)
    return tuple(_checked(path, location, needed[location]) for location in sorted(needed))


def _checked(path: Path, location: str, needed: int) -> Path:
    inside = PurePosixPath(location)
    if not inside.parts or inside.is_absolute() or ".." in inside.parts:
        raise UsageError(f"{path} takes its weights from '{location}', which is outside its own folder", ONE_FILE)
    part = path.parent / inside
    # Where the file itself is a link, as in caches of downloads, its parts lie beside what it leads to.
    own = path.parent.resolve(), path.resolve().parent
    if not any(Path(os.path.realpath(part)).is_relative_to(folder) for folder in own):  # resolve() raises for a circle
        raise UsageError(f"{path} takes its weights from '{location}', a link that leads elsewhere", ONE_FILE)
    if not part.is_file():
        missing = "is missing" if not part.exists() else "is no regular file"
        raise UsageError(
            f"{path} has its weights in {location}, which {missing}", f"put that file beside {path.name}, or {ONE_FILE}"
        )
    if (size := part.stat().st_size) < needed:
        raise UsageError(
            f"{path} has its weights in {location}, which has {size} bytes of the {needed} that it needs",
            "bring that file again, whole",
        )
    return part


def _places(path: Path) -> Iterator[_Place]:
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _walk(data)


def _walk(data: mmap.mmap) -> Iterator[_Place]:
    seen = count()
    waiting = [(MODEL, 0, len(data))]  # not by recursion: a file may nest as deep as it likes
    while waiting:
        kind, at, end = waiting.pop()
        if kind == TENSOR:
            yield from _place(data, at, end, seen)
            continue
        leads = LEADS[kind]
        waiting += [(leads[field], at, end) for field, at, end in fields(data, at, end, seen) if field in leads]


def _place(data: mmap.mmap, at: int, end: int, seen: Iterator[int]) -> Iterator[_Place]:
    """Where a tensor's bytes are, if in another file."""
    entries: dict[bytes, bytes] = {}
    is_external = False
    for field, wire, start, stop in _all_fields(data, at, end, seen):
        if field == EXTERNAL_DATA and wire == BYTES:
            texts = {name: data[a : min(b, a + LONGEST)] for name, a, b in fields(data, start, stop)}
            entries[texts.get(1, b"")] = texts.get(2, b"")
        elif field == DATA_LOCATION and wire == VARINT:
            is_external = _varint(data, start, stop)[0] & 0xFFFFFFFF == EXTERNAL
    if is_external:
        offset, length = (_number(entries.get(name, b"0")) for name in (b"offset", b"length"))
        yield _Place(entries.get(b"location", b"").decode(errors="replace"), offset + length)


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0


def fields(data: mmap.mmap, at: int, end: int, seen: Iterator[int] | None = None) -> Iterator[tuple[int, int, int]]:
    """(number, start, stop) of the fields of a message that are bytes: texts and messages. Raises as _all_fields."""
    each = _all_fields(data, at, end, seen or count())
    return ((field, start, stop) for field, wire, start, stop in each if wire == BYTES)


def _all_fields(data: mmap.mmap, at: int, end: int, seen: Iterator[int]) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, start, stop) of the fields of a message; `seen` counts them.

    Whatever a runtime's reader passes over is passed over: another wire type than a field's own, and groups. Raises
    ValueError for what is no message, OverflowError for more fields than any network has.
    """
    depth = 0  # in groups
    while at < end:
        tag, start = _varint(data, at, end)
        wire = tag & 7
        if not tag >> 3:
            raise ValueError("no protobuf: a field without a number")
        if next(seen) == MOST_FIELDS:
            raise OverflowError(f"it has more than {MOST_FIELDS:,} fields")
        if wire == VARINT:
            at = _varint(data, start, end)[1]
        elif wire == BYTES:
            length, start = _varint(data, start, end)
            at = start + length
        elif wire in FIXED:
            at = start + FIXED[wire]
        elif wire in (GROUP, GROUP_END):
            at, depth = start, depth + (1 if wire == GROUP else -1)
        else:
            raise ValueError(f"no protobuf: wire type {wire}")
        if at > end:
            raise ValueError("no protobuf: a field is longer than what it is in")
        if not depth:
            yield tag >> 3, wire, start, at


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends. Raises ValueError for one that does not end."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if not byte & 0x80:
            return value, at
    raise ValueError("no protobuf: a number does not end")


def as_varint(value: int) -> bytes:
    """Return a whole number as protobuf writes it: seven bits in each byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
