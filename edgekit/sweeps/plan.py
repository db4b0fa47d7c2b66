"""What a sweep has to do: for each variant its weights and files, which of them are there, and what the rest takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgekit.device.registry import DeviceList
from edgekit.errors import Refusal, UsageError
from edgekit.exporting.inputs import key
from edgekit.network.names import called, is_own_name
from edgekit.storage.store import Store
from edgekit.sweeps.engine import Engine
from edgekit.sweeps.estimate import accuracy_seconds, export_seconds, latency_seconds
from edgekit.sweeps.export import File, Job, Made, refused, there
from edgekit.sweeps.grid.axes import How, Point, SweepCell
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Needs, Task, export_bytes
from edgekit.sweeps.journal import Journal
from edgekit.sweeps.keys import Keys
from edgekit.sweeps.measure import UNTRAINED, Measuring
from edgekit.sweeps.preflight import check_files, check_images, refuse_for_random, refuse_namesakes, refuse_same_images
from edgekit.sweeps.result import CACHED, FAILED, PLANNED, CellResult
from edgekit.sweeps.weights import OWN, Source, named, source
from edgekit.util.formatting import counted

if TYPE_CHECKING:
    from edgekit.network.spec import Variant

Place = tuple[Point, str, str]  # ... format, precision


@dataclass
class Plan:
    """A grid that was looked at. `since`: what was done before it (seconds since 1970) does not count.

    Raises UsageError for what would fail in every cell.
    """

    grid: Grid
    cells: tuple[SweepCell, ...]
    store: Store
    known: DeviceList
    engine: Engine
    since: float
    retry: bool = False  # only what failed
    made: dict[Place, Made] = field(default_factory=dict)  # files that are there, and those that cannot be
    jobs: list[Job] = field(default_factory=list)
    names: dict[Point, str] = field(default_factory=dict)
    untrained: set[Point] = field(default_factory=set)
    gmacs: dict[Point, float] = field(default_factory=dict)
    parameters: dict[Point, int] = field(default_factory=dict)
    files_of: dict[Place, File] = field(default_factory=dict)  # as they are wanted, with their keys
    job_of: dict[SweepCell, str] = field(default_factory=dict)  # the key of the measurement of a cell
    kept: list[Task] = field(default_factory=list)  # jobs that are not tried again

    def __post_init__(self) -> None:
        self.keys = Keys(self.grid)
        self.journal = Journal(self.grid.out, self.since)
        self.measuring = Measuring(self.grid, self.keys, self.journal, self.store, self.known, self.engine)
        self.room = self.engine.room
        self.files: dict[Point, list[tuple[str, str]]] = {}  # format and precision of each that is wanted
        for cell in self.cells:
            self.files.setdefault(cell.point, []).append((cell.format, cell.precision))
        check_files(self.grid, self.known)
        refuse_same_images(self.grid)
        _ = self.keys.calibrated_on, self.keys.evaluated_on  # reads the folders, and refuses what is no set of images
        refuse_for_random(self.grid)
        for point, files in self.files.items():
            self._look(point, list(dict.fromkeys(files)))
        if self.jobs:
            self._check_variants()
        self._name_refused()
        refuse_namesakes(self.names)
        self.measuring.meet()

    def _look(self, point: Point, files: list[tuple[str, str]]) -> None:
        grid = self.grid.of(point.model)
        self.names[point] = named(called(point.model), point.alpha, point.res)
        missing: dict[Source, list[File]] = {}
        for format, precision in files:
            weights, refusal = self._weights(point, precision)
            inputs = self.keys.of_export(grid.asked(point, weights, (format,), (precision,)), weights)
            file = File(format, precision, key(inputs), inputs)
            self.files_of[point, format, precision] = file
            found = Made(file, refusal=refusal) if refusal else there(self.journal, file, grid.out)
            if found is None or (self.retry and found.refusal is not None and found.refusal.known):
                if self._is_meant(file.key, found is not None):
                    missing.setdefault(weights, []).append(file)
            else:
                self.made[point, format, precision] = found
                self.learn(point, found)
        self.jobs += [Job(grid, point, weights, tuple(files), self.since) for weights, files in missing.items()]

    def _is_meant(self, key: str, failed: bool = False) -> bool:
        """Whether a job is to be done: where only what failed is tried again, one that did."""
        return not self.retry or failed or self.journal.get("failed", key) is not None

    def _weights(self, point: Point, precision: str) -> tuple[Source, Refusal | None]:
        grid = self.grid.of(point.model)
        try:
            its = (called(point.model), point.alpha, point.res)
            found = source(grid.weights, *its, precision, grid.random_where_missing)
        except UsageError as error:
            keep = f", or {{model: {point.model}, weights: {OWN}}} in a grid" if is_own_name(point.model) else ""
            return Source("", None, False), refused(UsageError(error.message, f"{error.remedy}{keep}"))
        if is_own_name(point.model) and found.weights == "random":
            return replace(found, random=False), None
        if found.random and not is_own_name(point.model):
            self.untrained.add(point)
        return found, None

    def learn(self, point: Point, made: Made) -> None:
        """A file tells what its variant is called and what it computes."""
        if made.variant is not None:
            self.names[point] = made.variant
        if made.macs is not None:
            self.gmacs[point] = made.macs / 1e9

    def told(self, point: Point) -> str:
        """Return what a variant is called, and the options of export in which its files differ from others."""
        return f"{self.names[point]} {point.way}".rstrip()

    def _variant(self, point: Point) -> Variant:
        """The variant of a point. Raises UsageError where the network has none such. Imports torch."""
        from edgekit.network.catalog import chosen

        shared = replace(self.grid.export, **self.grid.unheeded(point.model))
        classes = dict(point.options).get("classes") or shared.classes
        return chosen(*point[:3], classes, shared.options, shared.input)

    def _check_variants(self) -> None:
        """Whether the network has such variants, and takes such images: asked before the first of them is made."""
        variants = [(job, self._variant(job.point)) for job in self.jobs]
        check_images(self.grid, [(job.point.model, variant) for job, variant in variants if not job.weights.random])
        for job, variant in variants:
            if job.point.alpha is not None or not variant.spec.alphas or job.weights.sha256 is None:
                self.names[job.point] = str(variant)  # else the weights will tell its alpha
            row = next((row for row in variant.spec.published if row.macs), None)
            if row is not None:
                size = variant.resolution / (row.resolution or variant.spec.resolution)
                scale = (variant.alpha / row.alpha * size) ** 2
                self.gmacs.setdefault(job.point, (row.macs or 0) * scale / 1e9)
                self.parameters[job.point] = int((row.params or 0) * (variant.alpha / row.alpha) ** 2)

    def _name_refused(self) -> None:
        """Failures are remembered under the variant's whole name, by which it is known when it was done later."""
        exported = {job.point for job in self.jobs}
        for (point, _, _), made in self.made.items():
            if made.refusal is not None and not made.refusal.known and point not in exported:
                with suppress(UsageError):  # there is no such variant: it keeps the name that was asked for
                    self.names[point] = str(self._variant(point))

    # The jobs, how long they take, and what they need

    @property
    def addresses(self) -> dict[str, str]:
        """The machine of each device, by its name."""
        return {name: self.engine.address(name) for name in self.grid.devices}

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every job that is left: exports, what is measured of their files, and accuracies."""
        exports = [(job, self._export_task(job)) for job in self.jobs]
        awaited = {(job.point, file.format, file.precision): task.key for job, task in exports for file in job.files}
        found = [task for _, task in exports]
        for task in (*self._latency_tasks(awaited), *self._accuracy_tasks(awaited)):
            is_meant = bool(task.after) or self._is_meant(task.key)
            (found if is_meant else self.kept).append(task)
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what to know of a sweep that goes on: the last run measured in another way, which does not count."""
        entry = self.journal.newest("latency")
        last = _preset_of(entry) if entry is not None and not self.grid.export_only else None
        left = sum(task.kind == LATENCY for task in self.tasks)
        if last is None or last == self.grid.preset or not left:
            return ()
        return (
            f"the last run measured with --preset {last}, and this one measures with {self.grid.preset}: latencies of "
            f"another preset do not count, and {counted(left, 'is', 'are')} taken; add --preset {last} to keep those",
        )

    def _export_task(self, job: Job) -> Task:
        needs = Needs(
            processors=self.room.processors // self.room.exports,
            memory=export_bytes(self.parameters.get(job.point)),
            alone=self.grid.export.max_latency is not None,
        )
        digest = key({"export": [file.key for file in job.files]})
        return Task(digest, EXPORT, self.told(job.point), needs, (), job.point.model, self.job_seconds(job), job)

    def _latency_tasks(self, awaited: Mapping[Place, str]) -> Iterator[Task]:
        for cell in self.cells:
            place = (cell.point, cell.format, cell.precision)
            if cell.how.device is None or not self._will_be_there(place, awaited):
                continue
            after = (awaited[place],) if place in awaited else ()
            digest = key({"file": self.files_of[place].key, "how": cell.how, "preset": self.grid.preset})
            name = f"{self.told(cell.point)} {cell.format} {cell.precision}"
            needs = Needs(devices=self.grid.pools[cell.how.device])
            seconds = latency_seconds(self.measuring.protocol(cell.how))
            self.job_of[cell] = digest
            yield Task(digest, LATENCY, name, needs, after, cell.point.model, seconds, (place, cell.how))

    def _accuracy_tasks(self, awaited: Mapping[Place, str]) -> Iterator[Task]:
        if self.grid.eval is None:
            return
        wanted: dict[tuple[Point, str | None], dict[Place, None]] = {}
        for cell in self.cells:
            if self._will_be_there(place_of(cell), awaited):
                wanted.setdefault((cell.point, cell.how.runtime), {})[place_of(cell)] = None
        for (point, runtime), places in wanted.items():
            after = tuple(dict.fromkeys(awaited[place] for place in places if place in awaited))
            digest = key({"files": [self.files_of[place].key for place in places], "runtime": runtime})
            needs, seconds = Needs(processors=max(self.grid.threads)), self.accuracy_seconds(point, len(places))
            work = (tuple(places), runtime)
            yield Task(digest, ACCURACY, self.told(point), needs, after, point.model, seconds, work)

    def _will_be_there(self, place: Place, awaited: Mapping[Place, str]) -> bool:
        """Whether a file is there, or about to be made."""
        return place in awaited or (place in self.made and self.made[place].refusal is None)

    def job_seconds(self, job: Job) -> float:
        """Guessed, of one export."""
        int8 = sum(file.precision == "int8" for file in job.files)
        return export_seconds(len(job.files), int8, self.grid.export.int8_effort, self.gmacs.get(job.point))

    def accuracy_seconds(self, point: Point, files: int) -> float:
        """Guessed, of the files of one variant on all images."""
        return accuracy_seconds(self.keys.images_evaluated, files, self.gmacs.get(point)) if files else 0.0

    def left(self, cells: Sequence[CellResult]) -> tuple[Task, ...]:
        """Return the jobs that cells which are planned still need."""
        planned = [one for one in cells if one.status == PLANNED]
        timed = {(place_of(one.cell), one.cell.how) for one in planned if one.measurement is None}
        judged = {
            (place_of(one.cell), one.cell.how.runtime)
            for one in planned
            if one.accuracy is None and not one.accuracy_reason
        }
        return tuple(task for task in self.tasks if _is_left(task, timed, judged))

    def look_at(self, cell: SweepCell) -> CellResult:
        """Return what of a cell is there already, before anything is done."""
        name, made = self.names[cell.point], self.made.get(place_of(cell))
        reason = next(self._no_accuracy(cell.point, made), None)
        if made is None:
            return CellResult(cell, name, PLANNED, accuracy_reason=reason)
        if made.refusal is not None:
            return CellResult(cell, name, FAILED, refusal=made.refusal)
        latency = self.measuring.known_latency(made, cell.how) if cell.device else None
        accuracy = self.measuring.known_accuracy(made, cell.how.runtime) if self.grid.eval and not reason else None
        there = (latency or cell.device is None) and (accuracy or reason or not self.grid.eval)
        status = CACHED if there else PLANNED
        return CellResult(cell, name, status, str(made.path), made.sha256, None, latency, accuracy, reason)

    def _no_accuracy(self, point: Point, made: Made | None) -> Iterator[str]:
        if self.grid.eval and made is not None and made.refusal is None:
            yield from filter(None, [self.measuring.meaningless(made)])
        elif self.grid.eval and point in self.untrained:
            yield UNTRAINED


def _preset_of(entry: Mapping[str, Any]) -> str | None:
    """The preset of a latency that a journal holds; None where it does not tell."""
    try:
        found = entry["inputs"]["protocol"]["preset"]
    except (KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def place_of(cell: SweepCell) -> Place:
    """Return which file a cell is about."""
    return cell.point, cell.format, cell.precision


def _is_left(task: Task, timed: set[tuple[Place, How]], judged: set[tuple[Place, str | None]]) -> bool:
    if task.kind == LATENCY:
        return task.work in timed
    return task.kind == EXPORT or any((place, task.work[1]) in judged for place in task.work[0])
