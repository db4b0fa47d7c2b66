"""A table as text for other programs: CSV, Markdown and LaTeX. Numbers stand there as they are, not rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from edgekit.util.formatting import UNKNOWN, csv_cell, escaped, in_markdown

_TEX = str.maketrans({**{one: f"\\{one}" for one in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"})


def as_csv(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """For a spreadsheet: no text is a formula there."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in (heads, *rows):
        writer.writerow(csv_cell(value) if isinstance(value, str) else value for value in row)
    return stream.getvalue()


def as_markdown(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """For a page."""
    first, *others = ([in_markdown(_shown(value)) for value in row] for row in (heads, *rows))
    sides = ["--:" if right else "---" for right in _right(rows, len(heads))]
    return "".join(f"| {' | '.join(line)} |\n" for line in (first, sides, *others))


def as_latex(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a tabular that needs no package."""
    sides = "".join("r" if right else "l" for right in _right(rows, len(heads)))
    lines = [" & ".join(_shown(value).translate(_TEX) for value in row) for row in (heads, *rows)]
    first, *others = (f"{line} \\\\\n" for line in lines)
    body = f"\\hline\n{first}\\hline\n{''.join(others)}\\hline\n"
    return f"\\begin{{tabular}}{{{sides}}}\n{body}\\end{{tabular}}\n"


def _right(rows: Sequence[Sequence[Any]], columns: int) -> list[bool]:
    """Which columns hold numbers."""
    return [any(isinstance(row[at], (int, float)) for row in rows) for at in range(columns)]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escaped(str(value))
