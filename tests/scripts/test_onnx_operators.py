"""The page of ONNX's operators is the one that the reader's table makes."""

from __future__ import annotations

from edgekit.importers.onnx.table import LIMITS, OPERATORS
from scripts.onnx_operators import PAGE, page


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m scripts.onnx_operators"


def test_limits_are_of_operators_that_are_read() -> None:
    assert set(LIMITS) <= set(OPERATORS)
