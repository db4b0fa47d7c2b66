"""Limits on accuracy that end `eval` with exit code 3: the least top-1, and the most that it may drop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.records.measurement import Accuracy
from edgekit.stats.accuracy import drop, gained
from edgekit.stats.limit import CANNOT_TELL, Held
from edgekit.stats.proportions import wilson
from edgekit.util.formatting import percent
from edgekit.util.quantity import points, top1_limit

MIN_TOP1, MAX_DROP = "min-top1", "max-drop"


@dataclass(frozen=True)
class Gate:
    """A limit and what was measured, as fractions of 1: top-1, or the drop from `base` on the same images."""

    kind: str
    artifact: Path
    held: Held
    base: Path | None = None

    @property
    def reason(self) -> str:
        """What was measured, against the limit, in words."""
        return f"{self._measured()} {self.held.outcome(f'--{self.kind}')}"

    def _measured(self) -> str:
        if self.base is None:
            low, high = self.held.ci95
            return f"top-1 of {percent(self.held.value)} % (95 % {percent(low)} .. {percent(high)})"
        return gained(self.held, self.base.name)

    def to_json(self) -> dict[str, Any]:
        """Fractions of 1. `enough`: about how many images would tell, where these cannot."""
        is_open = self.held.verdict == CANNOT_TELL
        return {
            "gate": self.kind,
            "artifact": str(self.artifact),
            "base": None if self.base is None else str(self.base),
            "limit": self.held.limit,
            "measured": self.held.value,
            "ci95": list(self.held.ci95),
            "n": self.held.n,
            "passed": self.held.is_held,
            "verdict": self.held.verdict,
            "enough": self.held.enough if is_open else None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Limits:
    """What files must hold, as fractions, and the file that a drop is from. None: no limit."""

    top1: float | None = None
    drop: float | None = None
    against: Path | None = None


def limits(
    artifacts: Sequence[Path], min_top1: str | float | None, max_drop: str | float | None, against: str | Path | None
) -> Limits:
    """Return the limits as they are written, top-1 in percent and a drop in points.

    Raises UsageError for what is no limit, a drop from no file, and a file that nothing is compared with.
    """
    found = Limits(top1_limit(min_top1, "--min-top1"), points(max_drop, "--max-drop"), _among(artifacts, against))
    if found.drop is not None and found.against is None:
        raise UsageError("--max-drop was not told from which file", "add --against FILE, say that of the last release")
    return found


def _among(artifacts: Sequence[Path], against: str | Path | None) -> Path | None:
    """The file to compare with, as it is written among the artifacts."""
    if against is None:
        return None
    found = next((path for path in artifacts if path.resolve() == Path(against).resolve()), Path(against))
    if all(path == found for path in artifacts):
        raise UsageError(f"--against {against} is the only file", "name the files to compare with it, too")
    return found


def held(done: Sequence[tuple[Path, Accuracy]], against: int | None, wanted: Limits) -> Iterator[Gate]:
    """Hold each file against the limits, but the one at `against`; where that has no accuracy, no drop is known."""
    for place, (artifact, record) in enumerate(done):
        if place == against:
            continue
        if wanted.top1 is not None:
            share = record.correct1 / record.n, wilson(record.correct1, record.n), record.n
            yield Gate(MIN_TOP1, artifact, Held(*share, wanted.top1, at_least=True))
        if wanted.drop is not None and against is not None:
            base, other = done[against]
            yield Gate(MAX_DROP, artifact, drop(other.hits, record.hits, wanted.drop), base)
