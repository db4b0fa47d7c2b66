"""When int8 is not worth it: said in words, beside rows that show it only to those who look for it."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.report_rows import Row, has_latency
from edgekit.wording import fixed

LOST_POINTS = 2.0  # of top-1, beyond which a file counts as spoilt


def not_worth_it(rows: Sequence[Row]) -> list[str]:
    """One sentence for each int8 row that is not faster than its fp32 row, or loses more than LOST_POINTS.

    Rows belong together where network, weights, format and setting are the same. Faster means
    that the intervals of the medians lie apart; what was measured for one of the two only is not judged, and neither is
    an invalid latency.
    """
    full = {_key(row): row for row in rows if row.precision == "fp32"}
    said = []
    for row in rows:
        base = full.get(_key(row)) if row.precision == "int8" else None
        reasons = _reasons(row, base) if base else []
        if reasons:
            said.append(f"int8 is not worth it for {row.label}: {' and '.join(reasons)}.")
    return said


def _key(row: Row) -> tuple[object, ...]:
    return (
        row.variant,
        row.weights,
        row.format,
        row.runtime,
        row.place,
        row.threads,
        row.batch,
        row.provider,
        row.delegate,
    )


def _reasons(row: Row, base: Row) -> list[str]:
    reasons = []
    if has_latency(row) and has_latency(base) and row.ci95_ms and base.ci95_ms and row.ci95_ms[1] >= base.ci95_ms[0]:
        reasons.append(f"it is not faster than fp32 ({row.median_ms:.3g} ms against {base.median_ms:.3g} ms)")
    if row.top1 is not None and base.top1 is not None and row.dataset_hash == base.dataset_hash:
        lost = (base.top1 - row.top1) * 100
        if lost > LOST_POINTS:
            reasons.append(f"it loses {fixed(lost, 1)} points of top-1")
    return reasons
