"""The bytes of a TFLite file: its operators and tensors as plain data, and its constants, which stay in the file.

Sources: the schema of TFLite (tensorflow/compiler/mlir/lite/schema/schema.fbs), version 3. A flatbuffer's own reader
follows any number to any place, so every index, length and offset is checked here before it is used.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.errors import UsageError, first_line
from edgekit.importers.beginnings import told_by
from edgekit.importers.tflite.sparse import Sparsity, sparsity
from edgekit.util.formatting import shape_text

MOST_NODES = 50_000
MOST_AXES = 8
MOST_OPERANDS = 1_000_000  # of all operators together
MOST_TEXT = 64 << 20  # bytes of all names together
_TYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_BUILTINS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_OPTIONS = {code: name for name, code in vars(schema.BuiltinOptions).items() if not name.startswith("_")}
READABLE = ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")


@dataclass(frozen=True)
class Grid:
    """How integers become real numbers: real = (integer - zero) * scale, one of each or one a place of `axis`."""

    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    axis: int

    def real(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        """Return what integers stand for, float32."""
        shape = [1] * integers.ndim
        if len(self.scales) > 1:
            shape[self.axis] = len(self.scales)
        else:
            shape = []
        wide = np.float64 if integers.dtype == np.int32 else np.float32  # smaller ones are whole in float32
        zero, scale = self.zeros.reshape(shape), self.scales.reshape(shape)
        return np.asarray((integers.astype(wide) - zero.astype(wide)) * scale, np.float32)


@dataclass(frozen=True)
class Stored:
    """A tensor of the file. A size of `open_sizes` that is -1 is free; `place` is where its bytes lie, if any."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    open_sizes: tuple[int, ...]
    grid: Grid | None
    place: tuple[int, int] | None  # offset and length
    sparsity: Sparsity | None = None  # where the file has only some of its elements

    @property
    def is_constant(self) -> bool:
        """Whether the file has its values; there are none where a size is 0."""
        return self.place is not None or 0 in self.shape


