"""What a sweep would do, without doing it: of each cell what is there, and what is left to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from edgekit.records.measurement import INVALID
from edgekit.sweeps.estimate import makespan
from edgekit.sweeps.export import Made, assumed, there
from edgekit.sweeps.grid.axes import How
from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Task
from edgekit.sweeps.journal import Journal
from edgekit.sweeps.measure import Measuring
from edgekit.sweeps.plan import Place, Plan, place_of
from edgekit.sweeps.result import PLANNED, CellResult, SweepResult
from edgekit.util.formatting import counted

FILE = "file"  # that is there; a latency and an accuracy are called as their jobs are


def preview(plan: Plan) -> SweepResult:
    """Return what is there already, what is to be done, and how long that will take."""
    cells = tuple(map(plan.look_at, plan.cells))
    jobs = plan.left(cells)
    seconds = makespan(jobs, plan.addresses, plan.room.processors, plan.room.memory)
    earlier, left = _of_any_run(plan), set(_parts(jobs))
    files = {place: _made(plan, earlier, place) for place in dict.fromkeys(place_of(one.cell) for one in cells)}
    cells = tuple(
        replace(
            one,
            there=tuple(_there(plan, one, earlier, files[place_of(one.cell)])),
            todo=tuple(_todo(one, left)) if one.status == PLANNED else (),
        )
        for one in cells
    )
    again = sum(FILE in one.there and EXPORT in one.todo for one in cells)
    whose = f"{counted(again, 'cell')} of {len(cells)} {'was' if again == 1 else 'were'} done before, at least in part"
    notes = (f"{whose}: --continue redoes only what is missing or changed",) if again else ()
    known = {place: made for place, made in files.items() if made is not None}
    return SweepResult(
        cells, seconds, dry_run=True, notes=(*plan.notes, *assumed(known), *notes), jobs=jobs, preset=plan.grid.preset
    )


def _of_any_run(plan: Plan) -> Measuring:
    """What was measured before, whether it counts for this run or not."""
    if not plan.since:
        return plan.measuring
    found = Measuring(plan.grid, plan.keys, Journal(plan.grid.out), plan.store, plan.known, plan.engine)
    found.meet()
    return found


def _made(plan: Plan, earlier: Measuring, place: Place) -> Made | None:
    """The file of a place, whichever run made it."""
    return plan.made.get(place) or there(earlier.journal, plan.files_of[place], plan.grid.out)


def _there(plan: Plan, one: CellResult, earlier: Measuring, made: Made | None) -> Iterator[str]:
    """What earlier runs left of a cell: its file, its latency, its accuracy."""
    if made is None or made.sha256 is None:
        return
    yield FILE
    latency = earlier.known_latency(made, one.cell.how, or_invalid=True) if one.cell.device else None
    if latency is not None:
        yield f"invalid {LATENCY}" if latency.verdict == INVALID else LATENCY
    if plan.grid.eval and not one.accuracy_reason and earlier.known_accuracy(made, one.cell.how.runtime):
        yield ACCURACY


Part = tuple[str, Place, How | str | None]  # a kind of job, the file, and how it is measured or with what evaluated


def _parts(jobs: Sequence[Task]) -> Iterator[Part]:
    """What the jobs do, file by file."""
    for task in jobs:
        if task.kind == EXPORT:
            yield from ((EXPORT, (task.work.point, file.format, file.precision), None) for file in task.work.files)
        elif task.kind == LATENCY:
            yield (LATENCY, *task.work)
        else:
            yield from ((ACCURACY, place, task.work[1]) for place in task.work[0])


def _todo(one: CellResult, left: Collection[Part]) -> Iterator[str]:
    """The kinds of jobs that a cell still needs."""
    place = place_of(one.cell)
    if (EXPORT, place, None) in left:
        yield EXPORT
    if one.measurement is None and (LATENCY, place, one.cell.how) in left:
        yield LATENCY
    if one.accuracy is None and not one.accuracy_reason and (ACCURACY, place, one.cell.how.runtime) in left:
        yield ACCURACY
