"""A file a line and a device a column: the same files side by side on several devices. No disk, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.reporting.rows import Row

MAX_FILES = 300  # in a page or a text; the CSV and JSON reports have all


@dataclass(frozen=True)
class Line:
    """One file; `cells` has its measurements on each place, the quickest first."""

    file: Row
    cells: tuple[tuple[Row, ...], ...]


@dataclass(frozen=True)
class ByDevice:
    """The columns' places, the lines, and which fields tell measurements of one file on one place apart."""

    places: tuple[str, ...]
    lines: tuple[Line, ...]
    apart: tuple[str, ...]

    def how(self, row: Row) -> str:
        """What tells a measurement from others in the table, such as "4 threads"; empty where all were taken alike."""
        words = {"threads": "thread" if row.threads == 1 else "threads"}
        values = ((name, getattr(row, name)) for name in self.apart)
        told = (
            f"batch {value}" if name == "batch" else f"{value} {words.get(name, '')}".strip() for name, value in values
        )
        return ", ".join(one for one in told if "None" not in one)


def by_device(rows: Sequence[Row]) -> ByDevice | None:
    """Return the table, or None where fewer than two devices measured anything."""
    timed = [row for row in rows if row.place is not None and row.median_ms is not None and row.runtime != "null"]
    timed = [row for row in timed if row.sustained_seconds is None]  # another number, with a table of its own
    places = tuple(sorted({row.place for row in timed if row.place}))
    if len(places) < 2:
        return None
    files: dict[str, list[Row]] = {}
    for row in timed:
        files.setdefault(row.sha256, []).append(row)
    lines = tuple(Line(some[0], tuple(_cell(some, place) for place in places)) for some in files.values())
    return ByDevice(places, lines[:MAX_FILES], _apart(timed))


def _cell(rows: Sequence[Row], place: str) -> tuple[Row, ...]:
    return tuple(sorted((row for row in rows if row.place == place), key=lambda row: row.median_ms or 0))


def _apart(rows: Sequence[Row]) -> tuple[str, ...]:
    """The conditions beside the place in which measurements of one format differ."""
    by_format: dict[str, list[Row]] = {}
    for row in rows:
        by_format.setdefault(row.format, []).append(row)
    names = ("runtime", "way", "threads", "batch", "sizes")
    return tuple(
        name for name in names if any(len({getattr(row, name) for row in some}) > 1 for some in by_format.values())
    )
