"""Places that a network computes, below 0 and above, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.importers.onnx.files import Array, node, of_runtime, same_as_runtime, traced, weight, write

# Whole numbers from -5 to 4 of normal ones: places of an axis of 5.
PLACES = [
    node("Mul", "x two", "m"),
    node("Floor", "m", "f"),
    node("Clip", "f low high", "c"),
    node("Cast", "c", "at", to=7),
]
OWN: dict[str, Array] = {
    "two": np.array(2, np.float32),
    "low": np.array(-5, np.float32),
    "high": np.array(4, np.float32),
    "rows": weight(5, 3),
    "base": weight(5),
    "column": np.array([8, 1]),
    "flat": np.array([8]),
    "five": np.array(5),
    "ends": np.array([0, 1], np.float32),
    "new": weight(8, seed=3),
    "new_rows": weight(8, 3, seed=3),
}
VECTOR, COLUMN = node("Reshape", "at flat", "v"), node("Reshape", "at column", "k")
TAKEN: dict[str, list[Any]] = {
    "Gather": [node("Gather", "rows at", "y")],
    "GatherElements": [node("Concat", "k k k", "k3", axis=1), node("GatherElements", "rows k3", "y", axis=0)],
    "GatherND": [node("GatherND", "rows k", "y")],
    "OneHot": [node("OneHot", "at five ends", "y")],
    "ScatterElements": [node("ScatterElements", "base v new", "y")],
    "ScatterElements, summed": [node("ScatterElements", "base v new", "y", reduction="add")],
    "ScatterND": [node("ScatterND", "rows k new_rows", "y")],
    "ScatterND, largest": [node("ScatterND", "rows k new_rows", "y", reduction="max")],
}


def written(path: Path, nodes: list[Any]) -> Path:
    return write(path, [*PLACES, VECTOR, COLUMN, *nodes], {"x": (1, 8)}, ["y"], OWN, opset=18)


@pytest.mark.parametrize("kind", TAKEN)
def test_computed_places_below_0_count_from_the_end(kind: str, tmp_path: Path) -> None:
    same_as_runtime(written(tmp_path / "net.onnx", TAKEN[kind]))


def test_places_that_cannot_be_below_0_are_taken_as_they_are(tmp_path: Path) -> None:
    tops = [node("TopK", "x count", "top t"), node("ArgMax", "x", "a", axis=1), node("Reshape", "a flat1", "b")]
    nodes = [*tops, node("Gather", "rows t", "y"), node("Gather", "rows b", "z")]
    own = {"count": np.array([1]), "flat1": np.array([1]), "rows": weight(8, 3)}
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 8)}, ["top", "y", "z"], own))
    assert "where" not in {op.kind for op in graph}


def test_places_that_are_given_are_rows_of_a_table(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "at", to=7), node("Gather", "rows at", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"], {"rows": weight(5, 3)})
    graph, x = traced(path), np.array([[0, 4, 2, 1]], np.float32)
    assert "where" not in {op.kind for op in graph}
    np.testing.assert_array_equal(graph.run(torch.from_numpy(x)), of_runtime(path, x)[0])
