"""What a report says in words above its table: cells that fail, int8 that is not worth it, processors that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edgekit.records.failure import FailedCell
from edgekit.records.own_float import FLOAT
from edgekit.reporting.rows import Row, has_latency
from edgekit.stats.accuracy import gained
from edgekit.stats.limit import CANNOT_TELL, FAILED
from edgekit.stats.losses import Losses
from edgekit.util.formatting import some

REMOVED = (
    "A failure that is settled goes with `edgekit store rm --model NAME --since DATE`, which first shows what it takes."
)
LOST_POINTS = 2.0  # of top-1, beyond which a file counts as spoilt


def still_failing(rows: Sequence[Row], failures: Sequence[FailedCell]) -> list[str]:
    """Return one sentence for each reason; what has a later row, or failed later in another way, is not told."""
    latest = {(one.variant, one.format, one.precision, one.device): one for one in failures}
    reasons: dict[str, list[str]] = {}
    for one in latest.values():
        if not any(row.created >= one.created for row in _same(rows, one)):
            where = f" on {one.device}" if one.device else ""
            reasons.setdefault(one.reason, []).append(f"{one.variant} {one.format} {one.precision}{where}")
    said = [f"{some(names)} failed: {reason}." for reason, names in reasons.items()]
    return [*said, REMOVED] if said else []


def _same(rows: Sequence[Row], one: FailedCell) -> Iterator[Row]:
    """The rows of a cell. An older failure may be named after the network alone: any of its variants will do."""
    for row in rows:
        is_file = (row.format, row.precision) == (one.format, one.precision)
        is_network = one.variant in (row.variant, row.model)
        if is_file and is_network and (one.device in (None, row.device) or row.device in one.devices):
            yield row


def not_worth_it(rows: Sequence[Row], lost: Losses) -> list[str]:
    """One sentence for int8 rows that are not faster than their fp32 rows, others for those that lose over LOST_POINTS.

    Rows belong together where network, weights, format and run conditions are the same. Faster means
    that the intervals of the medians lie apart; what was measured for one of the two only is not judged, and neither is
    an invalid latency. `lost` are losses against no limit.
    """
    int8 = [row for row in rows if row.precision == "int8"]
    full = {_key(row): row for row in rows if row.precision == FLOAT}
    slow = [
        f"{row.label} ({row.median_ms:.3g} ms against {base.median_ms:.3g} ms)"
        for row in int8
        if (base := full.get(_key(row))) is not None and _slower(row, base)
    ]
    said = [f"int8 is not faster than fp32: {some(slow)}."] if slow else []
    return said + _lossy(int8, lost)


def _lossy(rows: Iterable[Row], lost: Losses) -> list[str]:
    """One sentence for the files that lose too much, and one for those of which so many images cannot tell."""
    what = f"int8 loses more than {LOST_POINTS:g} points of top-1"
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        held = lost[row.sha256].within(LOST_POINTS / 100) if row.top1 is not None and row.sha256 in lost else None
        if held is not None and held.verdict == FAILED:
            found.setdefault(what, {})[f"{row.label} ({gained(held)})"] = None
        elif held is not None and held.verdict == CANNOT_TELL:
            said = f"{held.n:,} images cannot tell whether {what}"
            found.setdefault(said, {})[f"{row.label} ({gained(held)}; {held.doubt()})"] = None
    return [f"{told}: {some(list(names), between='; ')}." for told, names in found.items()]


def instructions_apart(rows: Sequence[Row]) -> list[str]:
    """Where numbers that stand side by side come from processors with other instructions: a sentence for each kind.

    Latencies differ by them on one device's name, and answers of int8 files in onnxruntime may.
    """
    said = []
    for place in dict.fromkeys(row.place for row in rows if has_latency(row)):
        found = _by_instructions((row.instructions, row) for row in rows if row.place == place and has_latency(row))
        if len(found) > 1:
            said.append(f"Latencies on {place} are of different processors: {_named(found)}.")
    judged = (row for row in rows if row.precision == "int8" and row.top1 is not None)
    found = _by_instructions((row.accuracy_instructions, row) for row in judged)
    if len(found) > 1:
        said.append(f"Accuracies of int8 are of different processors, which may answer otherwise: {_named(found)}.")
    for row in rows:
        known = None not in (row.instructions, row.accuracy_instructions)
        if row.precision == "int8" and known and row.instructions != row.accuracy_instructions:
            said.append(
                f"{row.label} was timed with {row.instructions} and evaluated with {row.accuracy_instructions}: "
                "it may answer otherwise where it was timed."
            )
    return said


def _by_instructions(told: Iterable[tuple[str | None, Row]]) -> dict[str, list[str]]:
    """The labels of rows under the instructions that are told of them."""
    found: dict[str, list[str]] = {}
    for instructions, row in told:
        if instructions is not None:
            found.setdefault(instructions, []).append(row.label)
    return found


def _named(found: dict[str, list[str]]) -> str:
    return "; ".join(f"{instructions}: {some(labels)}" for instructions, labels in found.items())


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
        row.sustained_seconds,
    )


def _slower(row: Row, base: Row) -> bool:
    timed = has_latency(row) and has_latency(base)
    return bool(timed and row.ci95_ms and base.ci95_ms and row.ci95_ms[1] >= base.ci95_ms[0])
