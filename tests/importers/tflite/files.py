"""TFLite files for the tests of their reader, made by the schema's own classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgekit.exporting.stored_values import dequantized, from_layout, quantized, to_layout
from edgekit.frontend.tracer import trace
from edgekit.importers.source import Shape, Source
from edgekit.importers.tflite.reader import open_source
from edgekit.ir.graph import Graph

Array = NDArray[Any]
Grid = tuple[float, int]  # scale, zero point
_OPTIONS = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2D"),
    "BATCH_MATMUL": "BatchMatMul",
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D")),
    "L2_NORMALIZATION": "L2Norm",
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_ANY"), "Reducer"),
    "SPACE_TO_BATCH_ND": "SpaceToBatchND",
    "BATCH_TO_SPACE_ND": "BatchToSpaceND",
    "MAXIMUM": "MaximumMinimum",
    **dict.fromkeys(("RELU", "RELU_0_TO_1", "LOGISTIC", "PRELU", "CUSTOM"), ""),
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "PADV2": "PadV2",
    "REVERSE_V2": "ReverseV2",
    "MIRROR_PAD": "MirrorPad",
    "SPLIT_V": "SplitV",
}
_VERSIONS = {"BROADCAST_TO": 2, "FULLY_CONNECTED": 5, "STRIDED_SLICE": 4}


def node(builtin: str, inputs: str, outputs: str, **options: Any) -> tuple[str, list[str], list[str], dict[str, Any]]:
    """An operator; names of tensors are separated by spaces, and "-" is one that is left out."""
    return builtin, inputs.split(), outputs.split(), options


def _operator(found: Any, codes: dict[str, int], places: Mapping[str, int]) -> schema.OperatorT:
    builtin, inputs, outputs, options = found
    made = schema.OperatorT(
        opcodeIndex=codes.setdefault(builtin, len(codes)),
        inputs=[-1 if name == "-" else places[name] for name in inputs],
        outputs=[places[name] for name in outputs],
    )
    name = _OPTIONS.get(builtin)
    if name is None:
        name = "".join(part.capitalize() for part in builtin.split("_")).replace("2d", "2D").replace("3d", "3D")
    if name and hasattr(schema, f"{name}OptionsT"):
        made.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
        made.builtinOptions = getattr(schema, f"{name}OptionsT")()
        for option, value in options.items():
            assert hasattr(made.builtinOptions, option)
            setattr(made.builtinOptions, option, value)
    return made


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    grids: Mapping[str, Grid] | None = None,
    types: Mapping[str, str] | None = None,
    signatures: Mapping[str, Sequence[int]] | None = None,
) -> schema.ModelT:
    """A model. Activations are float32 unless `types` says another; their shapes are left to the runtime."""
    constants = {name: np.asarray(value) for name, value in (constants or {}).items()}
    made = [name for _, _, names, _ in nodes for name in names]
    names = list(dict.fromkeys([*inputs, *constants, *made]))
    places = {name: index for index, name in enumerate(names)}
    buffers, tensors = [schema.BufferT()], []
    for name in names:
        held = constants.get(name)
        kind = str(held.dtype) if held is not None else (types or {}).get(name, "float32")
        shape = held.shape if held is not None else inputs.get(name, ())
        tensor = schema.TensorT(name=name, shape=list(shape), type=getattr(schema.TensorType, kind.upper()), buffer=0)
        tensor.shapeSignature = list((signatures or {}).get(name, [])) or None
        if held is not None:
            buffers.append(schema.BufferT(data=np.frombuffer(held.tobytes(), np.uint8)))
            tensor.buffer = len(buffers) - 1
        if name in (grids or {}):
            scale, zero = (grids or {})[name]
            tensor.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero])
        tensors.append(tensor)
    codes: dict[str, int] = {}
    operators = [_operator(found, codes, places) for found in nodes]
    graph = schema.SubGraphT(
        tensors=tensors,
        operators=operators,
        inputs=[places[name] for name in inputs],
        outputs=[places[name] for name in outputs if name in places],
    )
    kinds = {name: getattr(schema.BuiltinOperator, name.partition(" ")[0]) for name in codes}
    found = [
        schema.OperatorCodeT(
            builtinCode=code,
            deprecatedBuiltinCode=min(code, 127),
            version=_VERSIONS.get(name, 1),
            customCode=name.partition(" ")[2] or None,
        )
        for name, code in kinds.items()
    ]
    return schema.ModelT(
        version=3, operatorCodes=found, subgraphs=[graph], buffers=buffers, description="made for a test"
    )


def sparse(segments: Sequence[int], indices: Sequence[int], size: int = 1) -> schema.SparsityParametersT:
    """How a matrix of `size` rows has some of its columns, as CSR has them."""
    rows = schema.DimensionMetadataT(format=schema.DimensionType.DENSE, denseSize=size)
    columns = schema.DimensionMetadataT(
        format=schema.DimensionType.SPARSE_CSR,
        arraySegmentsType=schema.SparseIndexVector.Int32Vector,
        arraySegments=schema.Int32VectorT(values=list(segments)),
        arrayIndicesType=schema.SparseIndexVector.Uint8Vector,
        arrayIndices=schema.Uint8VectorT(values=list(indices)),
    )
    return schema.SparsityParametersT(traversalOrder=[0, 1], dimMetadata=[rows, columns])


def packed(made: schema.ModelT) -> bytes:
    """The bytes of a model."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def write(path: Path, *args: Any, **kwargs: Any) -> Path:
    """Write such a model, with the shapes of its outputs as the runtime finds them. Returns its path."""
    made = model(*args, **kwargs)
    try:
        interpreter = Interpreter(model_content=packed(made))
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError):  # one that is meant to be wrong
        interpreter = None
    for details in interpreter.get_output_details() if interpreter else ():
        made.subgraphs[0].tensors[details["index"]].shape = [
            int(size) for size in interpreter.get_tensor(details["index"]).shape
        ]
    path.write_bytes(packed(made))
    return path


