"""A table for something else than a terminal: CSV for a spreadsheet, Markdown for a page, LaTeX for a paper.

Numbers stand there as they are, not rounded to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgekit.cli.output import as_line
from edgekit.cli.tables import Json
from edgekit.errors import UsageError, nearest
from edgekit.util.table_text import as_csv, as_latex, as_markdown

FORMATS = ("text", "json", "csv", "md", "latex")
ALIASES = {"markdown": "md", "tex": "latex"}
Fields = Mapping[str, Callable[[Json], Any]]  # the heading of each column, and its value in a row


def checked(format: str, known: Sequence[str] = FORMATS) -> str:
    """Return the format, of those that a command has, under its own name. Raises UsageError for another one."""
    name = ALIASES.get(format, format)
    if name not in known:
        raise UsageError(f"unknown format '{format}'{nearest(format, known)}", f"choose one of: {', '.join(known)}")
    return name


def text(format: str, document: Json, fields: Fields, rows: Sequence[Json]) -> str | None:
    """The rows in a checked format, or the document where that is JSON; None where the terminal's own view is asked."""
    if format == "text":
        return None
    if format == "json":
        return as_line(document)
    values = [[value(row) for value in fields.values()] for row in rows]
    return {"csv": as_csv, "md": as_markdown, "latex": as_latex}[format](list(fields), values)
