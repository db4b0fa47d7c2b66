"""The verb `sweep`: every cell of a grid exported, measured and evaluated, as far as it is not done already.

Exports run side by side; then each device measures one file at a time, and nothing else of ours runs on it. What fails
is a row with its reason, and the rest goes on. Every step is written down when it is done (sweep_journal), so that a
sweep that ends at any moment, however it ends, goes on from there.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from edgekit.device.registry import load
from edgekit.errors import Refusal, UsageError
from edgekit.records.measurement import PRESETS
from edgekit.storage.store import FailedCell, new_id, now, open_store
from edgekit.sweeps.axes import How, SweepCell
from edgekit.sweeps.cells import cells
from edgekit.sweeps.estimate import FILE, TimeLeft, latency_seconds, told
from edgekit.sweeps.export import Job, Made, run_all
from edgekit.sweeps.grid import KEYS, MANY, MOST, Grid, grid
from edgekit.sweeps.jobs import ACCURACY, LATENCY, Task
from edgekit.sweeps.measure import Judged, Measured
from edgekit.sweeps.plan import Plan, place_of
from edgekit.sweeps.result import CACHED, DONE, FAILED, PLANNED, CellResult, SweepResult
from edgekit.sweeps.workers import processors
from edgekit.util.files import make_folder, write_atomically
from edgekit.util.formatting import counted

RECORD = "sweep.json"  # what is known so far, beside the files
RECORD_SECONDS = 5.0  # between two times that it is written

Progress = Callable[[str, int, int], None]
P = ParamSpec("P")
R = TypeVar("R")


def _takes_keys(function: Callable[P, R]) -> Callable[P, R]:
    """Show the keys of a grid, which the function takes by name, to whoever looks at its signature."""
    own = inspect.signature(function)
    known = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    keys = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None) for key in KEYS if key != "model"]
    function.__dict__["__signature__"] = own.replace(parameters=[*known, *keys])
    return function


@_takes_keys
def sweep(
    model: str | Sequence[str],
    *,
    continue_: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    store: str | None = None,
    devices: Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> SweepResult:
    """Export, measure and evaluate every cell of a grid.

    `model` is a network (or `FILE.py:build`), several of them, or a YAML file; `asked` are fields of
    `edgekit.sweeps.grid.Grid` and the other options of `edgekit.export`, which replace those of the file. `continue_`
    keeps what was done before and is still what it was. `executor` takes the exports (default: `jobs` processes of our
    own).
    Raises UsageError for a grid that cannot be meant, before the first step; what fails later is in the result.
    """
    started, wanted = time.time(), grid(model, **asked)
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}", "leave --jobs out for one for each processor")
    if wanted.bound > MOST:
        raise UsageError(
            f"this grid has {wanted.bound:,} cells, about {told(_rough_seconds(wanted, wanted.bound))} of work",
            f"name fewer values: one sweep takes {MOST:,} cells, also with --yes",
        )
    known = load(devices)
    found = cells(wanted, known)
    if len(found) > MANY and not yes:
        raise UsageError(
            f"this grid has {len(found):,} cells, about {told(_rough_seconds(wanted, len(found)))} of work",
            "name fewer values, or add --yes",
        )
    since, at_once = 0.0 if continue_ else started, jobs or processors()
    plan = Plan(wanted, found, open_store(store), known, since, at_once, processors())
    if dry_run:
        return plan.preview()
    return _Sweep(plan, progress or (lambda *_: None)).run(executor)


class _Sweep:
    """Goes through a plan once."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.plan = plan
        self.grid = plan.grid
        self.progress = progress
        self.made = dict(plan.made)
        self.measured: dict[tuple[str, How], Measured] = {}  # by sha256
        self.judged: dict[tuple[str, str | None], Judged] = {}  # by sha256 and runtime
        self.tasks = plan.tasks
        self.finished = 0
        self.left = TimeLeft(plan.preview().seconds)
        self.started = time.monotonic()
        self._recorded = 0.0

    def run(self, executor: Executor | None) -> SweepResult:
        """Do what is missing. An interrupt ends it; what is done is kept."""
        make_folder(self.grid.out)
        if not self.grid.export_only or self.grid.eval:
            self.plan.store.check()
        if self.plan.jobs:
            jobs = len(self.plan.jobs)
            self._say(f"exporting {counted(jobs, 'variant')}, {min(self.plan.workers, jobs)} at once")
            run_all(self.plan.jobs, self.plan.workers, executor, self._exported)
        self._record(last=False)
        latencies = [task for task in self.tasks if task.kind == LATENCY]
        for device in self.grid.pools:
            for task in latencies:
                if task.work[1].device == device:
                    self._measure(task)
        for task in self.tasks:
            if task.kind == ACCURACY:
                self._judge(task)
        result = self._record(last=True)
        self._tell_failures(result)
        return replace(result, unstored=self.plan.measuring.refusal)

    def _exported(self, job: Job, made: Sequence[Made]) -> None:
        point = job.point
        for one in made:
            self.made[point, one.file.format, one.file.precision] = one
            self.plan.learn(point, one)
        self.finished += 1
        self.left.finish(self.plan.job_seconds(job))
        failed = sum(one.refusal is not None for one in made)
        self._say(f"exported {self.plan.names[point]}" + (f", {failed} files failed" if failed else ""))

    def _measure(self, task: Task) -> None:
        place, how = task.work
        made = self.made[place]
        self.finished += 1
        if made.sha256 is None or made.path is None:
            return
        where, known = (made.sha256, how), self.plan.measuring.known_latency(made, how)
        if known is not None:
            self.measured[where] = Measured(known)
            return
        device = task.needs.devices[0]
        self._say(f"measuring {made.path.name} on {device}")
        self.measured[where] = self.plan.measuring.latency(made, how, device, self._say)
        self.left.finish(task.seconds)
        self._record(last=False)

    def _judge(self, task: Task) -> None:
        self.finished += 1
        places, runtime = task.work
        files = [self.made[place] for place in places if self.made[place].sha256 is not None]
        found = self.plan.measuring.accuracies(files, runtime, self._say) if files else {}
        self.judged |= {(sha256, runtime): judged for sha256, judged in found.items()}
        fresh = sum(one.fresh for one in found.values())
        if fresh:
            self.left.finish(self.plan.accuracy_seconds(places[0][0], fresh))
            self._record(last=False)

    def _say(self, message: str) -> None:
        self.progress(f"{message}; about {self.left} left", self.finished, len(self.tasks))

    # What is known so far

    def _record(self, last: bool) -> SweepResult:
        seconds = time.monotonic() - self.started
        cells = tuple(self._cell(cell) for cell in self.plan.cells)
        result = SweepResult(cells, seconds, unstored=self.plan.measuring.refusal)
        if last or time.monotonic() - self._recorded > RECORD_SECONDS:
            text = json.dumps(result.to_json(), indent=1, default=str)
            with self.plan.measuring.going_on():
                write_atomically(self.grid.out / RECORD, text.encode("utf-8", "surrogatepass") + b"\n")
            self._recorded = time.monotonic()
        return result

    def _cell(self, cell: SweepCell) -> CellResult:
        name, made = self.plan.names[cell.point], self.made.get(place_of(cell))
        if made is None:
            return CellResult(cell, name, PLANNED)
        if made.path is None or made.sha256 is None:
            return CellResult(cell, made.variant or name, FAILED, refusal=made.refusal)
        measured = self.measured.get((made.sha256, cell.how)) if cell.device else Measured()
        judged = self.judged.get((made.sha256, cell.how.runtime)) if self.grid.eval else Judged()
        refusal = (measured.refusal if measured else None) or (judged.refusal if judged else None)
        status = CACHED
        if refusal is not None:
            status = FAILED
        elif measured is None or judged is None:
            status = PLANNED
        elif made.fresh or measured.fresh or judged.fresh:
            status = DONE
        return CellResult(
            cell,
            made.variant or name,
            status,
            str(made.path),
            made.sha256,
            refusal,
            measured.measurement if measured else None,
            judged.accuracy if judged else None,
            judged.reason if judged else None,
        )

    def _tell_failures(self, result: SweepResult) -> None:
        """The store keeps what failed, for those who only see the store."""
        if self.grid.export_only and not self.grid.eval:
            return
        failed = [(one, one.refusal) for one in result.cells if one.refusal is not None and not one.refusal.known]
        self.plan.measuring.keeper.append(*(_failure(one, refusal) for one, refusal in failed))


def _failure(one: CellResult, refusal: Refusal) -> FailedCell:
    cell = one.cell
    return FailedCell(
        id=new_id(),
        created=now(),
        variant=one.variant,
        format=cell.format,
        precision=cell.precision,
        device=cell.device,
        code=refusal.code,
        reason=refusal.message,
        remedy=refusal.remedy,
    )


def _rough_seconds(wanted: Grid, count: int) -> float:
    """Of a grid that is too large to be looked at cell by cell."""
    return count * (FILE + (0.0 if wanted.export_only else latency_seconds(PRESETS[wanted.preset])))