def weight(*shape: int, seed: int = 0) -> Array:
    """Numbers around 0."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ints(*values: Any) -> Array:
    """An argument of an operator."""
    return np.array(values, np.int32)


def small_network(path: Path, batch: int = 1) -> Path:
    """Convolution, mean and a classifier of five classes, on 16x16 pixels."""
    nodes = [
        node("CONV_2D", "image w b", "c", padding=0, strideH=2, strideW=2, fusedActivationFunction=1),
        node("MEAN", "c axes", "p", keepDims=False),
        node("FULLY_CONNECTED", "p fc.weight fc.bias", "scores"),
    ]
    own = {
        "w": weight(8, 3, 3, 3),
        "b": weight(8, seed=1),
        "axes": ints(1, 2),
        "fc.weight": weight(5, 8, seed=2),
        "fc.bias": weight(5, seed=3),
    }
    return write(path, nodes, {"image": (batch, 16, 16, 3)}, ["scores"], own)


def opened(path: Path, given: Mapping[str, Shape] | None = None) -> tuple[Source, Graph]:
    """What a file says, and its graph."""
    source = open_source(path, given)
    return source, trace(source.build().eval(), *source.shapes.values())


def of_runtime(path: Path, source: Source, xs: Sequence[Array]) -> list[Array]:
    """What LiteRT computes with its reference kernels, in torch's order of axes and as real numbers."""
    try:
        interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):  # CEIL and ROUND have no reference kernels
        interpreter = Interpreter(
            str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    given = [to_layout(quantized(x, one), one.layout) for x, one in zip(xs, source.takes, strict=True)]
    for details, x in zip(interpreter.get_input_details(), given, strict=True):
        interpreter.resize_tensor_input(details["index"], x.shape)
    interpreter.allocate_tensors()
    for details, x in zip(interpreter.get_input_details(), given, strict=True):
        interpreter.set_tensor(details["index"], x)
    interpreter.invoke()
    found = [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
    return [from_layout(dequantized(y, one), one.layout) for y, one in zip(found, source.gives, strict=True)]


def same_as_runtime(
    path: Path, tolerance: float = 1e-5, given: Mapping[str, Shape] | None = None, positive: bool = False
) -> Graph:
    """The graph of a file, which must answer as LiteRT does."""
    source, graph = opened(path, given)
    xs = [weight(*op.shape, seed=9 + index) for index, op in enumerate(graph.inputs)]
    xs = [np.abs(x) for x in xs] if positive else xs
    got = graph.run(*map(torch.from_numpy, xs))
    for y, want in zip(got if isinstance(got, tuple) else (got,), of_runtime(path, source, xs), strict=True):
        assert y.shape == want.shape
        bound = tolerance * max(float(np.abs(want).max(initial=0)), 1e-9)
        np.testing.assert_allclose(y.float().numpy(), want, rtol=0, atol=bound)
    return graph
