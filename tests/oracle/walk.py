"""A full walk through a TFLite file with a reader that is not ours, the `tflite` package: what is in it, and wrong.

Every index is followed, every constant is measured against its tensor, and every byte of a constant is accounted for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tflite

ALIGNMENT = 16
WIDTHS = {"FLOAT32": 4, "FLOAT16": 2, "INT8": 1, "UINT8": 1, "INT32": 4}
# Operators whose options are not called after them; None: they have none.
OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MEAN": "ReducerOptions",
    "PADV2": "PadV2Options",
    **dict.fromkeys(("ELU", "LOGISTIC", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "SQRT", "TANH"), "NONE"),
}
# Operands of these are constants that say how, and are not optional.
LEAST_INPUTS = {"CONV_2D": 2, "CONV_3D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}


def read(path: Path) -> dict[str, Any]:
    """{"problems": [...], "versions": {operator: version}, "tensors": n, "operators": n}."""
    data = path.read_bytes()
    if not tflite.Model.ModelBufferHasIdentifier(data, 0):
        return {"problems": ["it does not begin with TFL3"], "versions": {}, "tensors": 0, "operators": 0}
    model = tflite.Model.GetRootAs(data, 0)
    problems = [*_model(model), *_buffers(model, data)]
    graph = model.Subgraphs(0)
    problems += [*_tensors(model, graph, data), *_operators(model, graph), *_signature(model, graph)]
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    return {
        "problems": problems,
        "versions": {_name(tflite.BuiltinOperator, code.BuiltinCode()): code.Version() for code in codes},
        "tensors": graph.TensorsLength(),
        "operators": graph.OperatorsLength(),
    }


def _name(enum: type, value: int) -> str:
    return next((key for key, known in vars(enum).items() if known == value), f"unknown {value}")


def _model(model: Any) -> Iterator[str]:
    if model.Version() != 3:
        yield f"schema version {model.Version()}"
    if model.SubgraphsLength() != 1:
        yield f"{model.SubgraphsLength()} graphs"
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        if _name(tflite.BuiltinOperator, code.BuiltinCode()).startswith("unknown") or code.Version() < 1:
            yield f"operator code {index} is {code.BuiltinCode()} in version {code.Version()}"
        if code.DeprecatedBuiltinCode() != min(code.BuiltinCode(), 127):
            yield f"old readers take operator code {index} for {code.DeprecatedBuiltinCode()}"
    found = [index for index in range(model.MetadataLength()) if model.Metadata(index).Name() == b"min_runtime_version"]
    if len(found) != 1:
        yield f"{len(found)} times min_runtime_version"
        return
    place = model.Metadata(found[0]).Buffer()
    if not 0 < place < model.BuffersLength():
        yield f"min_runtime_version lies in buffer {place}"
    elif not re.fullmatch(rb"\d+\.\d+\.\d+\0*", model.Buffers(place).DataAsNumpy().tobytes()):
        yield "min_runtime_version is no version"


def _place(buffer: Any) -> tuple[int, int]:
    """Where a buffer's bytes begin in the file, and how many they are; (0, 0) for an empty one."""
    if buffer.Offset() > 1:
        return buffer.Offset(), buffer.Size()
    field = buffer._tab.Offset(4)
    return (buffer._tab.Vector(field), buffer.DataLength()) if field and buffer.DataLength() else (0, 0)


def _buffers(model: Any, data: bytes) -> Iterator[str]:
    places = sorted((*_place(model.Buffers(index)), index) for index in range(model.BuffersLength()))
    end = 0
    for start, size, index in places:
        if not size:
            continue
        if start % ALIGNMENT:
            yield f"buffer {index} begins at {start}, which is no multiple of {ALIGNMENT}"
        if start < end:
            yield f"buffer {index} begins at {start}, within the one before it"
        end = start + size
        if end > len(data):
            yield f"buffer {index} ends at {end}, beyond the file's {len(data)} bytes"
    if model.BuffersLength() and _place(model.Buffers(0))[1]:
        yield "buffer 0 is not empty"


