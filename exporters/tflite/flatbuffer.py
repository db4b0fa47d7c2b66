"""Program -> flatbuffer. The tables are built in memory; constants are written after them one by one, never twice.

A flatbuffer's references point forward, so the tables come first with each buffer's reference open, then the buffers
follow, 16-byte aligned as the runtime maps them, and the references are filled in. Beyond 2 GB, where references end,
`Buffer.offset` and `Buffer.size` say where a constant lies in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor

from edgekit.exporters.tflite.program import DTYPES, Node, Program, Stored
from edgekit.exporters.tflite.versions import minimum_runtime, version

ALIGNMENT = 16
LARGEST = 2**31 - 1  # bytes that a flatbuffer can refer to
_CHUNK = 4 << 20  # bytes that are copied at a time
_OPTIONS = {
    "ATAN2": "ATan2",
    "AVERAGE_POOL_2D": "Pool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "CONV_3D_TRANSPOSE": "Conv3D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "MAXIMUM": "MaximumMinimum",
    "MAX_POOL_2D": "Pool2D",
    "MEAN": "Reducer",
    "MINIMUM": "MaximumMinimum",
    "MIRROR_PAD": "MirrorPad",
    "PADV2": "PadV2",
    "REVERSE_V2": "ReverseV2",
    "SELECT_V2": "SelectV2",
    "TOPK_V2": "TopKV2",
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"), "Reducer"),
    **dict.fromkeys(("ELU", "LOGISTIC", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "SQRT", "TANH")),
    **dict.fromkeys(("CEIL", "FLOOR", "LOG", "ROUND", "RSQRT", "SIN")),
}
_ENUMS = {
    "padding": schema.Padding,
    "fusedActivationFunction": schema.ActivationFunctionType,
    "outputType": schema.TensorType,
    "inDataType": schema.TensorType,
    "outDataType": schema.TensorType,
    "mode": schema.MirrorPadMode,
}


@dataclass(frozen=True)
class File:
    """What was written."""

    min_runtime: str
    constant_bytes: int


@dataclass(frozen=True)
class Data:
    """The bytes of one buffer: a view in any strides, converted to `dtype` while it is written."""

    view: Tensor
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """In bytes."""
        return self.view.numel() * self.dtype.itemsize

    def write(self, stream: BinaryIO) -> None:
        """Copy piece by piece, so that no second copy of a large tensor is ever held."""
        for piece in self._pieces():
            stream.write(piece.to(self.dtype).contiguous().numpy().data.cast("B"))

    def _pieces(self) -> Iterator[Tensor]:
        view = self.view.reshape(1) if self.view.dim() == 0 else self.view
        rows = max(1, _CHUNK * len(view) // max(self.size, 1))
        return (view[start : start + rows] for start in range(0, len(view), rows))


def write_file(
    program: Program,
    path: Path,
    description: str,
    dynamic_batch: bool = False,
    metadata: Mapping[str, bytes] | None = None,
) -> File:
    """Write the program as a TFLite file of schema version 3, with `metadata` under its names."""
    datas, places = _buffers(program)
    constants = sum(data.size for data in datas)
    versions = _versions(program)
    needed = minimum_runtime(versions)
    named = {"min_runtime_version": needed.encode().ljust(16, b"\0"), **(metadata or {})}
    beside = {name: len(datas) + at for at, name in enumerate(named, start=1)}
    datas += [Data(torch.tensor(list(text), dtype=torch.uint8), torch.uint8) for text in named.values()]
    far = sum(data.size + 2 * ALIGNMENT for data in datas) > LARGEST - (64 << 20)
    model = _model(program, places, versions, len(datas), beside, description, dynamic_batch, far)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    head = builder.Output()
    starts = _refer(head, [data.size for data in datas], far)
    with path.open("wb") as stream:
        stream.write(head)
        for data, start in zip(datas, starts, strict=True):
            length = b"" if far else data.size.to_bytes(4, "little")
            stream.write(bytes(start - len(length) - stream.tell()) + length)
            data.write(stream)
    return File(needed, constants)


def _refer(head: bytearray, sizes: list[int], far: bool) -> list[int]:
    """Fill in where each buffer's bytes will stand, and return these places. Buffer 0 is empty by convention."""
    model = schema.Model.GetRootAs(head)
    starts, end = [], len(head)
    for index, size in enumerate(sizes, start=1):
        table = model.Buffers(index)._tab
        start = -(-(end + 4) // ALIGNMENT) * ALIGNMENT
        if far:
            for field, value in ((6, start), (8, size)):  # Buffer.offset, Buffer.size
                _put(head, table.Pos + table.Offset(field), value, 8)
        else:
            place = table.Pos + table.Offset(4)  # Buffer.data; a reference counts from where it stands
            _put(head, place, start - 4 - place, 4)
        starts.append(start)
        end = start + size
    return starts


def _put(head: bytearray, place: int, value: int, width: int) -> None:
    head[place : place + width] = value.to_bytes(width, "little")


def _buffers(program: Program) -> tuple[list[Data], list[int]]:
    """The distinct buffers, and for each tensor the number of its own (0 where it has none)."""
    datas: list[Data] = []
    places: list[int] = []
    seen: dict[object, list[int]] = {}
    for tensor in program.tensors:
        if tensor.constant is None:
            places.append(0)
            continue
        data = Data(tensor.constant, DTYPES[tensor.dtype])
        alike = seen.setdefault(_fingerprint(data), [])
        same = next((n for n in alike if torch.equal(datas[n - 1].view, data.view)), None)
        if same is None:
            datas.append(data)
            same = len(datas)
            alike.append(same)
        places.append(same)
    return datas, places


def _fingerprint(data: Data) -> object:
    """Equal for equal data, and cheap: shape and the first elements."""
    first = data.view
    while first.dim() > 1:
        first = first[0]
    return (data.dtype, data.view.dtype, tuple(data.view.shape), tuple(first.reshape(-1)[:8].tolist()))


def _versions(program: Program) -> dict[str, int]:
    """The version of each operator in use: the highest that any of its uses needs, as one code serves all."""
    versions: dict[str, int] = {}
    for node in program.nodes:
        versions[node.builtin] = max(versions.get(node.builtin, 1), version(program, node))
    return versions


def _model(
    program: Program,
    places: list[int],
    versions: dict[str, int],
    count: int,
    metadata: Mapping[str, int],
    description: str,
    dynamic_batch: bool,
    far: bool,
) -> schema.ModelT:
    codes = {builtin: index for index, builtin in enumerate(versions)}
    graph = schema.SubGraphT(
        tensors=[_tensor(t, place, dynamic_batch) for t, place in zip(program.tensors, places, strict=True)],
        inputs=program.inputs,
        outputs=program.outputs,
        operators=[_operator(node, codes[node.builtin]) for node in program.nodes],
        name="main",
    )
    return schema.ModelT(
        version=3,
        operatorCodes=[_code(builtin, needed) for builtin, needed in versions.items()],
        subgraphs=[graph],
        description=description,
        buffers=[schema.BufferT(), *(_open_buffer(far) for _ in range(count))],
        metadata=[schema.MetadataT(name=name, buffer=place) for name, place in metadata.items()],
        signatureDefs=[_signature(program)],
    )


def _open_buffer(far: bool) -> schema.BufferT:
    return schema.BufferT(offset=1, size=1) if far else schema.BufferT(data=[])


def _tensor(tensor: Stored, place: int, dynamic_batch: bool) -> schema.TensorT:
    free = dynamic_batch and tensor.constant is None and tensor.shape
    return schema.TensorT(
        shape=list(tensor.shape),
        shapeSignature=[-1, *tensor.shape[1:]] if free else None,
        type=getattr(schema.TensorType, tensor.dtype.upper()),
        buffer=place,
        name=tensor.name,
        quantization=_quantization(tensor),
        hasRank=True,
    )


def _quantization(tensor: Stored) -> schema.QuantizationParametersT | None:
    grid = tensor.grid
    if grid is None:
        return None
    return schema.QuantizationParametersT(
        scale=np.array(grid.scales, np.float32),
        zeroPoint=np.full(len(grid.scales), grid.zero_point, np.int64),
        quantizedDimension=grid.axis,
    )


def _code(builtin: str, needed: int) -> schema.OperatorCodeT:
    code = getattr(schema.BuiltinOperator, builtin)
    return schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=needed)


def _operator(node: Node, code: int) -> schema.OperatorT:
    name = _OPTIONS.get(node.builtin, "".join(part.capitalize() for part in node.builtin.split("_")))
    operator = schema.OperatorT(opcodeIndex=code, inputs=list(node.inputs), outputs=list(node.outputs))
    if name is not None:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
        operator.builtinOptions = getattr(schema, f"{name}OptionsT")()
        for option, value in node.options.items():
            if not hasattr(operator.builtinOptions, option):
                raise AttributeError(f"{node.builtin} has no option {option}")
            setattr(operator.builtinOptions, option, getattr(_ENUMS[option], value) if option in _ENUMS else value)
    return operator


def _signature(program: Program) -> schema.SignatureDefT:
    def maps(indices: list[int]) -> list[schema.TensorMapT]:
        return [schema.TensorMapT(name=program.tensors[index].name, tensorIndex=index) for index in indices]

    return schema.SignatureDefT(
        inputs=maps(program.inputs), outputs=maps(program.outputs), signatureKey="serving_default", subgraphIndex=0
    )
