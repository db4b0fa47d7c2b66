"""Files that are wrong: each is refused with what is wrong, and what would help."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.errors import EdgekitError, UsageError
from edgekit.importers.tflite import file as reading
from edgekit.importers.tflite.reader import open_source
from tests.importers.tflite.files import ints, model, node, opened, packed, small_network, sparse, weight, write

X = {"x": (1, 4)}


def refused(path: Path) -> str:
    """The cause for which a file is refused, before or while its network is built."""
    with pytest.raises(UsageError) as caught:
        opened(path)
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    ("bytes_of", "cause"),
    [
        (lambda data: b"", "it is empty"),
        (lambda data: data[:6], "truncated"),
        (lambda data: data[: len(data) // 2], "truncated, encrypted or something else"),
        (lambda data: b"not a network at all, but a text", "truncated, encrypted or something else"),
        (gzip.compress, "compressed with gzip"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
        (lambda data: b"\xff\xff\xff\x7f" + data[4:], "truncated, encrypted or something else"),
        (lambda data: packed(schema.ModelT(version=3, subgraphs=[], buffers=[])), "it has no graph"),
        (lambda data: packed(schema.ModelT(version=3, subgraphs=[schema.SubGraphT()])), "it has no operators"),
    ],
)
def test_bytes_of_something_else(tmp_path: Path, bytes_of: Callable[[bytes], bytes], cause: str) -> None:
    path = small_network(tmp_path / "net.tflite")
    path.write_bytes(bytes_of(path.read_bytes()))
    assert cause in refused(path)


@pytest.mark.parametrize(
    ("nodes", "outputs", "constants", "cause"),
    [
        ([node("ADD", "x b", "a"), node("ADD", "a x", "b")], ["b"], {}, "ADD reads b, which no operator before it"),
        ([node("ADD", "x w", "y"), node("ADD", "y x", "y")], ["y"], {"w": weight(4)}, "tensor y is made twice"),
        ([node("ADD", "x w", "w")], ["w"], {"w": weight(4)}, "is made, and has values of its own"),
        ([node("ADD", "x x", "y")], [], {}, "has no outputs"),
        (
            [node("CUSTOM FlexErf", "x", "a"), node("CUSTOM FlexErf", "a", "b"), node("WHERE", "b", "y")],
            ["y"],
            {},
            "does not read: WHERE (1), custom FlexErf (2)",
        ),
        ([node("RESHAPE", "x s", "y")], ["y"], {"s": ints(3, 3)}, "makes 3x3 of 4 elements"),
        ([node("TILE", "x s", "y")], ["y"], {"s": ints(1, 2**30)}, "makes a tensor of 1x4294967296"),
        ([node("FILL", "s v", "a"), node("ADD", "x a", "y")], ["y"], {"s": ints(9999, 99999), "v": weight()}, "9999x"),
        ([node("TRANSPOSE", "x s", "y")], ["y"], {"s": ints(0, 0)}, "turns 2 axes as [0, 0]"),
        ([node("CONCATENATION", "x x", "y", axis=7)], ["y"], {}, "cannot be computed: axis 7 of 2"),
        ([node("ADD", "x x", "y", fusedActivationFunction=4)], ["y"], {}, "ends in the activation TANH"),
        ([node("CAST", "x", "i", outDataType=2), node("RESHAPE", "x i", "y")], ["y"], {}, "from the values of the net"),
        ([node("CONV_2D", "x w b", "y", strideH=0)], ["y"], {"w": weight(4, 1, 1, 4), "b": weight(4)}, "CONV_2D"),
        (
            [node("FULLY_CONNECTED", "x w b", "y")],
            ["y"],
            {"w": weight(4, 3), "b": weight(4)},
            "cannot take an input of (1, 4)",
        ),
    ],
)
def test_graphs_that_cannot_be_read(tmp_path: Path, nodes: Any, outputs: Any, constants: Any, cause: str) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(packed(model(nodes, X, outputs, constants)))
    assert cause in refused(path)


def changed(change: Callable[[Any], None]) -> bytes:
    """The bytes of a small network after a change of its model."""
    made = model([node("ADD", "x w", "y")], X, ["y"], {"w": weight(1, 4)})
    change(made)
    return packed(made)


def _set(**values: Any) -> Callable[[Any], None]:
    """Change the tensor of the constant."""
    return lambda made: vars(made.subgraphs[0].tensors[1]).update(values)


def _graph(**values: Any) -> Callable[[Any], None]:
    return lambda made: vars(made.subgraphs[0]).update(values)


def _scaled(count: int, scale: float) -> schema.QuantizationParametersT:
    return schema.QuantizationParametersT(scale=[scale] * count, zeroPoint=[0] * count, quantizedDimension=9)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (_set(shape=[1, 5]), "has 16 bytes, and 1x5 of float32 needs 20"),
        (_set(shape=[1, 2**31 - 1]), "has 16 bytes"),
        (_set(shape=[1] * 8 + [4]), "has 9 axes"),
        (_set(shape=[-1, 4]), "negative size"),
        (_set(buffer=77), "it speaks of a part 77 of 2"),
        (_set(type=schema.TensorType.INT4), "is of the type int4"),
        (_set(type=schema.TensorType.STRING), "is of the type string"),
        (_set(type=99), "is of the type number 99"),
        (_set(isVariable=True), "is a variable"),
        (_set(sparsity=schema.SparsityParametersT()), "a sparse tensor whose axes are not its own"),
        (_set(sparsity=sparse([0, 5], [1])), "segments of other indices"),
        (_set(sparsity=sparse([0, 4], [0, 1, 2, 9])), "an element outside of its tensor"),
        (_set(sparsity=sparse([0, 2], [0, 1])), "4 elements for 2 places"),
        (_set(sparsity=sparse([0, 4], [0, 1, 2, 3], size=2**30)), "more than 4 elements"),
        (_set(type=schema.TensorType.INT8, shape=[16], quantization=_scaled(3, 1.0)), "a part 9 of 1"),
        (_set(type=schema.TensorType.INT8, shape=[16], quantization=_scaled(1, float("nan"))), "a scale that is"),
        (_graph(inputs=[]), "has no inputs"),
        (_graph(inputs=[55]), "it speaks of a part 55 of 3"),
        (_graph(outputs=[-5]), "it speaks of a part -5 of 3"),
        (lambda made: setattr(made.subgraphs[0].operators[0], "opcodeIndex", 4), "it speaks of a part 4 of 1"),
        (lambda made: setattr(made.subgraphs[0].operators[0], "inputs", [0, 88]), "it speaks of a part 88 of 3"),
        (lambda made: setattr(made.operatorCodes[0], "builtinCode", 9999), "builtin 9999 (1)"),
        (lambda made: setattr(made.subgraphs[0].tensors[0], "shape", [1, 2**30, 2**30]), "give a file of a network"),
        (lambda made: setattr(made.subgraphs[0].tensors[0], "type", schema.TensorType.UINT16), "takes uint16"),
    ],
)  # fmt: skip
def test_numbers_that_point_elsewhere(tmp_path: Path, change: Callable[[Any], None], cause: str) -> None:
    path = tmp_path / "net.tflite"
    try:
        path.write_bytes(changed(change))
    except (AttributeError, TypeError):  # the schema's own writer refuses it
        pytest.skip("cannot be written")
    with pytest.raises(UsageError) as caught:
        opened(path)
    assert cause in f"{caught.value.message} {caught.value.remedy}"


def test_bytes_outside_of_the_file(tmp_path: Path) -> None:
    def change(made: Any) -> None:
        made.buffers[1] = schema.BufferT(offset=2**40, size=16)

    (tmp_path / "net.tflite").write_bytes(changed(change))
    assert "a tensor's bytes lie at" in refused(tmp_path / "net.tflite")


def test_too_many_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NODES", 3)
    names = ["x", "a", "b", "c", "y"]
    nodes = [node("RELU", one, other) for one, other in zip(names, names[1:], strict=False)]
    assert "has 4 operators" in refused(write(tmp_path / "net.tflite", nodes, X, ["y"]))


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_were_changed_end_in_an_answer_or_a_refusal(tmp_path: Path, seed: int) -> None:
    path = small_network(tmp_path / "net.tflite")
    data, drawn = path.read_bytes(), random.Random(seed)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(drawn.randint(1, 4)):
            at = drawn.randrange(len(broken))
            broken[at] = drawn.randrange(256) if drawn.random() < 0.5 else 255
        path.write_bytes(broken)
        try:
            source = open_source(path, None)
            if max(np.prod(shape) for shape in source.shapes.values()) < 1e6:
                opened(path)
        except EdgekitError:
            continue
