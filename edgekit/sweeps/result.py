"""What a sweep gives: a row for each cell, done, cached or failed, with its numbers or its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.errors import EnvironmentRefused, MeasurementInvalid, Refusal, worst_exit_code
from edgekit.evaluation.chance import told_by_manifest
from edgekit.measure.result import row
from edgekit.records.measurement import INVALID, Accuracy, Measurement
from edgekit.stats.accuracy import fraction
from edgekit.stats.losses import Losses, losses
from edgekit.stats.proportions import wilson
from edgekit.storage.keeping import told
from edgekit.sweeps.grid.axes import SweepCell
from edgekit.sweeps.jobs import Task
from edgekit.util.tabled import Tabled

PLANNED, DONE, CACHED, FAILED = "planned", "done", "cached", "failed"


@dataclass(frozen=True)
class CellResult:
    """One cell. `reason` is None unless it failed; `accuracy_reason`: why an accuracy that was asked for is None."""

    cell: SweepCell
    variant: str
    status: str
    artifact: str | None = None
    sha256: str | None = None
    refusal: Refusal | None = None
    measurement: Measurement | None = None
    accuracy: Accuracy | None = None
    accuracy_reason: str | None = None
    tried_on: str | None = None  # the device that failed last
    attempts: int = 0  # of a cell that failed: how often it was tried, in all runs of the sweep
    there: tuple[str, ...] = ()  # of a plan: what earlier runs left, whether it counts or not
    todo: tuple[str, ...] = ()  # of a plan: the kinds of jobs that are left

    @property
    def exit_codes(self) -> list[int]:
        """What this cell adds to the command's exit code."""
        invalid = self.measurement is not None and self.measurement.verdict == INVALID
        found = [self.refusal.exit_code] if self.refusal else []
        return found + [MeasurementInvalid.exit_code] * invalid

    def to_json(self) -> dict[str, Any]:
        """Return the cell under its documented keys."""
        refusal = self.refusal
        return {
            "variant": self.variant,
            **self.cell.to_json(),
            "status": self.status,
            "reason": refusal.message if refusal else None,
            "remedy": refusal.remedy if refusal else None,
            "code": refusal.code if refusal else None,
            "tried_on": self.tried_on,
            "attempts": self.attempts,
            "log": list(refusal.log) if refusal else [],
            "artifact": self.artifact,
            "sha256": self.sha256,
            "measurement": row(self.measurement, self.artifact) if self.measurement else None,
            "accuracy": _accuracy(self.accuracy) if self.accuracy else None,
            "accuracy_reason": self.accuracy_reason,
            "there": list(self.there),
            "todo": list(self.todo),
        }


def _accuracy(record: Accuracy) -> dict[str, Any]:
    return {
        "id": record.id,
        "dataset": record.dataset,
        "dataset_hash": record.dataset_hash,
        "n": record.n,
        "top1": record.correct1 / record.n,
        "top1_ci95": list(wilson(record.correct1, record.n)),
        "top5": fraction(record.correct5, record.n),
        "remark": told_by_manifest(record),
    }


def _loss(cell: CellResult, lost: Losses) -> dict[str, Any] | None:
    """What the cell's file lost against its own float file; None where that is not known."""
    found = lost.get(cell.sha256 or "")
    return found.to_json() if found else None


@dataclass(frozen=True, repr=False)
class SweepResult(Tabled):
    """Every cell in the grid's order. `seconds` is the estimate of a plan, else what it took."""

    cells: tuple[CellResult, ...]
    seconds: float
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    jobs: tuple[Task, ...] = ()  # of a plan: what is left to do
    preset: str = "default"  # how latencies are measured
    unstored: EnvironmentRefused | None = None  # why the store does not hold what was measured, and what does

    @property
    def exit_code(self) -> int:
        """0, or the first that applies of what failed, in the documented order."""
        own = [self.unstored.exit_code] if self.unstored else []
        return worst_exit_code([*(code for cell in self.cells for code in cell.exit_codes), *own])

    def count(self, status: str) -> int:
        """Return how many cells ended so."""
        return sum(cell.status == status for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """{"cells": [...], "seconds", "dry_run", "preset", "notes", "unstored"}, and {"jobs": [...]} of a plan."""
        jobs = {"jobs": [task.to_json() for task in self.jobs]} if self.dry_run else {}
        lost = losses(cell.accuracy for cell in self.cells if cell.accuracy)
        return {
            "cells": [cell.to_json() | {"loss": _loss(cell, lost)} for cell in self.cells],
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            "preset": self.preset,
            "notes": list(self.notes),
            "unstored": told(self.unstored),
            **jobs,
        }
