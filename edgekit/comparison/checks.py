"""Limits beside latency: accuracy image by image, the size of the file, and the peak memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgekit.comparison.evaluated import differences
from edgekit.comparison.limits import ACCURACY, LATENCY, MEMORY, SIZE, Limits
from edgekit.comparison.matching import Pairs
from edgekit.comparison.result import ADDED, MISSING, NOT_COMPARABLE, Check, Row
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.stats.accuracy import drop, gained
from edgekit.stats.limit import FAILED, PASSED, TINY
from edgekit.util.formatting import fixed

OPTIONS = {
    LATENCY: "--max-slowdown", ACCURACY: "--max-drop", SIZE: "--max-growth", MEMORY: "--max-memory-growth"
}  # fmt: skip
NEVER_EVALUATED = "never evaluated: run `edgekit eval` on it with the same --data"
Namer = Callable[[Measurement], str]


def checks(measured: Pairs[Measurement], evaluated: Pairs[Accuracy], wanted: Limits, name: Namer) -> Iterator[Check]:
    """Hold each file of the base and what came of it against the limits that were asked for.

    `measured` and `evaluated` are records of the base with those of the new side, or None where it has none.
    """
    if wanted.drop is not None:
        yield from _accuracies(measured, evaluated, wanted.drop)
    if wanted.growth is not None:
        yield from _sizes(measured, evaluated, wanted.growth)
    if wanted.memory_growth is not None:
        yield from (_memory(name(base), base, new, wanted.memory_growth) for base, new in measured)


def unheld(rows: Sequence[Row], held: Sequence[Check], wanted: Limits) -> Iterator[Check]:
    """A check for each limit against which nothing was held, so that no gate passes without having judged anything.

    A file that the new side lacks is judged: it fails. Where neither side has a latency, only a slowdown that was given
    has nothing to be held against.
    """
    judged = {check.gate for check in held}
    for gate, limit in wanted.asked.items():
        reason = _why_no_latency(rows, wanted) if gate == LATENCY else None if gate in judged else _nothing_for(gate)
        if reason is not None:
            yield _not_comparable(gate, "every file", reason, limit)


def _why_no_latency(rows: Sequence[Row], wanted: Limits) -> str | None:
    """Why no latency was held against its limit; None where one was, or none has to be."""
    statuses = {row.status for row in rows}
    if not statuses and not wanted.is_default:
        return "neither side has a latency: run `edgekit bench` on both, or give --max-slowdown none"
    return _nothing_for(LATENCY) if ADDED in statuses and statuses <= {ADDED, MISSING} else None


def _nothing_for(gate: str) -> str:
    return f"the two sides have no cell in common that {OPTIONS[gate]} could be held against"


def _accuracies(measured: Pairs[Measurement], evaluated: Pairs[Accuracy], limit: float) -> Iterator[Check]:
    for base, new in evaluated:
        yield _accuracy(base, new, limit)
    known = {base.sha256 for base, _ in evaluated}
    for name in dict.fromkeys(base.artifact for base, _ in measured if base.sha256 not in known):
        yield _not_comparable(ACCURACY, name, f"the base's {name} was {NEVER_EVALUATED}", limit)


def _accuracy(base: Accuracy, new: Accuracy | None, limit: float) -> Check:
    name = f"{_named(base, new)} on {base.dataset}"
    top1 = base.correct1 / base.n
    if new is None:
        return _missing(ACCURACY, name, top1, f"the new side's {base.artifact} was {NEVER_EVALUATED}", limit)
    if reason := differences(base, new):
        return _not_comparable(ACCURACY, name, reason, limit)
    values: dict[str, Any] = {"gate": ACCURACY, "name": name, "base": top1, "new": new.correct1 / new.n, "limit": limit}
    if base.sha256 == new.sha256:
        return Check(**values, change=0.0, change_ci95=None, passed=True, verdict=PASSED, reason="the same file")
    held = drop(base.hits, new.hits, limit)
    reason = f"{gained(held)} on {held.n:,} images {held.outcome(OPTIONS[ACCURACY])}"
    known: dict[str, Any] = {"change": held.value, "change_ci95": list(held.ci95), "passed": held.is_held}
    return Check(**values, **known, verdict=held.verdict, reason=reason)


def _sizes(measured: Pairs[Measurement], evaluated: Pairs[Accuracy], limit: float) -> Iterator[Check]:
    """One for each file of the base, by whichever record tells of it."""
    found: dict[str, Check] = {}
    both: list[tuple[Measurement | Accuracy, Measurement | Accuracy | None]] = [*measured, *evaluated]
    for base, new in both:
        if base.sha256 not in found or found[base.sha256].verdict == MISSING:
            size = None if new is None else _bytes(new)
            found[base.sha256] = _grown(SIZE, _named(base, new), _bytes(base), size, new is None, limit)
    yield from found.values()


def _named(base: Measurement | Accuracy, new: Measurement | Accuracy | None) -> str:
    """A file by its name; by both where the new one has another."""
    if new is None or new.artifact == base.artifact:
        return base.artifact
    return f"{new.artifact} against {base.artifact}"


def _bytes(record: Measurement | Accuracy) -> int | None:
    if isinstance(record, Measurement):
        return record.bytes
    return record.manifest.bytes if record.manifest else None


def _memory(name: str, base: Measurement, new: Measurement | None, limit: float) -> Check:
    if new is None:
        return _grown(MEMORY, name, base.memory.peak_bytes, None, True, limit)
    if base.memory.method != new.memory.method:
        return _not_comparable(MEMORY, name, f"{base.memory.method} and {new.memory.method}", limit)
    return _grown(MEMORY, name, base.memory.peak_bytes, new.memory.peak_bytes, False, limit)


def _grown(gate: str, name: str, base: int | None, new: int | None, is_missing: bool, limit: float) -> Check:
    if is_missing:
        return _missing(gate, name, base, "the base has this file and the new side does not", limit)
    if not base or not new:
        return _not_comparable(
            gate, name, f"the {gate} of {'the base' if not base else 'the new side'} is not known", limit
        )
    growth = new / base - 1
    passed = growth <= limit + TINY
    option = f"{'holds' if passed else 'fails'} {OPTIONS[gate]} {100 * limit:g}%"
    reason = f"{new:,} bytes against {base:,}, {fixed(100 * growth, 1, '+')} %, {option}"
    known: dict[str, Any] = {"gate": gate, "name": name, "base": base, "new": new, "change": growth, "limit": limit}
    verdict = PASSED if passed else FAILED
    return Check(**known, change_ci95=None, passed=passed, verdict=verdict, reason=reason)


def _missing(gate: str, name: str, base: float | None, reason: str, limit: float) -> Check:
    return Check(gate, name, base, None, None, None, limit, None, MISSING, reason)


def _not_comparable(gate: str, name: str, reason: str, limit: float) -> Check:
    return Check(gate, name, None, None, None, None, limit, None, NOT_COMPARABLE, reason)
