"""How numbers and foreign texts are written."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.util.formatting import count, counted, csv_cell, escaped, fixed, in_markdown, percent, size, some


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [(97.25, 1, "97.3"), (-0.125, 2, "-0.13"), (0.285 * 100, 0, "29"), (1234567.0, 0, "1,234,567"), (1e-9, 3, "0.000")],
)
def test_halves_go_away_from_zero_however_binary_fractions_hold_them(value: float, digits: int, said: str) -> None:
    assert fixed(value, digits) == said


def test_a_sign_is_written_where_it_is_asked_for() -> None:
    assert (fixed(0.5, 1, "+"), fixed(-0.5, 1, "+"), percent(0.9725)) == ("+0.5", "-0.5", "97.3")


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [(1, ("cell",), "1 cell"), (2000, ("cell",), "2,000 cells"), (0, ("entry", "entries"), "0 entries")],
)
def test_a_number_with_its_noun(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert escaped("a\x1b[2Jb\u202e\n") == "a\\x1b[2Jb\\u202e\\n"
    assert escaped("a\n\tb\r", lines=True) == "a\n\tb\\r"


@pytest.mark.parametrize("text", ["=1+1", "+1", "@x", "-2"])
def test_a_formula_stays_a_text_in_a_spreadsheet(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert csv_cell(f"a{text}") == f"a{text}"


@pytest.mark.parametrize(
    ("names", "how", "said"),
    [
        ([], {}, ""),
        (["a", "b", "c"], {}, "a, b, c"),
        (["a", "b", "c", "d"], {}, "a, b, c and 1 more"),
        (["a"] * 2002, {"most": 2}, "a, a and 2,000 more"),
        (["a, b", "c"], {"most": 2, "between": "; "}, "a, b; c"),
    ],
)
def test_the_first_of_many_names(names: list[str], how: dict[str, Any], said: str) -> None:
    assert some(names, **how) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (999, "999"), (4231976, "4.23 M"), (12_345, "12.3 k"), (999_999, "1.00 M"), (7e9, "7.00 G")],
)
def test_large_numbers_have_three_digits_and_a_unit(value: float | None, said: str) -> None:
    assert count(value) == said


def test_bytes_have_their_unit() -> None:
    assert (size(None), size(12), size(5316992), size(999_960)) == ("-", "12 B", "5.32 MB", "1.00 MB")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a & b", "a & b"),
        ("&lt;b&#62;", r"&amp;lt;b&amp;\#62;"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("net_0.5|int8", r"net\_0.5\|int8"),
        ("# one\ntwo `three` *four* [five]", r"\# one two \`three\` \*four\* \[five\]"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, written: str) -> None:
    assert in_markdown(text) == written
