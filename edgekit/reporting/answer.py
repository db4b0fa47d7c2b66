"""Which file to ship: the first lines of a report, by the decision that `edgekit choose` makes without limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.choosing.decide import Decision, decide, remarks, unmeasured
from edgekit.choosing.level import Hits
from edgekit.choosing.limits import Limits
from edgekit.choosing.result import provisional_json
from edgekit.choosing.unmeasured import Unmeasured, elsewhere
from edgekit.records.failure import FailedCell
from edgekit.reporting.rows import Row, has_latency

STEP = 1.5  # times quicker than the one before: a person's limit is seldom nearer
MAX_STEPS = 5


@dataclass(frozen=True)
class Answer:
    """The decision under one set of run conditions; `setting` is None where nothing was measured anywhere."""

    setting: str | None
    decision: Decision
    quicker: tuple[Row, ...]  # of the Pareto front, each STEP times as quick as the one before
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the setting, the verdict with its reason, and the facts of the chosen file, or of the likely one."""
        chosen = self.decision.chosen
        return {
            "setting": self.setting,
            "verdict": self.decision.verdict,
            "reason": self.decision.reason,
            "remedy": self.decision.remedy,
            "chosen": chosen.to_json() if chosen else None,
            "provisional": provisional_json(self.decision.provisional, self.decision.beside_best),
            "notes": list(self.notes),
        }


def answers(rows: Sequence[Row], hits: Hits, failures: Sequence[FailedCell] = ()) -> tuple[Answer, ...]:
    """Return an answer for each device, threads and batch that have measurements, the most measured first.

    Files that were only evaluated are candidates everywhere. A device on which all of a sweep failed comes last, with
    the reason. `hits`: as of edgekit.choosing.level.
    """
    away = elsewhere(failures, {name for row in rows for name in (row.device, row.place) if name})
    return (*_measured(rows, hits), *map(_unmeasured, away))


def _unmeasured(one: Unmeasured) -> Answer:
    return Answer(one.device, unmeasured(f"nothing was measured: {one.why}", one.remedy, (), {}, Limits()), (), ())


def _measured(rows: Sequence[Row], hits: Hits) -> tuple[Answer, ...]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.conditions is not None and row.runtime != "null":
            groups.setdefault(row.conditions, []).append(row)
    anywhere = [row for row in rows if row.place is None]
    if not groups:
        return (_answer(None, anywhere, hits),) if anywhere else ()
    most_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    return tuple(_answer(setting, [*group, *anywhere], hits) for setting, group in most_first)


def _answer(setting: str | None, rows: Sequence[Row], hits: Hits) -> Answer:
    decision = decide(rows, hits, Limits())
    chosen = decision.chosen.row if decision.chosen else None
    return Answer(setting, decision, _quicker(rows, chosen), tuple(remarks(chosen)) if chosen else ())


def _quicker(rows: Sequence[Row], chosen: Row | None) -> tuple[Row, ...]:
    """Files of the front for whom the chosen one is too slow."""
    if chosen is None or not has_latency(chosen) or chosen.median_ms is None:
        return ()
    found: list[Row] = []
    limit = chosen.median_ms / STEP
    for row in sorted((row for row in rows if row.front_latency), key=lambda row: -(row.median_ms or 0)):
        if row.median_ms is not None and row.median_ms <= limit and len(found) < MAX_STEPS:
            found.append(row)
            limit = row.median_ms / STEP
    return tuple(found)
