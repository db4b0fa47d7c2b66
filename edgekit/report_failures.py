"""What a sweep could not do and nobody has done since: said in words, because it has no numbers to make a row of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.report_rows import Row
from edgekit.store import FailedCell

NAMED = 3  # cells of one reason that are named; the store has the others


def still_failing(rows: Sequence[Row], failures: Sequence[FailedCell]) -> list[str]:
    """One sentence for each reason; what has a later row, or failed later in another way, is not told."""
    latest = {(one.variant, one.format, one.precision, one.device): one for one in failures}
    reasons: dict[str, list[str]] = {}
    for one in latest.values():
        if not any(row.created >= one.created for row in _same(rows, one)):
            where = f" on {one.device}" if one.device else ""
            reasons.setdefault(one.reason, []).append(f"{one.variant} {one.format} {one.precision}{where}")
    return [f"{_some(names)} failed: {reason}." for reason, names in reasons.items()]


def _same(rows: Sequence[Row], one: FailedCell) -> Iterator[Row]:
    """The rows of a cell. An older failure may be named after the network alone: any of its variants will do."""
    for row in rows:
        is_file = (row.format, row.precision) == (one.format, one.precision)
        if is_file and one.variant in (row.variant, row.model) and one.device in (None, row.device):
            yield row


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
