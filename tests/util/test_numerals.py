"""Numbers of foreign texts: what is none is None, and what is one is small enough for every step that follows."""

from __future__ import annotations

import pytest

from edgekit.util.numerals import LARGEST, kibibytes, real, whole

NONE = (
    None,
    "",
    " 1",
    "1 ",
    "1\n",
    "9" * 5000,
    "1e999",
    "inf",
    "nan",
    "-inf",
    "0x1",
    "1_0",
    "٣",
    "³",
    "--1",
    "1.2.3",
    "1e",
)


@pytest.mark.parametrize("text", [*NONE, "1.0", "1e3", str(LARGEST + 1), str(-LARGEST - 1)])
def test_what_is_no_whole_number(text: str | None) -> None:
    assert whole(text) is None and kibibytes(text) is None


@pytest.mark.parametrize("text", [*NONE, ".", "1e9999", "1e16", "0." + "9" * 5000])
def test_what_is_no_number(text: str | None) -> None:
    assert real(text) is None


def test_numbers() -> None:
    assert [whole(text) for text in ("0", "-7", "+7", "007", str(LARGEST))] == [0, -7, 7, 7, LARGEST]
    assert [real(text) for text in ("0", "-7.5", "+.5", "5.", "1e-3", "2.5E+3")] == [0, -7.5, 0.5, 5, 1e-3, 2500]
    assert kibibytes("3") == 3072
