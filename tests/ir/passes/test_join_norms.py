"""Layer normalization by parts becomes one, in the orders in which files have it, and stays apart otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.onnx.files import node, same_as_runtime, weight, write

OWN = {
    "eps": np.array(1e-3, np.float32),
    "two": np.array(2, np.float32),
    "scale": 1 + weight(6),
    "shift": weight(1, 1, 6, seed=1),
    "planes": weight(4, 1, seed=2),
}
MEAN = node("ReduceMean", "x", "m", axes=[-1])
APART = [MEAN, node("Sub", "x m", "d")]
SQUARE = [node("Pow", "d two", "s"), node("ReduceMean", "s", "v", axes=[2]), node("Add", "v eps", "e")]
ROOT = [*APART, *SQUARE, node("Sqrt", "e", "r")]
K = [*APART, node("Mul", "d d", "s"), *SQUARE[1:], node("Sqrt", "e", "q"), node("Reciprocal", "q", "r")]
LAST = [
    node("Mul", "r scale", "k"),
    node("Mul", "x k", "a"),
    node("Mul", "m k", "b"),
    node("Sub", "shift b", "c"),
    node("Add", "a c", "y"),
]
FOUND = ["layer_norm"]


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([*ROOT, node("Div", "d r", "y")], FOUND),
        ([*ROOT, node("Div", "d r", "n"), node("Mul", "n scale", "y")], FOUND),
        ([*ROOT, node("Div", "d r", "n"), node("Mul", "scale n", "w"), node("Add", "w shift", "y")], FOUND),
        ([*ROOT[:-1], node("Sqrt", "e", "q"), node("Reciprocal", "q", "r"), node("Mul", "r d", "y")], FOUND),
        ([*K, *LAST], FOUND),
        ([*ROOT, node("Div", "d r", "n"), node("Mul", "n planes", "y")], ["layer_norm", "mul"]),
        ([*ROOT, node("Div", "d r", "n"), node("Add", "n shift", "y")], ["layer_norm", "add"]),
    ],
)
def test_patterns(tmp_path: Path, nodes: Any, kinds: list[str]) -> None:
    assert read(tmp_path, nodes, ["y"]) == ["input", *kinds]


def read(tmp_path: Path, nodes: Any, outputs: list[str]) -> list[str]:
    """The kinds of operators of a file, which answers as in onnxruntime."""
    wanted = {name for one in nodes for name in one.input}
    own = {name: value for name, value in OWN.items() if name in wanted}
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 6)}, outputs, own, opset=13)
    return [op.kind for op in same_as_runtime(path)]


@pytest.mark.parametrize("shown", ["m", "d", "v"])
def test_what_is_read_elsewhere_stays(tmp_path: Path, shown: str) -> None:
    assert "layer_norm" not in read(tmp_path, [*ROOT, node("Div", "d r", "y")], ["y", shown])
    assert "layer_norm" not in read(tmp_path, [*K, *LAST], ["y", shown])


def test_one_between_permutations_is_found(tmp_path: Path) -> None:
    turned = node("Transpose", "z", "x", perm=[0, 2, 3, 1])
    nodes = [
        turned,
        *ROOT,
        node("Div", "d r", "n"),
        node("Relu", "n", "f"),
        node("Transpose", "f", "y", perm=[0, 3, 1, 2]),
    ]
    nodes = [one if one.name != "reducemean_v" else node("ReduceMean", "s", "v", axes=[3]) for one in nodes]
    own = {name: OWN[name] for name in ("eps", "two")}
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"z": (1, 6, 4, 4)}, ["y"], own, opset=13))
    assert [op.kind for op in graph] == ["input", "permute", "layer_norm", "relu", "permute"]


def test_a_value_over_its_own_length_is_no_normalization(tmp_path: Path) -> None:
    nodes = [node("Mul", "x x", "s"), *SQUARE[1:], node("Sqrt", "e", "r"), node("Div", "x r", "y")]
    assert read(tmp_path, nodes, ["y"]) == ["input", "mul", "mean", "add", "sqrt", "div"]


def test_another_mean_is_no_normalization(tmp_path: Path) -> None:
    nodes = [node("ReduceMean", "x", "m", axes=[1]), *ROOT[1:], node("Div", "d r", "y")]
    assert "layer_norm" not in read(tmp_path, nodes, ["y"])
