"""A table for something else than a terminal: CSV for a spreadsheet, Markdown for a page, LaTeX for a paper.

Numbers stand there as they are, not rounded to be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgekit.cli.output import as_line
from edgekit.cli.tables import UNKNOWN, Json
from edgekit.errors import UsageError, nearest
from edgekit.util.formatting import csv_cell, escaped

FORMATS = ("text", "json", "csv", "md", "latex")
ALIASES = {"markdown": "md", "tex": "latex"}
Fields = Mapping[str, Callable[[Json], Any]]  # the heading of each column, and its value in a row

_TEX = str.maketrans({**{one: f"\\{one}" for one in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"})
_MARKDOWN = str.maketrans({one: f"\\{one}" for one in "\\|*_`[]<>"})


def checked(format: str) -> str:
    """The format under its own name. Raises UsageError for one that there is not."""
    known = ALIASES.get(format, format)
    if known not in FORMATS:
        raise UsageError(f"unknown format '{format}'{nearest(format, FORMATS)}", f"choose one of: {', '.join(FORMATS)}")
    return known


def text(format: str, document: Json, fields: Fields, rows: Sequence[Json]) -> str | None:
    """The rows in a checked format, or the document where that is JSON; None where the terminal's own view is asked."""
    if format == "text":
        return None
    if format == "json":
        return as_line(document)
    values = [[value(row) for value in fields.values()] for row in rows]
    return {"csv": _csv, "md": _markdown, "latex": _latex}[format](list(fields), values)


def _csv(heads: list[str], rows: list[list[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow(csv_cell(value) if isinstance(value, str) else value for value in row)
    return stream.getvalue()


def _markdown(heads: list[str], rows: list[list[Any]]) -> str:
    first, *others = ([_shown(value).translate(_MARKDOWN) for value in row] for row in (heads, *rows))
    sides = ["--:" if right else "---" for right in _right(rows, len(heads))]
    return "".join(f"| {' | '.join(line)} |\n" for line in (first, sides, *others))


def _latex(heads: list[str], rows: list[list[Any]]) -> str:
    """A tabular that needs no package."""
    sides = "".join("r" if right else "l" for right in _right(rows, len(heads)))
    lines = [" & ".join(_shown(value).translate(_TEX) for value in row) for row in (heads, *rows)]
    first, *others = (f"{line} \\\\\n" for line in lines)
    body = f"\\hline\n{first}\\hline\n{''.join(others)}\\hline\n"
    return f"\\begin{{tabular}}{{{sides}}}\n{body}\\end{{tabular}}\n"


def _right(rows: list[list[Any]], columns: int) -> list[bool]:
    """Which columns hold numbers."""
    return [any(isinstance(row[at], (int, float)) for row in rows) for at in range(columns)]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escaped(str(value))
