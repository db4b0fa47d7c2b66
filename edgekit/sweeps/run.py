"""Runs the jobs of a sweep: what the scheduler says may begin, each beside the others, until all are over.

Each job has a thread of its own, which waits for what the engine (edgekit.sweeps.engine) does. All that is decided and
kept is so in the thread that called `Running.run`: the others only put what they found into a queue. An interrupt ends
the command at once: what runs is killed, and a device ends what was begun on it when the connection is gone.
"""

from __future__ import annotations

import json
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgekit.bench.ondevice.sensors.linux import host
from edgekit.errors import EdgekitError, Refusal
from edgekit.records.failure import FailedCell
from edgekit.records.record import new_id, now
from edgekit.sweeps.board import Row, board
from edgekit.sweeps.estimate import told
from edgekit.sweeps.export import Job, Made, assumed
from edgekit.sweeps.grid.axes import How, SweepCell
from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, End, Start, Task
from edgekit.sweeps.measure import Judged, Measured
from edgekit.sweeps.plan import Plan, place_of
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.result import CACHED, DONE, FAILED, PLANNED, CellResult, SweepResult
from edgekit.sweeps.scheduler import AWAY, LOST, Scheduler
from edgekit.sweeps.scheduler import DONE as ENDED
from edgekit.sweeps.threads import Threads
from edgekit.util.files import make_folder, write_atomically
from edgekit.util.formatting import counted, json_escaped, some

SAID_LINES = 10  # of what a measurement has said, for the record of a failure
RECORD = "sweep.json"  # what is known so far, beside the files
RECORD_SECONDS, RECORD_SHARE = 5.0, 20  # between two times that it is written, at least; and times what writing takes
PATIENCE = Patience()
PULSE = 30.0  # seconds without news, after which what runs is told

Progress = Callable[[str, int, int], None]
Watch = Callable[[Sequence[Row]], None]


