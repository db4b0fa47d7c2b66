"""Activations that files say as maxima, minima and halves become the one that they are, and stay apart otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.onnx.files import node, same_as_runtime, weight, write

OWN = {
    "zero": np.array(0, np.float32),
    "six": np.array([6], np.float32),
    "less": np.array(-1, np.float32),
    "fifth": np.array(0.2, np.float32),
    "two": np.array(2, np.float32),
    "slopes": weight(4, 1, 1),
    "columns": weight(6),
}
HALVES = [node("Relu", "x", "p"), node("Neg", "x", "n"), node("Relu", "n", "r")]


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([node("Max", "x zero", "y")], ["relu"]),
        ([node("Max", "zero x", "y")], ["relu"]),
        ([node("Max", "x zero", "m"), node("Min", "m six", "y")], ["clip"]),
        ([node("Relu", "x", "m"), node("Min", "m six", "y")], ["clip"]),
        ([node("Min", "x six", "m"), node("Max", "less m", "y")], ["clip"]),
        ([node("Max", "x six", "m"), node("Min", "m zero", "y")], ["maximum", "minimum"]),
        ([node("Max", "x less", "y")], ["maximum"]),
        ([node("Min", "x six", "m"), node("Min", "m less", "y")], ["minimum", "minimum"]),
        ([*HALVES, node("Mul", "r slopes", "m"), node("Sub", "p m", "y")], ["prelu"]),
        ([*HALVES, node("Mul", "slopes r", "m"), node("Add", "m p", "y")], ["prelu"]),
        ([*HALVES, node("Mul", "r fifth", "m"), node("Sub", "p m", "y")], ["prelu"]),
        ([*HALVES, node("Mul", "r columns", "m"), node("Sub", "p m", "y")], ["relu", "neg", "relu", "mul", "sub"]),
        ([*HALVES, node("Mul", "r slopes", "m"), node("Sub", "m p", "y")], ["relu", "neg", "relu", "mul", "sub"]),
        ([node("Mul", "x fifth", "m"), node("Max", "x m", "y")], ["leaky_relu"]),
        ([node("Mul", "fifth x", "m"), node("Max", "m x", "y")], ["leaky_relu"]),
        ([node("Mul", "x two", "m"), node("Max", "x m", "y")], ["mul", "maximum"]),
    ],
)
def test_patterns(tmp_path: Path, nodes: Any, kinds: list[str]) -> None:
    read = {name for one in nodes for name in one.input}
    own = {name: value for name, value in OWN.items() if name in read}
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 6, 6)}, ["y"], own))
    assert sorted(op.kind for op in graph) == sorted(["input", *kinds])
