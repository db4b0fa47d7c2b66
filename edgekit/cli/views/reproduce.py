"""What `reproduce mobilenet` shows: what was published beside exact counts and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, milliseconds, percent, table
from edgekit.util.formatting import UNKNOWN, counted

MARKS = {"suspect": "?", "invalid": "!", "not assessed": "!"}


def reproduce(document: Json, width: int) -> View:
    """Yield the published tables beside exact counts and what was measured, the correlations, and the files."""
    cells: dict[str, list[Json]] = {}
    for cell in document["cells"]:
        cells.setdefault(cell["variant"], []).append(cell)
    for one in document["tables"]:
        yield Text(one["title"], style="bold")
        yield from table(_columns(cells), one["rows"], width)
        yield Text()
    yield Text("* printed operations that are not the exact ones, rounded. Here: the best file of each precision.")
    if any(_of(cell, "measurement", "verdict") in MARKS for cell in document["cells"]):
        yield Text("? the measurement is suspect; ! it is invalid, or not assessed: the report says why")
    for one in document["correlations"]:
        value = UNKNOWN if one["spearman"] is None else f"{one['spearman']:.3f}"
        yield Text(
            f"rank correlation of {one['series']} with {one['published']}: {value} over {counted(one['n'], 'variant')}"
        )
    yield from _failures(document["cells"])
    yield from document["paths"]


def _columns(cells: dict[str, list[Json]]) -> tuple[Column, ...]:
    return (
        Column("network", lambda row: row["variant"], left=True),
        Column("MACs, exact", lambda row: f"{row['macs'] / 1e6:,.2f} M"),
        Column("paper", lambda row: _printed(row["paper"])),
        Column("TF-slim", lambda row: _printed(row["slim"])),
        Column("parameters", lambda row: f"{row['params'] / 1e6:,.3f} M", rank=2),
        Column("top-1 paper", lambda row: percent(_of(row, "paper", "top1"))),
        Column("TF-slim", lambda row: percent(_of(row, "slim", "top1"))),
        Column("here fp32", lambda row: _accuracy(cells, row, "fp32")),
        Column("int8", lambda row: _accuracy(cells, row, "int8")),
        Column("ms fp32", lambda row: _latency(cells, row, "fp32"), rank=1),
        Column("int8", lambda row: _latency(cells, row, "int8"), rank=1),
    )


def _failures(cells: Sequence[Json]) -> View:
    """Each reason once, with how many cells have it."""
    failed = [cell for cell in cells if cell["status"] == "failed"]
    for reason, remedy in dict.fromkeys((cell["reason"], cell["remedy"]) for cell in failed):
        number = sum(cell["reason"] == reason for cell in failed)
        yield Text(f"failed: {number} of {counted(len(cells), 'cell')}: {reason}", style="red")
        yield Text(f"   fix: {remedy}")


def _of(row: Json, part: str, key: str) -> Any:
    return row[part][key] if row[part] else None


def _printed(row: Json | None) -> str:
    return (
        UNKNOWN if row is None or row["macs"] is None else f"{row['macs'] / 1e6:,.0f}{'*' if row['differs'] else ' '}"
    )


def _accuracy(cells: dict[str, list[Json]], row: Json, precision: str) -> str:
    """Of the most accurate file of a variant in a precision."""
    found = (_of(cell, "accuracy", "top1") for cell in cells.get(row["variant"], ()) if cell["precision"] == precision)
    return percent(max((value for value in found if value is not None), default=None))


def _latency(cells: dict[str, list[Json]], row: Json, precision: str) -> str:
    """Of the fastest file of a variant in a precision, one whose measurement is worth something if there is any."""
    files = [cell["measurement"] for cell in cells.get(row["variant"], ()) if cell["precision"] == precision]
    found = [one for one in files if one and one["median_ms"] is not None]
    if not found:
        return milliseconds(None)
    best = min(found, key=lambda one: (MARKS.get(one["verdict"]) == "!", one["median_ms"]))
    return milliseconds(best["median_ms"]) + MARKS.get(best["verdict"], "")