class Running:
    """Goes through a plan once. `watch` is given what every device does whenever that changes."""

    def __init__(self, plan: Plan, progress: Progress | None = None, watch: Watch | None = None) -> None:
        self.plan, self.grid = plan, plan.grid
        self.progress, self.watch = progress, watch
        self.made = dict(plan.made)
        self.measured: dict[tuple[str, How], Measured] = {}  # by sha256
        self.judged: dict[tuple[str, str | None], Judged] = {}  # by sha256 and runtime
        self.tasks = plan.tasks
        self.scheduler = Scheduler(self.tasks, plan.addresses, plan.room.processors, plan.room.memory, PATIENCE)
        self.started = time.monotonic()
        self.notes = plan.notes  # before this run writes down what it measures
        self._heard: queue.SimpleQueue[tuple[Start | None, Any]] = queue.SimpleQueue()
        self._threads = Threads()
        self._next_record = 0.0
        self._waiting: dict[str, list[Task]] = {}  # measurements by the export that they wait for
        self._attempts: dict[str, int] = {}  # of jobs that failed, by their keys, in all runs
        for task in plan.kept:
            self._keep(task)
        for task in self.tasks:
            for key in task.after if task.kind == LATENCY else ():
                self._waiting.setdefault(key, []).append(task)

    def run(self) -> SweepResult:
        """Do what is missing. An interrupt ends it; what is done is kept."""
        make_folder(self.grid.out)
        for note in self.notes:
            self._say(note)
        for job in self.plan.jobs if self.plan.retry else ():
            for file in job.files:  # that it did not pass does not count any more
                self.plan.journal.forget("gate", file.key)
        if not self.grid.export_only or self.grid.eval:
            self.plan.store.check()
        jobs = len(self.plan.jobs)
        if jobs:
            self._say(f"exporting {counted(jobs, 'variant')}, {min(self.plan.room.exports, jobs)} at once")
        self.plan.engine.begin(jobs, lambda told: self._heard.put((None, told)))
        try:
            self._go()
        except BaseException as error:
            self.plan.engine.close()
            self._threads.end()
            if isinstance(error, EdgekitError):  # what is done is kept, and known
                self._recorded()
            raise
        result = self._recorded()
        self._tell_failures(result)
        return replace(result, unstored=self.plan.measuring.refusal)

    def _go(self) -> None:
        while self.scheduler.left:
            room = self.plan.engine.room
            self.scheduler.here.resize(room.processors, room.memory)
            for start in self.scheduler.start(time.monotonic()):
                self._begin(start)
            self._look()
            if self.scheduler.left:
                self._hear()
            for end in self.scheduler.over():
                self._over(end)

    # Beginning a job

    def _begin(self, start: Start) -> None:
        work = {EXPORT: self._export, LATENCY: self._latency, ACCURACY: self._accuracy}[start.task.kind](start)
        self._threads.begin(start.task.name, lambda: self._alone(start, work))

    def _alone(self, start: Start, work: Callable[[], Any]) -> None:
        """In a thread of its own: do it, and put what came of it into the queue."""
        try:
            self._heard.put((start, work()))
        except BaseException as error:
            self._heard.put((start, error))

    def _export(self, start: Start) -> Callable[[], Sequence[Made]]:
        return lambda: self.plan.engine.export(start.task.work)

    def _latency(self, start: Start) -> Callable[[], Measured]:
        place, how = start.task.work
        made = self.made[place]
        assert start.device is not None and made.path is not None
        device, several = start.device, len(self.plan.addresses) > 1
        self._say(f"measuring {made.path.name} on {device}")

        said: deque[str] = deque(maxlen=SAID_LINES)

        def say(message: str) -> None:
            said.append(message)
            self._heard.put((None, f"{device}: {message}" if several else message))

        def work() -> Measured:
            found = self.plan.measuring.latency(made, how, device, say)
            if found.refusal is None:
                return found
            lines = dict.fromkeys((*said, *found.refusal.log))  # what a worker says it also gives back in the end
            return replace(found, refusal=replace(found.refusal, log=tuple(lines)))

        return work

    def _accuracy(self, start: Start) -> Callable[[], dict[str, Judged]]:
        places, runtime = start.task.work
        files = [self.made[place] for place in places if self.made[place].sha256 is not None]
        heard = self._heard
        return lambda: self.plan.measuring.accuracies(files, runtime, lambda text: heard.put((None, text)))

    # Hearing of one

    def _hear(self) -> None:
        """Wait for the next thing that happens: a job's end, a message, or the time to ask a device again.

        Where nothing happens for long, what runs is told, and for how long already.
        """
        again = self.scheduler.next_time()
        pause = PULSE if again is None else min(max(again - time.monotonic(), 0.0), PULSE)
        try:
            start, found = self._heard.get(timeout=pause)
        except queue.Empty:
            if pause == PULSE:
                self._tell_running()
            return
        if isinstance(found, BaseException):
            raise found
        if start is None:
            self._say(found)
        else:
            if start.task.kind == EXPORT:
                self._exported(start.task, found)
            outcome = found.outcome if start.task.kind == LATENCY else ENDED
            self.scheduler.ended(start, outcome, time.monotonic(), found)
            if outcome in (AWAY, LOST):
                self._say(f"{start.device} does not answer: {found.refusal.message}")

    def _exported(self, task: Task, made: Sequence[Made]) -> None:
        job: Job = task.work
        for one in made:
            self.made[job.point, one.file.format, one.file.precision] = one
            self.plan.learn(job.point, one)
        for other in self._waiting.get(task.key, ()):
            if self.made[other.work[0]].sha256 is None:
                self.scheduler.drop(other.key)

    def _over(self, end: End) -> None:
        task, found = end.task, end.why
        if task.kind == EXPORT:
            for one in self._made_by(task):
                self._count(one.file.key, task.name, one.refusal)
            why = [one.refusal.message for one in self._made_by(task) if one.refusal is not None]
            self._say(f"exported {task.name}" + (f", {counted(len(why), 'file')} failed: {why[0]}" if why else ""))
        elif isinstance(found, Measured):
            place, how = task.work
            sha256 = self.made[place].sha256
            assert sha256 is not None
            self.measured[sha256, how] = found
            self._count(task.key, task.name, found.refusal, end.attempts)
        elif isinstance(found, dict):
            self.judged |= {(sha256, task.work[1]): judged for sha256, judged in found.items()}
            self._count(task.key, task.name, next((one.refusal for one in found.values() if one.refusal), None))
        self._record()

    def _count(self, key: str, name: str, refusal: Refusal | None, attempts: int = 1) -> None:
        """Write down how often a job has failed, in all runs; nothing any more when it was done."""
        journal = self.plan.journal
        with self.plan.measuring.going_on():
            if refusal is None:
                journal.forget("failed", key)
                return
            earlier = (journal.get("failed", key) or {}).get("attempts")
            self._attempts[key] = attempts + (earlier if isinstance(earlier, int) else 0)
            journal.put("failed", key, {"job": name}, attempts=self._attempts[key], reason=refusal.message)

    def _keep(self, task: Task) -> None:
        """What is known of a job that is not tried again."""
        if task.kind == LATENCY:
            place, how = task.work
            made = self.made[place]
            known = self.plan.measuring.known_latency(made, how, or_invalid=True)
            if known is not None and made.sha256 is not None:
                self.measured[made.sha256, how] = Measured(known)
            return
        places, runtime = task.work
        found = self.plan.measuring.known_accuracies([self.made[place] for place in places], runtime)
        self.judged |= {(sha256, runtime): judged for sha256, judged in found.items()}

    def _made_by(self, task: Task) -> list[Made]:
        return [self.made[task.work.point, file.format, file.precision] for file in task.work.files]

    def _say(self, message: str) -> None:
        if self.progress is not None:
            left = told(self.scheduler.seconds_left())
            self.progress(f"{message}; about {left} left", len(self.tasks) - self.scheduler.left, len(self.tasks))

    def _tell_running(self) -> None:
        running = self.scheduler.running(time.monotonic())
        if running:
            names = some([task.name for task, _ in running])
            longest = max(seconds for _, seconds in running)
            self._say(f"{running[0][0].kind} of {names}: {told(longest)} so far")

    def _look(self) -> None:
        if self.watch is not None:
            self.watch(board(self.scheduler, self.plan.addresses, self.plan.engine.where, time.monotonic()))

    # What is known so far

    def _record(self) -> None:
        """Write what is known, unless that was done a moment ago."""
        if time.monotonic() >= self._next_record:
            self._recorded()

    def _recorded(self) -> SweepResult:
        began = time.monotonic()
        cells = tuple(self._cell(cell) for cell in self.plan.cells)
        notes, refusal = (*self.notes, *assumed(self.made)), self.plan.measuring.refusal
        result = SweepResult(cells, began - self.started, notes=notes, unstored=refusal, preset=self.grid.preset)
        text = json_escaped(json.dumps(result.to_json(), indent=1, default=str))
        with self.plan.measuring.going_on():
            write_atomically(self.grid.out / RECORD, text.encode("utf-8", "surrogatepass") + b"\n")
        self._next_record = began + max(RECORD_SECONDS, RECORD_SHARE * (time.monotonic() - began))
        return result

    def _cell(self, cell: SweepCell) -> CellResult:
        name, made = self.plan.names[cell.point], self.made.get(place_of(cell))
        if made is None:
            return CellResult(cell, name, PLANNED)
        if made.path is None or made.sha256 is None:
            attempts = self._attempts.get(made.file.key, 1)
            return CellResult(cell, made.variant or name, FAILED, refusal=made.refusal, attempts=attempts)
        measured = self.measured.get((made.sha256, cell.how)) if cell.device else Measured()
        judged = self.judged.get((made.sha256, cell.how.runtime)) if self.grid.eval else Judged()
        refusal = (measured.refusal if measured else None) or (judged.refusal if judged else None)
        status = CACHED
        if refusal is not None:
            status = FAILED
        elif measured is None or judged is None or measured.is_void:
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
            measured.device if measured and measured.refusal else None,
            self._attempts.get(self.plan.job_of.get(cell, ""), 1) if refusal else 0,
        )

    def _tell_failures(self, result: SweepResult) -> None:
        """The store keeps what failed, for those who only see the store."""
        if self.grid.export_only and not self.grid.eval:
            return
        failed = [(one, one.refusal) for one in result.cells if one.refusal is not None and not one.refusal.known]
        pools = self.grid.pools
        self.plan.measuring.keeper.append(*(_failure(one, refusal, pools) for one, refusal in failed))


def _failure(one: CellResult, refusal: Refusal, pools: Mapping[str, tuple[str, ...]]) -> FailedCell:
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
        devices=pools[cell.device] if cell.device is not None else (),
        tried_on=one.tried_on,
        attempts=one.attempts,
        host=host(),
        log=refusal.log,
    )
