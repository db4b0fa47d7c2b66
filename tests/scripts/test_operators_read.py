"""The pages of the operators that are read are those that the readers' tables make."""

from __future__ import annotations

from types import ModuleType

import pytest

from edgekit.importers.onnx import table as onnx
from edgekit.importers.tflite import table as tflite
from scripts.operators_read import pages


def test_the_pages_are_those_of_the_tables() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, "run python -m scripts.operators_read"


@pytest.mark.parametrize("table", [onnx, tflite])
def test_limits_are_of_operators_that_are_read(table: ModuleType) -> None:
    assert set(table.LIMITS) <= set(table.OPERATORS)
