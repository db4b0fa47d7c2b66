"""What a file must hold to be chosen: limits as they are written, and whether a row of a report holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgekit.choosing.gaps import (
    INVALID_LATENCY,
    LATENCY_INSIDE,
    LOSS_INSIDE,
    NO_FLOAT,
    NO_LATENCY,
    TOP1_INSIDE,
    UNEVALUATED,
    UNMEASURED,
    UNTRAINED,
    Gap,
)
from edgekit.records.measurement import INVALID
from edgekit.records.own_float import FLOAT
from edgekit.records.reasons import causes
from edgekit.reporting.rows import Row, has_latency
from edgekit.stats.limit import FAILED, PASSED
from edgekit.stats.losses import Losses
from edgekit.util.formatting import percent
from edgekit.util.quantity import Quantity, milliseconds, points, size, top1_limit

HOLDS, FAILS, CANNOT_TELL = "holds", "fails", "cannot tell"


@dataclass(frozen=True)
class Limits:
    """None: no limit. `min_top1` is a fraction of 1, and so is `max_drop`, from the float file of the same network."""

    max_latency_ms: float | None = None
    min_top1: float | None = None
    max_bytes: int | None = None
    max_memory_bytes: int | None = None
    max_drop: float | None = None


@dataclass(frozen=True)
class Check:
    """Whether a row holds one limit, and in words why; `gap`: what leaves it open."""

    outcome: str
    reason: str
    gap: Gap | None = None


def limits(
    max_latency: Quantity, min_top1: Quantity, max_bytes: Quantity, max_memory: Quantity, max_drop: Quantity = None
) -> Limits:
    """Return the limits as they are written: "10ms", 70 or "70%", "5MB", "100MiB"; numbers are ms, percent and bytes.
    A drop is in points.

    Raises UsageError for what is no such quantity, and for a top-1 that is a fraction.
    """
    return Limits(
        milliseconds(max_latency, "--max-latency"),
        top1_limit(min_top1, "--min-top1"),
        size(max_bytes, "--max-bytes"),
        size(max_memory, "--max-memory", "100MB"),
        points(max_drop, "--max-drop"),
    )


def checks(row: Row, wanted: Limits, lost: Losses) -> Iterator[Check]:
    """Return the limits that are set, each with its outcome for this row. A limit inside an interval cannot be told."""
    asked: tuple[tuple[float | None, Callable[[Row, float], Check]], ...] = (
        (wanted.min_top1, _accuracy),
        (wanted.max_drop, lambda one, _: _loss(one, lost)),
        (wanted.max_latency_ms, _latency),
        (wanted.max_bytes, lambda one, limit: _exact(one, "bytes", "size", limit)),
        (wanted.max_memory_bytes, lambda one, limit: _exact(one, "peak_memory_bytes", "peak memory", limit)),
    )
    return (check(row, limit) for limit, check in asked if limit is not None)


def _accuracy(row: Row, limit: float) -> Check:
    if row.top1 is None or row.top1_ci95 is None:
        return Check(CANNOT_TELL, f"top-1 is unknown: {why_no_top1(row)}", no_accuracy(row))
    low, high = row.top1_ci95
    told = f"top-1 {percent(row.top1)} % (95 % {percent(low)} .. {percent(high)})"
    return _against(told, f"{100 * limit:g} %", TOP1_INSIDE, holds=low >= limit, fails=high < limit, beyond="below")


def _loss(row: Row, lost: Losses) -> Check:
    if row.precision == FLOAT and row.top1 is not None:
        return Check(HOLDS, "a float file loses nothing")
    if row.top1 is None:
        return Check(CANNOT_TELL, f"its loss of top-1 is unknown: {why_no_top1(row)}", no_accuracy(row))
    found = lost.get(row.sha256)
    if found is None:
        told = "its loss of top-1 is unknown: no fp32 file of its network was evaluated on the same images"
        return Check(CANNOT_TELL, told, NO_FLOAT)
    outcome = {PASSED: HOLDS, FAILED: FAILS}.get(found.held.verdict, CANNOT_TELL)
    return Check(outcome, found.reason, LOSS_INSIDE if outcome == CANNOT_TELL else None)


def why_no_top1(row: Row) -> str:
    """Return why a row has no accuracy, in words."""
    return row.missing.get("top1", "not evaluated")


def no_accuracy(row: Row) -> Gap:
    """Return what a row lacks that has no accuracy."""
    return UNTRAINED if row.trained is False else UNEVALUATED


def _latency(row: Row, limit: float) -> Check:
    if not has_latency(row) or row.median_ms is None:
        return Check(CANNOT_TELL, f"latency is unknown: {why_no_latency(row)}", gap_of_latency(row))
    told, wanted = f"latency {_ms(row.median_ms)} ms", f"{limit:g} ms"
    if row.ci95_ms is None:
        reason = row.missing.get("ci95_ms", "it has no interval")
        return Check(CANNOT_TELL, f"{told} cannot be held against {wanted}: {reason}", LATENCY_INSIDE)
    low, high = row.ci95_ms
    told = f"{told} (95 % {_ms(low)} .. {_ms(high)})"
    return _against(told, wanted, LATENCY_INSIDE, holds=high <= limit, fails=low > limit, beyond="above")


def _against(told: str, wanted: str, inside: Gap, *, holds: bool, fails: bool, beyond: str) -> Check:
    if holds:
        return Check(HOLDS, f"{told} holds {wanted}")
    if fails:
        return Check(FAILS, f"{told} is {beyond} {wanted}")
    return Check(CANNOT_TELL, f"{told}: the limit of {wanted} lies inside the interval", inside)


def _exact(row: Row, field: str, word: str, limit: float) -> Check:
    value = getattr(row, field)
    if value is None:
        return Check(CANNOT_TELL, f"{word} is unknown: {row.missing.get(field, 'not measured')}", UNMEASURED)
    told = f"{word} {value:,} bytes"
    if value <= limit:
        return Check(HOLDS, f"{told} holds {limit:,.0f}")
    return Check(FAILS, f"{told} is above {limit:,.0f}")


def gap_of_latency(row: Row) -> Gap:
    """Return what a row lacks that has no latency that may be ranked."""
    return INVALID_LATENCY if row.verdict == INVALID else NO_LATENCY


def why_no_latency(row: Row) -> str:
    """Return why a row has no latency that may be ranked, in words."""
    if row.median_ms is None:
        return row.missing.get("median_ms", "not measured")
    if row.runtime == "null":
        return "the runtime null runs nothing"
    return f"the measurement is invalid: {causes(row.verdict, row.reasons)}"


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
