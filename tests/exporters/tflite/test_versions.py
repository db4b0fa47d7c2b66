"""The versions of operators, and the oldest runtime that has them."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema
from torch import nn

from edgekit.exporters.tflite.versions import minimum_runtime
from tests.exporters.tflite.test_writer import MAP, model_of


def test_versions_are_the_lowest_that_do(open_tflite: Any, graph_of: Any) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.GELU(), nn.Flatten(), nn.Linear(64, 5))
    model = model_of(open_tflite(graph_of(network, MAP)).path)
    versions = {code.builtinCode: code.version for code in model.operatorCodes}
    operators = schema.BuiltinOperator
    assert versions == {operators.CONV_2D: 6, operators.GELU: 1, operators.RESHAPE: 1, operators.FULLY_CONNECTED: 1}
    assert all(code.deprecatedBuiltinCode == min(code.builtinCode, 127) for code in model.operatorCodes)
    note = next(entry for entry in model.metadata if entry.name == b"min_runtime_version")
    assert bytes(model.buffers[note.buffer].data).rstrip(b"\0") == b"2.9.0"
    assert minimum_runtime({"CONV_2D": 1, "MEAN": 2, "TRANSPOSE": 6}) == "2.12.0"
