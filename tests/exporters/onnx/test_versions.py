"""The version of ONNX's format that goes with an opset."""

from __future__ import annotations

import onnx
import pytest

from edgekit.errors import UsageError
from edgekit.exporters.onnx.versions import DEFAULT_OPSET, IR_VERSIONS, opset_of
from edgekit.ir.graph import Graph, Op


@pytest.mark.parametrize("opset", IR_VERSIONS)
def test_the_ir_version_is_the_oldest_that_admits_the_opset(opset: int) -> None:
    assert onnx.helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)] == IR_VERSIONS[opset]


@pytest.mark.parametrize(
    ("kind", "shape", "opset"),
    [
        ("relu", (1, 3, 4, 4), DEFAULT_OPSET),
        ("bitwise_xor", (1, 3), 18),
        ("grid_sample", (1, 3, 4, 4), DEFAULT_OPSET),
        ("grid_sample", (1, 3, 4, 4, 4), 20),
    ],
)
def test_where_none_is_asked_for_it_is_what_the_operators_need(kind: str, shape: tuple[int, ...], opset: int) -> None:
    graph = Graph((Op("x", "input", (), shape), Op("y", kind, ("x",), shape)), {"": "y"}, {})
    assert opset_of(graph, None) == opset and opset_of(graph, 16) == 16
    with pytest.raises(UsageError, match="opset 21 is not supported"):
        opset_of(graph, 21)
