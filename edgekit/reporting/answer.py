"""Which file to ship: the first lines of a report, by the decision that `edgekit choose` makes without limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.choosing.decide import Decision, decide, remarks, unmeasured
from edgekit.choosing.level import Hits
from edgekit.choosing.limits import Limits
from edgekit.choosing.result import Candidate, provisional_json
from edgekit.choosing.unmeasured import Unmeasured, elsewhere
from edgekit.records.failure import FailedCell
from edgekit.reporting.rows import Row, has_latency
from edgekit.stats.losses import Losses

STEP = 1.5  # times quicker than the one before: a person's limit is seldom nearer
MAX_STEPS = 5


@dataclass(frozen=True)
class Answer:
    """The decision under one set of run conditions; `setting` is None where nothing was measured anywhere."""

    setting: str | None
    decision: Decision
    quicker: tuple[Row, ...]  # of the Pareto front, each STEP times as quick as the one before
    notes: tuple[str, ...]
    by_format: tuple[tuple[str, Decision], ...] = ()  # of each other format than that of the file that is named

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
            "by_format": [_of_format(format, decision) for format, decision in self.by_format],
        }


def named(decision: Decision) -> Candidate | None:
    """Return the file that was chosen, else the likely one."""
    return decision.chosen or decision.provisional


def _of_format(format: str, decision: Decision) -> dict[str, Any]:
    one = named(decision)
    return {"format": format, "verdict": decision.verdict, "file": one.to_json() if one else None}


def answers(
    rows: Sequence[Row], hits: Hits, failures: Sequence[FailedCell] = (), lost: Losses | None = None
) -> tuple[Answer, ...]:
    """Return an answer for each device, threads and batch that have measurements, the most measured first.

    Files that were only evaluated are candidates everywhere. A device on which all of a sweep failed comes last, with
    the reason. `hits` and `lost`: as of edgekit.choosing.level and edgekit.stats.losses.
    """
    away = elsewhere(failures, {name for row in rows for name in (row.device, row.place) if name})
    return (*_measured(rows, hits, lost or {}), *map(_unmeasured, away))


def _unmeasured(one: Unmeasured) -> Answer:
    return Answer(one.device, unmeasured(f"nothing was measured: {one.why}", one.remedy, (), {}, Limits(), {}), (), ())


def _measured(rows: Sequence[Row], hits: Hits, lost: Losses) -> tuple[Answer, ...]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.conditions is not None and row.runtime != "null":
            groups.setdefault(row.conditions, []).append(row)
    anywhere = [row for row in rows if row.place is None]
    if not groups:
        return (_answer(None, anywhere, hits, lost),) if anywhere else ()
    most_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    return tuple(_answer(setting, [*group, *anywhere], hits, lost) for setting, group in most_first)


def _answer(setting: str | None, rows: Sequence[Row], hits: Hits, lost: Losses) -> Answer:
    decision = decide(rows, hits, Limits(), lost)
    chosen, first = decision.chosen.row if decision.chosen else None, named(decision)
    others = dict.fromkeys(row.format for row in rows if first is not None and row.format != first.row.format)
    by_format = {
        format: decide([row for row in rows if row.format == format], hits, Limits(), lost) for format in others
    }
    notes = tuple(remarks(chosen)) if chosen else ()
    return Answer(setting, decision, _quicker(rows, chosen), notes, tuple(by_format.items()))


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
