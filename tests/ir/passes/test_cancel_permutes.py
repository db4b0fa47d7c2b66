"""Permutations meet the ones that turn back; where that saves none, the network stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.ir.passes.fold_batch_norm import fold
from tests.importers.onnx.files import node, same_as_runtime, weight, write

OWN = {
    "w": weight(4, 4, 1, 1),
    "last": weight(4, seed=1),
    "last2": weight(1, 1, 1, 4, seed=2),
    "number": np.array(3, np.float32),
    "pads": np.array([0, 1, 0, 0, 0, 0, 1, 0]),
    "rows": weight(4, 5, seed=3),
    "twice": np.array([1, 2, 1, 1]),
    "from": np.array([1]),
    "to": np.array([4]),
    "axis": np.array([1]),
}


def back(name: str, made: str) -> Any:
    """A map laid channels-last."""
    return node("Transpose", name, made, perm=[0, 2, 3, 1])


def forth(name: str, made: str) -> Any:
    """A map laid channels-first."""
    return node("Transpose", name, made, perm=[0, 3, 1, 2])


CONV = node("Conv", "x w", "c")


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([CONV, back("c", "l"), forth("l", "y")], ["conv"]),
        ([CONV, back("c", "l"), node("Relu", "l", "r"), forth("r", "y")], ["conv", "relu"]),
        ([CONV, back("c", "l"), node("Mul", "l last", "m"), node("Add", "m last2", "a"), forth("a", "y")], ["conv"]),
        ([CONV, back("c", "l"), node("Mul", "l number", "m"), forth("m", "y")], ["conv"]),
        ([CONV, back("c", "l"), node("Pad", "l pads", "p"), forth("p", "f"), node("Conv", "f w", "y")], ["conv"] * 2),
        ([CONV, back("c", "l"), node("Softmax", "l", "s"), forth("s", "y")], ["conv", "softmax"]),
        ([CONV, back("c", "l"), node("Tile", "l twice", "t"), forth("t", "y")], ["conv", "tile"]),
        ([CONV, back("c", "l"), node("Slice", "l from to axis", "s"), forth("s", "y")], ["conv", "slice"]),
        ([CONV, back("c", "l"), node("ReduceMean", "l", "m", axes=[1, 2]), forth("m", "y")], ["conv", "mean"]),
        ([CONV, back("c", "l"), node("ReduceMean", "l", "y", axes=[1, 2], keepdims=0)], ["conv", "mean"]),
        ([CONV, back("c", "l"), back("x", "k"), node("Concat", "l k", "j", axis=3), forth("j", "y")], ["conv", "cat"]),
        (
            [CONV, back("c", "l"), back("x", "k"), node("Add", "l k", "j"), node("Relu", "j", "r"), forth("r", "y")],
            ["conv", "add", "relu"],
        ),
        (
            [CONV, back("c", "l"), node("Relu", "l", "r"), node("MatMul", "r rows", "y")],
            ["conv", "permute", "relu", "linear"],
        ),
        (
            [CONV, back("c", "l"), node("Relu", "l", "r"), forth("r", "f"), node("MatMul", "r rows", "z")],
            ["conv", "relu", "permute", "linear"],
        ),
    ],
)
def test_patterns(tmp_path: Path, nodes: Any, kinds: list[str]) -> None:
    read = {name for one in nodes for name in one.input}
    made = {name for one in nodes for name in one.output}
    own = {name: value for name, value in OWN.items() if name in read}
    outputs = sorted(made - read)
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 6, 5)}, outputs, own))
    assert [op.kind for op in fold(graph).graph][1:] == kinds


def test_a_tensor_that_two_operators_read_is_turned_for_each(tmp_path: Path) -> None:
    nodes = [back("x", "l"), node("Mul", "l c", "a"), node("Sub", "l c", "b"), node("Add", "a b", "z"), forth("z", "y")]
    nodes = [node("Neg", "rows", "c"), *nodes]  # a constant that has the name of who reads it first
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 4, 5)}, ["y"], {"rows": weight(4, 5, 4)}))
    assert [op.kind for op in graph] == ["input", "mul", "sub", "add"]


def test_each_layer_keeps_its_name(tmp_path: Path) -> None:
    nodes = [CONV, back("c", "l"), node("Relu", "l", "r"), forth("r", "f"), node("Abs", "f", "y")]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 6, 5)}, ["r", "y"], {"w": OWN["w"]}))
    assert [op.name for op in graph] == ["x", "conv_c", "relu_r", "abs_y", "relu_r/permuted"]
    assert dict(graph.outputs) == {"r": "relu_r/permuted", "y": "abs_y"}
