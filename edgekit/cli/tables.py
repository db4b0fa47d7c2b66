"""How results look to a person: from the documented JSON to tables that fit the terminal.

A table names its columns with a rank; where the terminal is too narrow, the least important columns are left out
and named below it; where even the others do not fit, the first one goes over several lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgekit.records.reasons import each_once
from edgekit.util import formatting
from edgekit.util.formatting import UNKNOWN

Json = dict[str, Any]
MORE_DIGITS = 5  # beyond those that are usual, until the ends of an interval are taken for equal
View = Iterator[RenderableType]  # strings are printed as they are; what rich renders is wrapped to the terminal


@dataclass(frozen=True)
class Column:
    """A column: its heading, how a row fills it, its rank (0 is never left out), and its alignment.

    `full` is what it is called away from its neighbors.
    """

    title: str
    text: Callable[[Json], str]
    rank: int = 0
    left: bool = False
    full: str | None = None


def fitting(columns: Sequence[Column], rows: Sequence[Json], width: int) -> tuple[list[Column], bool]:
    """Return the columns that a table of `width` shows, and whether even those are too wide."""
    widths = {column: max(len(column.title), *(len(column.text(row)) for row in rows), 0) + 2 for column in columns}
    kept = list(columns)
    while sum(widths[column] for column in kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept, sum(widths[column] for column in kept) > width


def table(columns: Sequence[Column], rows: Sequence[Json], width: int) -> Iterator[RenderableType]:
    """Yield the rows in as many columns as fit into `width`."""
    kept, too_wide = fitting(columns, rows, width)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in kept:
        side = "left" if column.left else "right"
        folds = column is kept[0] and too_wide  # rather than that others are cut
        shown.add_column(column.title, justify=side, no_wrap=not folds, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        shown.add_row(*(Text(column.text(row)) for column in kept))
    yield shown
    missing = [column.full or column.title for column in columns if column not in kept]
    if missing:
        yield Text(f"(a wider terminal or --json also shows: {', '.join(missing)})", style="dim")


def milliseconds(value: float | None, more: int = 0) -> str:
    """Three digits that mean something, and so many `more`."""
    return UNKNOWN if value is None else formatting.milliseconds(value, more)


def percent(value: float | None, more: int = 0) -> str:
    """0.706 as "70.6 %", with so many `more` digits."""
    return UNKNOWN if value is None else f"{formatting.percent(value, 1 + more)} %"


def ratio(value: float, more: int = 0) -> str:
    """1.0251 as "1.025", with so many `more` digits."""
    return formatting.fixed(value, 3 + more)


def interval(bounds: Sequence[float] | None, text: Callable[[float, int], str]) -> str:
    """[lo, hi] as "lo .. hi", with as many digits as tell them apart; equal ones as "no spread"."""
    if not bounds or bounds[0] is None:
        return UNKNOWN
    low, high = bounds
    for more in range(MORE_DIGITS):
        if text(low, more) != text(high, more):
            return f"{text(low, more)} .. {text(high, more)}".replace(" % ..", " ..")
    return "no spread"


def file_name(path: str | None) -> str:
    """Return the last part of a path."""
    return (path or UNKNOWN).rpartition("/")[2]


def facts(pairs: Iterable[tuple[str, str]]) -> RenderableType:
    """Two columns: a word and what is the case."""
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for key, value in pairs:
        shown.add_row(Text(key, style="bold"), Text(value))
    return shown


def verdicts(measured: Sequence[tuple[str, str, Sequence[str]]]) -> Iterator[Text]:
    """Yield why measurements are not valid, each reason once with the files that it concerns, then what is not known.

    Each is told by the name of its file, its verdict and its reasons.
    """
    for told, places in each_once([(verdict, reasons) for _, verdict, reasons in measured]):
        yield Text(f"{told}{_whose([measured[place][0] for place in places], len(measured))}", style="dim")


def _whose(names: Sequence[str], of: int) -> str:
    """In brackets whose something is, of so many; nothing where there is only one."""
    return "" if of == 1 else f" (all {of})" if len(names) == of else f" ({formatting.some(names)})"


def failure(what: str, row: Json) -> Iterator[Text]:
    """Yield what failed and how to mend it, in two lines."""
    yield Text(f"failed: {what}: {row['reason']}", style="red")
    yield Text(f"   fix: {row['remedy']}")