def _tensors(model: Any, graph: Any, data: bytes) -> Iterator[str]:
    read = {model.Metadata(index).Buffer() for index in range(model.MetadataLength())} | {0}
    names = set()
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        kind, shape = (
            _name(tflite.TensorType, tensor.Type()),
            tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else [],
        )
        names.add(tensor.Name())
        if kind not in WIDTHS or any(side < 1 for side in shape):
            yield f"tensor {index} is {kind} {shape}"
            continue
        if not tensor.Buffer() < model.BuffersLength():
            yield f"tensor {index} lies in buffer {tensor.Buffer()} of {model.BuffersLength()}"
            continue
        read.add(tensor.Buffer())
        size = _place(model.Buffers(tensor.Buffer()))[1]
        if size not in ({0} if tensor.Buffer() == 0 else {math.prod(shape) * WIDTHS[kind]}):
            yield f"tensor {index}, {kind} {shape}, has {size} bytes"
        yield from _scales(index, tensor, shape, kind)
    if len(names) != graph.TensorsLength():
        yield "two tensors have one name"
    for index in set(range(model.BuffersLength())) - read:
        yield f"nothing reads buffer {index}"


def _scales(index: int, tensor: Any, shape: list[int], kind: str) -> Iterator[str]:
    found = tensor.Quantization()
    count = found.ScaleLength() if found else 0
    if kind in ("INT8", "UINT8") and not count:
        yield f"tensor {index} is {kind} without a scale"
    if not count:
        return
    axis = found.QuantizedDimension()
    if found.ZeroPointLength() != count or (count > 1 and (axis >= len(shape) or shape[axis] != count)):
        yield f"tensor {index}, {shape}, has {count} scales and {found.ZeroPointLength()} zero points on axis {axis}"
    if not all(0 < scale < math.inf for scale in found.ScaleAsNumpy().tolist()):
        yield f"a scale of tensor {index} is not a positive number"
    low, high = {"INT8": (-128, 127), "UINT8": (0, 255), "INT32": (0, 0)}.get(kind, (0, 0))
    if not all(low <= zero <= high for zero in found.ZeroPointAsNumpy().tolist()):
        yield f"a zero point of tensor {index} is outside {kind}"


def _operators(model: Any, graph: Any) -> Iterator[str]:
    known = {graph.Inputs(index) for index in range(graph.InputsLength())}
    known |= {index for index in range(graph.TensorsLength()) if graph.Tensors(index).Buffer()}
    made, touched = set(known), set(known & {graph.Inputs(0)})
    for index in range(graph.OperatorsLength()):
        op = graph.Operators(index)
        if not op.OpcodeIndex() < model.OperatorCodesLength():
            yield f"operator {index} has code {op.OpcodeIndex()} of {model.OperatorCodesLength()}"
            continue
        name = _name(tflite.BuiltinOperator, model.OperatorCodes(op.OpcodeIndex()).BuiltinCode())
        inputs, outputs = op.InputsAsNumpy().tolist(), op.OutputsAsNumpy().tolist()
        yield from (f"{name} {index} reads tensor {i}, which nothing made" for i in inputs if i != -1 and i not in made)
        yield from (f"{name} {index} makes tensor {i} again" for i in outputs if i in made)
        if any(not 0 <= i < graph.TensorsLength() for i in outputs) or -1 in inputs[: LEAST_INPUTS.get(name, 1)]:
            yield f"{name} {index} reads {inputs} and makes {outputs}"
        made |= set(outputs)
        touched |= {*inputs, *outputs}
        options = "".join(part.capitalize() for part in name.split("_")) + "Options"
        if _name(tflite.BuiltinOptions, op.BuiltinOptionsType()) != OPTIONS.get(name, options):
            yield f"{name} {index} has {_name(tflite.BuiltinOptions, op.BuiltinOptionsType())}"
    for index in range(graph.OutputsLength()):
        if graph.Outputs(index) not in made - known:
            yield f"the output {graph.Outputs(index)} is made by nothing"
    for index in sorted(set(range(graph.TensorsLength())) - touched):
        yield f"nothing reads or makes tensor {index}"


def _signature(model: Any, graph: Any) -> Iterator[str]:
    if model.SignatureDefsLength() != 1:
        yield f"{model.SignatureDefsLength()} signatures"
        return
    found = model.SignatureDefs(0)
    for word, count, get, own in (
        ("inputs", found.InputsLength(), found.Inputs, [graph.Inputs(i) for i in range(graph.InputsLength())]),
        ("outputs", found.OutputsLength(), found.Outputs, [graph.Outputs(i) for i in range(graph.OutputsLength())]),
    ):
        listed = [(get(index).TensorIndex(), get(index).Name()) for index in range(count)]
        if [index for index, _ in listed] != own or any(graph.Tensors(i).Name() != name for i, name in listed):
            yield f"the signature's {word} are {listed}, the graph's {own}"
    if found.SubgraphIndex() != 0:
        yield f"the signature is of graph {found.SubgraphIndex()}"
