"""Operators that converters write, each judged by LiteRT's reference kernels; and what a file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write as write_own
from edgekit.importers.tflite.reader import open_source
from edgekit.importers.tflite.table import OPERATORS
from tests.exporters.kinds import CASES
from tests.importers.tflite.files import ints, node, opened, same_as_runtime, small_network, weight, write

MAP, ROW = {"x": (1, 6, 8, 4)}, {"x": (2, 6)}
CONV = {"w": weight(5, 3, 3, 4), "b": weight(5, seed=1)}
SAME, VALID = 0, 1
Pattern = tuple[Any, ...]  # operators, inputs, constants, and types of what is computed where these are no floats


def one(builtin: str, inputs: str, given: Any, own: dict[str, Any] | None = None, **options: Any) -> Pattern:
    """One operator from x to y."""
    return [node(builtin, inputs, "y", **options)], given, own or {}


def _resizes() -> dict[str, Pattern]:
    rules = {"corners": {"alignCorners": True}, "centers": {"halfPixelCenters": True}, "first": {}}
    return {
        f"{builtin.lower()} {rule} {size}": one(builtin, "x size", MAP, {"size": ints(*size)}, **options)
        for builtin in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
        for rule, options in rules.items()
        for size in ((12, 16), (4, 5))
    }


def _pools() -> dict[str, Pattern]:
    found = {}
    for builtin in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
        for kernel, stride, padding in ((2, 1, SAME), (3, 2, SAME), (2, 2, VALID), (5, 1, SAME), (3, 3, SAME)):
            how = {"filterHeight": kernel, "filterWidth": kernel, "strideH": stride, "strideW": stride}
            found[f"{builtin.lower()} {kernel} {stride} {padding}"] = one(
                builtin, "x", MAP, None, padding=padding, **how
            )
    return found


def _convolutions() -> dict[str, Pattern]:
    found = {}
    for stride, dilation, padding, activation in ((1, 1, SAME, 1), (2, 1, SAME, 3), (1, 2, SAME, 2), (2, 1, VALID, 0)):
        how = {"strideH": stride, "strideW": stride, "padding": padding, "fusedActivationFunction": activation}
        how |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
        told = f"{stride} {dilation} {padding}"
        found[f"conv {told}"] = one("CONV_2D", "x w b", MAP, CONV, **how)
        deep = {"w": weight(1, 3, 3, 8), "b": weight(8, seed=1)}
        found[f"depthwise {told}"] = one("DEPTHWISE_CONV_2D", "x w b", MAP, deep, depthMultiplier=2, **how)
    for size, padding in (
        ((1, 12, 16, 5), SAME),
        ((1, 11, 15, 5), SAME),
        ((1, 13, 17, 5), VALID),
        ((1, 14, 18, 5), VALID),
    ):
        own = {"size": ints(*size), "w": weight(5, 3, 3, 4), "b": weight(5, seed=1)}
        found[f"transposed {size}"] = one(
            "TRANSPOSE_CONV", "size w x b", MAP, own, strideH=2, strideW=2, padding=padding
        )
    how = {"strideD": 1, "strideH": 2, "strideW": 1, "dilationDFactor": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    volume = {"w": weight(2, 3, 3, 3, 4), "b": weight(4, seed=1)}
    found["volume"] = one("CONV_3D", "x w b", {"x": (1, 4, 6, 5, 3)}, volume, padding=SAME, **how)
    return found


def _numbers() -> dict[str, Pattern]:
    """A number without axes on either side of an operator."""
    number = {"c": np.float32(0.3)}
    found = {
        f"{builtin.lower()} {inputs}": one(builtin, inputs, ROW, number)
        for builtin in ("MAXIMUM", "MINIMUM", "SUB", "DIV", "SQUARED_DIFFERENCE")
        for inputs in ("x c", "c x")
    }
    for builtin in ("LESS", "GREATER_EQUAL", "NOT_EQUAL"):
        nodes = [node(builtin, "c x", "more"), node("CAST", "more", "y", inDataType=6, outDataType=0)]
        found[f"{builtin.lower()} c x"] = nodes, ROW, number, {"more": "bool"}
    return found


PATTERNS: dict[str, Pattern] = {
    **_resizes(),
    **_numbers(),
    **_pools(),
    **_convolutions(),
    "a classifier behind a flattened map": (
        [node("RESHAPE", "x s", "f"), node("TANH", "f", "t"), node("FULLY_CONNECTED", "t w b", "y")],
        MAP,
        {"s": ints(1, -1), "w": weight(3, 192), "b": weight(3)},
    ),
    "a flattened map that others read": (
        [node("RESHAPE", "x s", "f"), node("SOFTMAX", "f", "t", beta=1.0), node("ADD", "f t", "y")],
        MAP,
        {"s": ints(1, 192)},
    ),
    "a linear layer on a map": one(
        "FULLY_CONNECTED", "x w b", MAP, {"w": weight(3, 4), "b": weight(3)}, keepNumDims=True
    ),
    "a linear layer on rows of a map": one("FULLY_CONNECTED", "x w -", MAP, {"w": weight(3, 8)}),
    "a product of matrices": one(
        "BATCH_MATMUL", "x w", {"x": (2, 3, 4)}, {"w": weight(2, 5, 4)}, adjX=False, adjY=True
    ),
    "a shape that is computed": (
        [
            node("SHAPE", "x", "shape", outType=2),
            node("STRIDED_SLICE", "shape zero one one", "n", shrinkAxisMask=1),
            node("PACK", "n rest", "s", valuesCount=2, axis=0),
            node("RESHAPE", "x s", "y"),
        ],
        MAP,
        {"zero": ints(0), "one": ints(1), "rest": np.array(192, np.int32)},
        {"n": "int32", "shape": "int32", "s": "int32"},
    ),
    "a dilated convolution in blocks": (
        [
            node("SPACE_TO_BATCH_ND", "x block pads", "blocks"),
            node("CONV_2D", "blocks w b", "c", strideH=1, strideW=1, padding=VALID),
            node("BATCH_TO_SPACE_ND", "c block crops", "y"),
        ],
        MAP,
        {"block": ints(2, 2), "pads": ints([2, 2], [2, 2]), "crops": ints([0, 0], [0, 0]), **CONV},
    ),
    "a pooling behind zeros": (
        [
            node("RELU", "x", "r"),
            node("PAD", "r pads", "p"),
            node("MAX_POOL_2D", "p", "y", padding=VALID, filterHeight=3, filterWidth=3, strideH=2, strideW=2),
        ],
        MAP,
        {"pads": ints([0, 0], [1, 1], [1, 1], [0, 0])},
    ),
    "a normalization with numbers": (
        [
            node("MEAN", "x axes", "m", keepDims=True),
            node("SQUARED_DIFFERENCE", "x m", "d"),
            node("MEAN", "d axes", "v", keepDims=True),
            node("ADD", "v eps", "e"),
            node("RSQRT", "e", "r"),
            node("SUB", "x m", "c"),
            node("MUL", "c r", "n"),
            node("MUL", "n scale", "y"),
        ],
        MAP,
        {"axes": ints(1, 2), "eps": np.array(1e-3, np.float32), "scale": weight(4)},
    ),
    "a split map": (
        [node("SPLIT", "axis x", "a b", numSplits=2), node("MUL", "a b", "y")],
        MAP,
        {"axis": np.array(3, np.int32)},
    ),
    "a map split by sizes": (
        [node("SPLIT_V", "x sizes axis", "a b", numSplits=2), node("CONCATENATION", "b a", "y", axis=3)],
        MAP,
        {"axis": np.array(-1, np.int32), "sizes": ints(1, -1)},
    ),
    "packed and unpacked": (
        [node("UNPACK", "x", "a b", num=2, axis=0), node("PACK", "b a", "y", valuesCount=2, axis=1)],
        ROW,
        {},
    ),
    "channels in blocks": (
        [
            node("RESHAPE", "x split", "g"),
            node("TRANSPOSE", "g turn", "t"),
            node("RESHAPE", "t whole", "s"),
            node("CONV_2D", "s w b", "y", strideH=1, strideW=1),
        ],
        MAP,
        {"split": ints(1, 6, 8, 2, 2), "turn": ints(0, 1, 2, 4, 3), "whole": ints(1, 6, 8, 4), **CONV},
    ),
    "pixels of depth": one("DEPTH_TO_SPACE", "x", {"x": (1, 3, 4, 12)}, blockSize=2),
    "depth of pixels": one("SPACE_TO_DEPTH", "x", MAP, blockSize=2),
    "parts of a map": one(
        "STRIDED_SLICE", "x a b s", MAP, {"a": ints(0, 5, 1, 0), "b": ints(1, 0, -1, 4), "s": ints(1, -2, 3, 1)},
        beginMask=1,
    ),
    "a row of a map": one(
        "STRIDED_SLICE", "x a b s", MAP, {"a": ints(0, -2, 0, 0), "b": ints(1, 6, 8, 4), "s": ints(1, 1, 1, 1)},
        shrinkAxisMask=2,
    ),
    "a part by sizes": one("SLICE", "x a s", MAP, {"a": ints(0, 1, 2, 0), "s": ints(1, 3, -1, 2)}),
    "edges reflected": one("MIRROR_PAD", "x p", MAP, {"p": ints([0, 0], [1, 2], [2, 1], [0, 0])}, mode=0),
    "edges repeated": one("MIRROR_PAD", "x p", MAP, {"p": ints([0, 0], [1, 2], [2, 1], [1, 0])}, mode=1),
    "a border of ones": one(
        "PADV2", "x p v", MAP, {"p": ints([0, 0], [1, 2], [2, 1], [0, 1]), "v": np.array(1, np.float32)}
    ),
    "lengths of channels": one("L2_NORMALIZATION", "x", MAP),
    "a row against a map": one("ADD", "x r", MAP, {"r": weight(8, 4)}, fusedActivationFunction=1),
    "a slope for each channel": one("PRELU", "x a", MAP, {"a": weight(1, 1, 4)}),
    "a slope for each element": one("PRELU", "x a", MAP, {"a": weight(6, 8, 4)}),
    "a sum of three": one("ADD_N", "x x x", MAP),
    "cut off at 1": one("RELU_0_TO_1", "x", MAP),
    "a place taken": one("GATHER", "x i", MAP, {"i": ints(3, 0, 3)}, axis=3),
    "places taken in rows": one("GATHER", "x i", MAP, {"i": ints([3, 0], [1, 1])}, axis=1),
    "repeated": one("TILE", "x t", MAP, {"t": ints(1, 2, 1, 3)}),
    "widened": one("BROADCAST_TO", "x s", {"x": (1, 1, 4)}, {"s": ints(2, 3, 4)}),
    "turned round": one("REVERSE_V2", "x a", MAP, {"a": ints(2)}),
    "filled": (
        [node("FILL", "s v", "f"), node("ADD", "x f", "y")], MAP, {"s": ints(6, 1, 4), "v": np.array(2, np.float32)}
    ),
    "chosen by rows": (
        [node("SELECT", "c x z", "y")], ROW, {"c": np.array([True, False]), "z": weight(2, 6)}
    ),
    "squeezed": (
        [node("EXPAND_DIMS", "x a", "e"), node("SQUEEZE", "e", "y", squeezeDims=[1])], ROW, {"a": ints(1)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_what_converters_write(name: str, tmp_path: Path) -> None:
    nodes, given, own, *types = PATTERNS[name]
    path = write(tmp_path / "net.tflite", nodes, given, ["y"], own, types=types[0] if types else None)
    same_as_runtime(path)


def _of_each_kind(most: int) -> list[str]:
    """Some cases of each kind of operator: those that take real numbers, and do not give one number alone."""
    found: dict[str, list[str]] = {}
    for name, case in CASES.items():
        values = case.values()
        plain = all(x.is_floating_point() and x.dim() for x in values) and case.graph().ops[-1].shape
        if plain and len(found.setdefault(case.kind, [])) < most:
            found[case.kind].append(name)
    return [name for names in found.values() for name in names]


@pytest.mark.parametrize("name", _of_each_kind(1))
def test_what_our_writer_writes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    write_own(WriteJob(CASES[name].graph(), "fp32"), path)
    same_as_runtime(path, 2e-5, positive=CASES[name].draw != "normal")


def test_every_operator_is_in_a_test() -> None:
    shown = {found[0] for nodes, *_ in PATTERNS.values() for found in nodes}
    alike = {
        "CAST",
        "QUANTIZE",
        "DEQUANTIZE",
        "RANK",
        "RANGE",
        "ZEROS_LIKE",
        "REDUCE_ANY",
        "REDUCE_ALL",
        "RELU_N1_TO_1",
    }
    assert set(OPERATORS) - shown - alike  # the others are those of our writer
    assert shown <= set(OPERATORS)


def test_maps_come_as_torch_has_them_and_layers_keep_their_names(tmp_path: Path) -> None:
    source, graph = opened(small_network(tmp_path / "net.tflite"))
    assert source.shapes == {"image": (1, 3, 16, 16)}
    assert [(op.name, op.kind) for op in graph][1:] == [
        ("c", "conv"), ("c/relu", "relu"), ("p", "mean"), ("scores", "linear")
    ]  # fmt: skip
    assert source.record.format == "tflite" and source.record.producer == "made for a test"


def test_an_input_that_is_channels_first_stays_so(tmp_path: Path) -> None:
    nodes = [
        node("TRANSPOSE", "x in", "t"),
        node("CONV_2D", "t w b", "c", strideH=1, strideW=1),
        node("TRANSPOSE", "c out", "y"),
    ]
    own = {"in": ints(0, 2, 3, 1), "out": ints(0, 3, 1, 2), **CONV}
    path = write(tmp_path / "net.tflite", nodes, {"x": (1, 4, 6, 8)}, ["y"], own)
    graph = same_as_runtime(path)
    assert [op.kind for op in graph] == ["input", "conv"]
    assert graph.input.shape == (1, 4, 6, 8) and graph[graph.output].shape == (1, 5, 6, 8)


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize(
    ("block", "pads", "crops", "kinds"),
    [
        ((2, 2), ([2, 2], [2, 2]), ([0, 0], [0, 0]), ["conv"]),
        ((2, 2), ([0, 0], [0, 0]), ([0, 0], [0, 0]), ["conv"]),
        ((2, 3), ([2, 2], [3, 4]), ([0, 0], [0, 1]), ["conv"]),
        ((3, 2), ([3, 3], [2, 2]), ([0, 2], [1, 0]), ["conv"]),  # more below than above, and the other way
        ((2, 2), ([0, 0], [2, 2]), ([1, 0], [0, 0]), None),  # crops what it did not pad
    ],
)
def test_a_convolution_in_blocks_is_a_dilated_one(
    kind: str, block: Any, pads: Any, crops: Any, kinds: list[str] | None, tmp_path: Path
) -> None:
    depthwise = {"w": weight(1, 3, 3, 4), "b": weight(4, seed=1)}
    own = {"block": ints(*block), "pads": ints(*pads), "crops": ints(*crops)}
    nodes = [
        node("SPACE_TO_BATCH_ND", "x block pads", "blocks"),
        node(kind, "blocks w b", "c", strideH=1, strideW=1, padding=VALID, fusedActivationFunction=1),
        node("BATCH_TO_SPACE_ND", "c block crops", "y"),
    ]
    own |= CONV if kind == "CONV_2D" else depthwise
    graph = same_as_runtime(write(tmp_path / "net.tflite", nodes, MAP, ["y"], own))
    found = [op.kind for op in graph if op.kind not in ("input", "relu")]
    assert found == kinds if kinds is not None else "conv" in found and len(found) > 1
    assert kinds is None or graph["c"].attrs["dilation"] == block


def test_a_pooling_behind_zeros_has_padding(tmp_path: Path) -> None:
    nodes, given, own = PATTERNS["a pooling behind zeros"]
    graph = same_as_runtime(write(tmp_path / "net.tflite", nodes, given, ["y"], own))
    assert [op.kind for op in graph] == ["input", "relu", "max_pool"]


def test_an_open_batch_is_one_and_other_open_sizes_are_asked_for(tmp_path: Path) -> None:
    def made(signature: list[int]) -> Path:
        nodes = [node("CONV_2D", "x w b", "y", strideH=1, strideW=1)]
        return write(tmp_path / "net.tflite", nodes, {"x": (1, 1, 1, 4)}, ["y"], CONV, signatures={"x": signature})

    assert open_source(made([-1, 6, 8, 4]), None).shapes == {"x": (1, 4, 6, 8)}
    with pytest.raises(UsageError, match=r"leaves sizes open \(\?x4x\?x\?\)"):
        open_source(made([-1, -1, -1, 4]), None)
    same_as_runtime(made([-1, -1, -1, 4]), given={"x": (1, 4, 6, 8)})
    with pytest.raises(UsageError, match=r"x of net.tflite is \?x4x\?x\?, not 1x3x6x8"):
        open_source(made([-1, -1, -1, 4]), {"x": (1, 3, 6, 8)})


def test_float16_weights_are_read_in_float32(tmp_path: Path) -> None:
    own = {"w16": CONV["w"].astype(np.float16), "b": CONV["b"]}
    nodes = [node("DEQUANTIZE", "w16", "w"), node("CONV_2D", "x w b", "y", strideH=1, strideW=1)]
    path = write(tmp_path / "net.tflite", nodes, MAP, ["y"], own)
    assert [op.kind for op in same_as_runtime(path)] == ["input", "conv"]
    assert "float16" in open_source(path, None).notes[0]
