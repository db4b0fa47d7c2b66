"""Two measurements against each other: the ratio of their medians, its interval, and what may be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Any

from edgekit.records.measurement import INVALID, SUSPECT, Measurement, ProcessRun
from edgekit.records.reasons import causes
from edgekit.stats import ratio


@dataclass(frozen=True)
class Versus:
    """One file against the first, block by block."""

    base: tuple[str, Measurement]
    new: tuple[str, Measurement]

    def to_json(self) -> dict[str, Any]:
        """Return a row of `compare`, with the effect of the place in a block: going second over going first."""
        return {
            "base": self.base[0],
            "new": self.new[0],
            **compared(self.base[1], self.new[1], ratio.NOISE),
            "blocks": len(self.new[1].runs),
            "position_effect": position_effect([self.base[1], self.new[1]]),
        }


def compared(base: Measurement, new: Measurement, margin: float) -> dict[str, Any]:
    """`ratio`, `ratio_ci95`, `verdict` and `reason` of two measurements; paired where they share their blocks."""
    ratios = ratios_by_block(base, new)
    found = ratio.paired(ratios) if ratios else ratio.unpaired(medians(base), medians(new))
    values = {"ratio": found.ratio, "ratio_ci95": list(found.ci95) if found.ci95 else None}
    invalid = next((one for one in (base, new) if one.verdict == INVALID), None)
    if invalid is not None:
        reason = f"{invalid.artifact} is invalid: {causes(INVALID, invalid.reasons)}"
        return {**values, "verdict": ratio.CANNOT_TELL, "reason": reason, "status": "invalid"}
    word = ratio.decide(found, margin)
    reason = _reason(found, word, margin, base, new)
    apart = max(spread(base), spread(new))
    if not ratios and word in (ratio.SLOWER, ratio.FASTER) and 1 / apart <= found.ratio <= apart:
        word = ratio.CANNOT_TELL
        reason = (
            f"the processes of one measurement differ by {apart - 1:.0%}, as much as the two; compare with --versus"
        )
    return {**values, "verdict": word, "reason": reason, "status": "measured"}


def spread(measurement: Measurement) -> float:
    """Return the largest over the smallest median of its processes.

    An interval takes processes as independent; bursts that outlast one make them agree, and two measurements differ.
    """
    return max(medians(measurement)) / min(medians(measurement))


def medians(measurement: Measurement) -> list[float]:
    """Return the median of each process, in nanoseconds."""
    return [median(run.samples_ns) for run in measurement.runs]


def ratios_by_block(base: Measurement, new: Measurement) -> list[float]:
    """New over base in each block that the two share; none where they were not measured interleaved.

    Where a block took turns, the median over its rounds: both turns of a round met the same machine.
    """
    if base.session != new.session:
        return []
    one, other = ({run.block: run for run in each.runs if run.block is not None} for each in (base, new))
    return [_ratio(one[block], other[block]) for block in sorted(set(one) & set(other))]


def _ratio(base: ProcessRun, new: ProcessRun) -> float:
    if base.turns is None or new.turns is None:
        return median(new.samples_ns) / median(base.samples_ns)
    rounds = zip(medians_by_turn(base), medians_by_turn(new), strict=True)
    return median([after / before for before, after in rounds])


def medians_by_turn(run: ProcessRun) -> list[float]:
    """Return the median of each turn of a process, in nanoseconds."""
    ends = list(accumulate(run.turns or ()))
    return [median(run.samples_ns[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def position_effect(measurements: Sequence[Measurement]) -> float | None:
    """Return how much slower the second file of a block ran than the first, each against its own median."""
    places: dict[int | None, list[float]] = {}
    for one in measurements:
        usual = median(medians(one))
        for run in one.runs:
            places.setdefault(run.position, []).append(median(run.samples_ns) / usual)
    return median(places[1]) / median(places[0]) - 1 if {0, 1} <= set(places) else None


def _reason(found: ratio.Ratio, word: str, margin: float, base: Measurement, new: Measurement) -> str:
    if found.ci95 is None:
        fewest = min(len(base.runs), len(new.runs))
        return f"{fewest} process{'es' if fewest > 1 else ''}: no interval; measure with --preset default or --versus"
    where = {
        ratio.SAME: f"lies within {margin:.0%} of equal",
        ratio.SLOWER: f"lies above a slowdown of {margin:.0%}",
        ratio.FASTER: f"lies below a speed-up of {margin:.0%}",
        ratio.CANNOT_TELL: f"reaches beyond {margin:.0%} but not wholly",
    }[word]
    doubtful = [one.artifact for one in (base, new) if one.verdict == SUSPECT]
    doubt = f"; suspect: {', '.join(dict.fromkeys(doubtful))}" if doubtful else ""
    return f"the 95 % interval {found.ci95[0]:.3f} .. {found.ci95[1]:.3f} {where}{doubt}"
