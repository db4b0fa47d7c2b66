"""The version of ONNX's format that goes with an opset."""

from __future__ import annotations

import onnx
import pytest

from edgekit.exporters.onnx.versions import IR_VERSIONS


@pytest.mark.parametrize("opset", IR_VERSIONS)
def test_the_ir_version_is_the_oldest_that_admits_the_opset(opset: int) -> None:
    assert onnx.helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)] == IR_VERSIONS[opset]
