"""Branches, and sequences of tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.errors import UsageError
from edgekit.exporters import FORMATS, WriteJob
from edgekit.importers.onnx.reader import open_source
from edgekit.ir.graph import Graph
from edgekit.records.runtime import open_session
from tests.importers.onnx.files import model, node, of_runtime, same_as_runtime, traced, weight, write

CONDITION = [node("ReduceSum", "x", "s", keepdims=0), node("Greater", "s zero", "more")]
ZERO = {"zero": np.array(0, np.float32)}


def branch(name: str, *nodes: Any) -> Any:
    info = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), name, [], [info])


def chosen(path: Path, other: Any) -> Path:
    """Write a file whose input chooses between a Relu of it and something else."""
    then = branch("a", node("Relu", "x", "r"), node("Neg", "r", "a"))
    return write(
        path, [*CONDITION, node("If", "more", "y", then_branch=then, else_branch=other)], {"x": (1, 4)}, ["y"], ZERO
    )


def answers(path: Path, graph: Graph, x: Any) -> Any:
    """What a file that is written of a graph answers."""
    FORMATS[path.suffix[1:]].write(WriteJob(graph=graph, precision="fp32", description="x"), path)
    return open_session(path).run([x])[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_condition_that_the_network_computes_chooses_what_a_branch_gives(sign: int, tmp_path: Path) -> None:
    path = chosen(tmp_path / "net.onnx", branch("b", node("Exp", "x", "b")))
    graph = traced(path)
    assert graph.outputs == {"y": "if_y"}
    x = sign * np.abs(weight(1, 4))
    (want,) = of_runtime(path, x)
    for suffix in ("onnx", "tflite"):
        np.testing.assert_allclose(answers(tmp_path / f"again.{suffix}", graph, x), want, rtol=1e-5, atol=1e-6)


def test_branches_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = chosen(tmp_path / "net.onnx", branch("b", node("Concat", "x x", "b", axis=1)))
    with pytest.raises(UsageError, match=r"node if_y \(If\) has branches that give other shapes .*(.|\n)*fix the cond"):
        traced(path)


PARTS = {
    "split and at": [node("SplitToSequence", "x", "q", axis=1), node("SequenceAt", "q one", "y")],
    "slices": [node("SplitToSequence", "x", "q", axis=1, keepdims=0), node("SequenceAt", "q last", "y")],
    "parts of a size": [node("SplitToSequence", "x three", "q", axis=1), node("SequenceAt", "q one", "y")],
    "given sizes": [node("SplitToSequence", "x sizes", "q", axis=-1), node("ConcatFromSequence", "q", "y", axis=1)],
    "stacked": [node("SequenceConstruct", "x x", "q"), node("ConcatFromSequence", "q", "y", axis=1, new_axis=1)],
    "changed": [
        node("Neg", "x", "n"),
        node("SequenceConstruct", "x n", "q"),
        node("SequenceInsert", "q n one", "q1"),
        node("SequenceInsert", "q1 x", "q2"),
        node("SequenceErase", "q2 last", "q3"),
        node("SequenceErase", "q3 zero", "q4"),
        node("ConcatFromSequence", "q4", "y", axis=1),
    ],
    "counted": [
        node("SplitToSequence", "x", "q", axis=1),
        node("SequenceLength", "q", "count"),
        node("Cast", "count", "real", to=TensorProto.FLOAT),
        node("Mul", "x real", "y"),
    ],
}
PLACES = {
    "zero": np.array(0),
    "one": np.array(1),
    "last": np.array(-1),
    "three": np.array(3),
    "sizes": np.array([1, 4]),
}


@pytest.mark.parametrize("kind", PARTS)
def test_sequences_whose_parts_are_known(kind: str, tmp_path: Path) -> None:
    same_as_runtime(write(tmp_path / "net.onnx", PARTS[kind], {"x": (1, 5)}, ["y"], PLACES))


def test_a_sequence_that_is_an_output_is_refused(tmp_path: Path) -> None:
    made = model([node("SequenceConstruct", "x x", "y")], {"x": (1, 4)}, ["y"])
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    made.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(tensor))
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"output y of net.onnx is no tensor"):
        open_source(tmp_path / "net.onnx", None)
