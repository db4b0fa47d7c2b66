"""Weights that a file expands from int8: proved against the same weights, rounded, in the float network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx import expanded
from edgekit.exporters.onnx import writer as onnx_writer
from edgekit.exporters.onnx.emitter import Emission


def test_a_file_with_another_scale_is_not_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = expanded.emit

    def wrong(job: WriteJob, opset: int, operator: Any) -> Emission:
        emission = real(job, opset, operator)
        name = next(name for name in emission.constants if name.endswith("/scale"))
        emission.constants[name] = emission.constants[name] * np.float32(1.002)
        return emission

    monkeypatch.setattr(onnx_writer, "emit_expanded", wrong)
    (failed,) = edgekit.export("lenet5", format=["onnx"], precision=["int8w"], out=tmp_path).failed
    assert "against the float network with rounded weights" in failed.error.message
    assert failed.error.exit_code == 3
