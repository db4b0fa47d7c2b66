"""The limit of one ONNX file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx import serialize
from edgekit.exporters.onnx.writer import write
from tests.exporters.onnx.test_writer import graph_of


def test_too_large_for_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialize, "LIMIT_BYTES", 1000)
    with pytest.raises(UsageError, match="GB"):
        write(WriteJob(graph_of("linear"), "fp32"), tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())
