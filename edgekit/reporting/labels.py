"""Names of a report's rows for people: as short as they can be and still be told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.reporting.rows import Row


def labels(rows: Sequence[Row]) -> list[str]:
    """Return a name for each row, no two equal: by setting, then weights, then sha256, each only where it is needed."""
    named = [""] * len(rows)
    left = list(range(len(rows)))
    for attempt in _ATTEMPTS:
        tried = {index: attempt(rows[index]) for index in left}
        counts = Counter([*named, *tried.values()])
        for index, name in tried.items():
            named[index] = name if counts[name] == 1 else ""
        left = [index for index in left if not named[index]]
    for index in left:
        named[index] = f"{_plain(rows[index])} (row {index + 1})"
    return named


def shorts(rows: Sequence[Row]) -> list[str]:
    """The variants, without the network's name where all rows are of one; of one variant, precision and format."""
    if len({row.variant for row in rows}) == 1 and len({(row.precision, row.format) for row in rows}) > 1:
        return [" ".join(filter(None, (row.precision, row.format))) for row in rows]
    models = {row.model for row in rows}
    if len(models) > 1 or None in models:
        return [row.variant for row in rows]
    return [row.variant.removeprefix(f"{row.model}_") for row in rows]


def _plain(row: Row) -> str:
    return " ".join(part for part in (row.variant, row.precision, row.runtime or row.format) if part)


def _where(row: Row) -> str:
    return row.setting or "not measured"


_ATTEMPTS: tuple[Callable[[Row], str], ...] = (
    _plain,
    lambda row: f"{_plain(row)} ({_where(row)})",
    lambda row: f"{_plain(row)} ({row.weights or row.artifact}, {_where(row)})",
    lambda row: f"{_plain(row)} ({row.sha256[:8]}, {_where(row)})",
)