@dataclass(frozen=True)
class Operator:
    """An operator as the file has it. `kind` is the builtin's name, or "custom NAME"; -1 is an input left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any  # the schema's reader of its options; None where the file has none


class TfliteFile:
    """A TFLite file that was opened. Of several graphs the first is the network: it is the one that a runtime runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _mapped(path)
        self._text = self._operands = 0
        self._tensors: dict[int, Stored] = {}
        model = self.guarded(self._opened)
        self._model, self._graph = model, model.Subgraphs(0)
        self.graphs = int(model.SubgraphsLength())
        self.description = self.guarded(lambda: _text(model.Description()))[:200]
        self.inputs, self.outputs, self.operators = self.guarded(self._network)

    def guarded(self, read: Callable[[], Any]) -> Any:
        """Return what `read` finds in the file. Raises UsageError for whatever it stumbles over."""
        try:
            return read()
        except UsageError:
            raise
        except Exception as error:  # a number that points anywhere: struct's, numpy's and Python's own errors
            raise UsageError(
                f"{self.path} is no readable TFLite file: truncated, encrypted or something else "
                f"({first_line(error)[:160]})",
                "give a file that LiteRT reads",
            ) from error

    def tensor(self, index: int) -> Stored:
        """Return a tensor by its number. Raises UsageError for one that is not right."""
        if index not in self._tensors:
            self._tensors[index] = self.guarded(lambda: self._stored(_within(index, self._graph.TensorsLength())))
        return self._tensors[index]

    def array(self, tensor: Stored) -> NDArray[Any]:
        """Return a constant's values: real numbers where they are floats or have a grid, else integers as they are."""
        dtype = np.dtype(tensor.dtype)
        offset, length = tensor.place or (0, 0)
        count = math.prod(tensor.shape) if tensor.sparsity is None else length // dtype.itemsize
        if length != count * dtype.itemsize:
            told = shape_text(tensor.shape) or "a single number"
            raise UsageError(
                f"tensor {tensor.name} of {self.path.name} has {length:,} bytes, and {told} of {dtype} needs "
                f"{count * dtype.itemsize:,}",
                "get or export the file again",
            )
        values = np.fromfile(self.path, dtype, count, offset=offset)  # what is mapped would count as memory, too
        if len(values) != count:
            raise UsageError(f"{self.path.name} has changed while it was read", "read it again")
        sparse = tensor.sparsity
        shaped = self.guarded(lambda: sparse.dense(values, tensor.shape)) if sparse else values.reshape(tensor.shape)
        return shaped if tensor.grid is None else tensor.grid.real(shaped)

    def _opened(self) -> Any:
        if self._data[4:8] != b"TFL3":
            raise ValueError("it does not begin like one")
        model = schema.Model.GetRootAs(self._data, 0)
        if not model.SubgraphsLength():
            raise ValueError("it has no graph")
        return model

    def _network(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Operator, ...]]:
        graph, model = self._graph, self._model
        count = graph.OperatorsLength()
        if count > MOST_NODES:
            raise UsageError(
                f"{self.path.name} has {count:,} operators, and edgekit reads at most {MOST_NODES:,}",
                "simplify it: most of so many compute constants",
            )
        if not count:
            raise UsageError(f"{self.path} holds no network: it has no operators", "get or export the file again")
        operators = tuple(self._operator(graph.Operators(index), model) for index in range(count))
        return self._indices(graph, "Inputs"), self._indices(graph, "Outputs"), operators

    def _operator(self, raw: Any, model: Any) -> Operator:
        code = model.OperatorCodes(_within(raw.OpcodeIndex(), model.OperatorCodesLength()))
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = _BUILTINS.get(number, f"builtin {number}")
        if kind == "CUSTOM":
            kind = f"custom {_text(code.CustomCode())[:60] or 'without a name'}"
        table, options = raw.BuiltinOptions(), None
        if table is not None and raw.BuiltinOptionsType() in _OPTIONS and raw.BuiltinOptionsType():
            options = getattr(schema, _OPTIONS[raw.BuiltinOptionsType()])()
            options.Init(table.Bytes, table.Pos)
        return Operator(kind, self._indices(raw, "Inputs"), self._indices(raw, "Outputs"), options)

    def _indices(self, owner: Any, side: str) -> tuple[int, ...]:
        """The tensors on a side of an operator or a graph."""
        count = getattr(owner, f"{side}Length")()
        self._operands += count
        if self._operands > MOST_OPERANDS:
            raise ValueError(f"its operators have more than {MOST_OPERANDS:,} operands")
        at = getattr(owner, side)
        return tuple(int(at(index)) for index in range(count))

    def _stored(self, index: int) -> Stored:
        raw = self._graph.Tensors(index)
        name = self._named(raw.Name(), index)
        kind = _TYPES.get(raw.Type(), f"number {raw.Type()}")
        refused = (
            f"is of the type {kind}" if kind not in READABLE
            else "is a variable" if raw.IsVariable()
            else f"has {raw.ShapeLength()} axes" if raw.ShapeLength() > MOST_AXES
            else ""
        )  # fmt: skip
        if refused:
            raise UsageError(
                f"tensor {name} of {self.path.name} {refused}",
                f"edgekit reads tensors of at most {MOST_AXES} axes: {', '.join(READABLE)}",
            )
        shape = tuple(int(raw.Shape(axis)) for axis in range(raw.ShapeLength()))
        if any(size < 0 for size in shape):
            raise ValueError(f"tensor {name} has a negative size")
        signature = tuple(int(raw.ShapeSignature(axis)) for axis in range(min(raw.ShapeSignatureLength(), MOST_AXES)))
        return Stored(
            name,
            kind,
            shape,
            signature if len(signature) == len(shape) else shape,
            _grid(raw, shape, kind),
            self._place(raw.Buffer()),
            sparsity(raw, len(shape)),
        )

    def _named(self, raw: bytes | None, index: int) -> str:
        self._text += len(raw or b"")
        if self._text > MOST_TEXT:
            raise ValueError(f"its names have more than {MOST_TEXT >> 20} MiB")
        return _text(raw) or f"tensor_{index}"

    def _place(self, index: int) -> tuple[int, int] | None:
        """Where the bytes of a buffer lie. Beyond 2 GB the file says that by offset and size."""
        buffer = self._model.Buffers(_within(index, self._model.BuffersLength()))
        if buffer.DataLength():
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            place = (start, buffer.DataLength())
        elif buffer.Offset() > 1:
            place = (int(buffer.Offset()), int(buffer.Size()))
        else:
            return None
        if sum(place) > len(self._data):
            raise ValueError(f"a tensor's bytes lie at {place[0]:,} to {sum(place):,} of {len(self._data):,}")
        return place


def _grid(raw: Any, shape: tuple[int, ...], kind: str) -> Grid | None:
    found = raw.Quantization()
    if found is None or not found.ScaleLength() or kind not in ("int8", "uint8", "int16", "int32"):
        return None
    if found.ScaleLength() > max([1, *shape]):
        raise ValueError(f"a tensor has {found.ScaleLength()} scales")
    scales = np.array(found.ScaleAsNumpy(), np.float32)
    zeros = np.array(found.ZeroPointAsNumpy() if found.ZeroPointLength() else [0], np.int64)
    axis = int(found.QuantizedDimension())
    if len(zeros) not in (1, len(scales)) or (len(scales) > 1 and shape[_within(axis, len(shape))] != len(scales)):
        raise ValueError(f"a tensor has {len(scales)} scales and {len(zeros)} zero points")
    if not (np.isfinite(scales).all() and (scales >= 0).all()):
        raise ValueError("a tensor has a scale that is negative or no number")
    return Grid(scales, np.broadcast_to(zeros, scales.shape), axis)


def _mapped(path: Path) -> mmap.mmap:
    """The file's bytes. Raises UsageError for what is none, with what it is where its beginning tells."""
    with path.open("rb") as stream:
        start = stream.read(8)
        told = told_by(start)
        if len(start) < 8 or told:
            why = f"it is {told}" if told else "it is empty" if not start else "truncated"
            raise UsageError(f"{path} is no readable TFLite file: {why}", "give a file that LiteRT reads")
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")


def _within(index: int, length: int) -> int:
    """The index. The schema's reader takes any, and gives what happens to lie there."""
    if not 0 <= index < length:
        raise IndexError(f"it speaks of a part {index} of {length}")
    return index
