"""What a sweep has to do: for each variant its weights and files, which of them are there, and what the rest takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.device.registry import load
from edgekit.errors import Refusal, UsageError
from edgekit.records.formats import FORMATS
from edgekit.storage.store import Store
from edgekit.sweeps.estimate import accuracy_seconds, export_seconds, latency_seconds
from edgekit.sweeps.export import File, Job, Made, refused, there
from edgekit.sweeps.grid import Grid, Point, SweepCell
from edgekit.sweeps.journal import Journal
from edgekit.sweeps.keys import Keys, key
from edgekit.sweeps.measure import UNTRAINED, Measuring
from edgekit.sweeps.result import CACHED, FAILED, PLANNED, CellResult, SweepResult
from edgekit.sweeps.weights import NAMED, Source, named, source

if TYPE_CHECKING:
    from edgekit.network.spec import Variant

Place = tuple[Point, str, str]  # ... format, precision


@dataclass
class Plan:
    """A grid that was looked at. `since`: what was done before it (seconds since 1970) does not count.

    Raises UsageError for what would fail in every cell.
    """

    grid: Grid
    store: Store
    devices: Path | None
    since: float
    workers: int
    made: dict[Place, Made] = field(default_factory=dict)  # files that are there, and those that cannot be
    jobs: list[Job] = field(default_factory=list)
    names: dict[Point, str] = field(default_factory=dict)
    untrained: set[Point] = field(default_factory=set)
    gmacs: dict[Point, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = Keys(self.grid)
        self.journal = Journal(self.grid.out, self.since)
        self.measuring = Measuring(self.grid, self.keys, self.journal, self.store, self.devices)
        self._preflight()
        for point in self.grid.points:
            self._look(point)
        if self.jobs:
            self._check_variants()
        self._name_refused()

    def _preflight(self) -> None:
        known, is_built = load(self.devices), any(FORMATS[one].is_built for one in self.grid.format)
        for name in self.grid.devices:
            if name is not None and is_built and not known[name].is_local:
                raise UsageError(
                    f"an engine runs where it was built, and a sweep makes each file once, not for {name}",
                    "leave tensorrt out, and build with `edgekit export --format tensorrt --device`",
                )
            _ = known[name] if name is not None else None
        shared = self.grid.export
        for option, path in {"--preprocess": shared.preprocess, "--labels": shared.labels}.items():
            if path is not None and not Path(path).is_file():
                raise UsageError(f"{path} does not exist", f"give a file with {option}")
        weights = self.grid.weights
        if weights.partition(":")[0] not in NAMED and not Path(weights).expanduser().exists():
            raise UsageError(f"the weights {weights} do not exist", "check the path, or say --weights random")
        _ = self.keys.calibrated_on, self.keys.evaluated_on  # reads the folders, and refuses what is no set of images
        self._refuse_for_random()

    def _refuse_for_random(self) -> None:
        """What random weights do not heed; a user's own function brings weights."""
        grid = self.grid
        if not grid.weights.startswith("random") or self.grid.is_own or grid.random_where_missing:
            return
        for option, value in {"--data": grid.export.data, "--preprocess": grid.export.preprocess}.items():
            if value is not None:
                raise UsageError(
                    f"{option} means nothing for random weights",
                    "give --weights, or --synthetic-calibration for int8 where only latency matters",
                )

    def _look(self, point: Point) -> None:
        grid = self.grid
        self.names[point] = named(self.network, *point)
        missing: dict[Source, list[File]] = {}
        for format, precision in itertools.product(grid.format, grid.precision):
            weights, refusal = self._weights(point, precision)
            inputs = self.keys.of_export(grid.asked(point, weights, (format,), (precision,)), weights)
            file = File(format, precision, key(inputs), inputs)
            found = Made(file, refusal=refusal) if refusal else there(self.journal, file, grid.out)
            if found is None:
                missing.setdefault(weights, []).append(file)
            else:
                self.made[point, format, precision] = found
                self.learn(point, found)
        self.jobs += [Job(grid, point, weights, tuple(files), self.since) for weights, files in missing.items()]

    @property
    def network(self) -> str:
        """What the network is called; of a user's own, the function that builds it."""
        return self.grid.model.rpartition(":")[2] if self.grid.is_own else self.grid.model

    def _weights(self, point: Point, precision: str) -> tuple[Source, Refusal | None]:
        grid = self.grid
        try:
            found = source(grid.weights, self.network, *point, precision, grid.random_where_missing)
        except UsageError as error:
            return Source("", None, False), refused(error)
        if self.grid.is_own and found.weights == "random":
            return replace(found, random=False), None
        if found.random and not self.grid.is_own:
            self.untrained.add(point)
        return found, None

    def learn(self, point: Point, made: Made) -> None:
        """A file tells what its variant is called and what it computes."""
        if made.variant is not None:
            self.names[point] = made.variant
        if made.macs is not None:
            self.gmacs[point] = made.macs / 1e9

    def _variant(self, point: Point) -> Variant:
        """The variant of a point. Raises UsageError where the network has none such. Imports torch."""
        from edgekit.network.catalog import chosen

        shared = self.grid.export
        return chosen(self.grid.model, *point, shared.classes, shared.options, shared.input)

    def _check_variants(self) -> None:
        """Whether the network has such variants: asked before the first of them is made."""
        for job in self.jobs:
            variant = self._variant(job.point)
            self.names[job.point] = str(variant)
            row = next((row for row in variant.spec.published if row.macs), None)
            if row is not None:
                size = variant.resolution / (row.resolution or variant.spec.resolution)
                scale = (variant.alpha / row.alpha * size) ** 2
                self.gmacs.setdefault(job.point, (row.macs or 0) * scale / 1e9)

    def _name_refused(self) -> None:
        """Failures are remembered under the variant's whole name, by which it is known when it was done later."""
        exported = {job.point for job in self.jobs}
        for (point, _, _), made in self.made.items():
            if made.refusal is not None and not made.refusal.known and point not in exported:
                with suppress(UsageError):  # there is no such variant: it keeps the name that was asked for
                    self.names[point] = str(self._variant(point))

    # How long it takes

    def job_seconds(self, job: Job) -> float:
        """Guessed, of one export, where several run at once."""
        int8 = sum(file.precision == "int8" for file in job.files)
        guess = export_seconds(len(job.files), int8, self.grid.export.int8_effort, self.gmacs.get(job.point))
        return guess / max(1, min(self.workers, len(self.jobs)))

    def latency_seconds(self) -> float:
        """Guessed, of one measurement."""
        return latency_seconds(self.measuring.protocol)

    def accuracy_seconds(self, point: Point, files: int) -> float:
        """Guessed, of the files of one variant on all images."""
        return accuracy_seconds(self.keys.images_evaluated, files, self.gmacs.get(point)) if files else 0.0

    def preview(self) -> SweepResult:
        """What is there already, what is to be done, and how long that will take."""
        cells = tuple(self._cell(cell) for cell in self.grid.cells())
        planned = [cell for cell in cells if cell.status == PLANNED]
        seconds = sum(map(self.job_seconds, self.jobs))
        seconds += sum(cell.cell.device is not None and cell.measurement is None for cell in planned) * (
            self.latency_seconds()
        )
        for point in self.grid.points if self.grid.eval else ():
            files = {
                (cell.cell.format, cell.cell.precision)
                for cell in planned
                if (cell.cell.alpha, cell.cell.res) == point and cell.accuracy is None and not cell.accuracy_reason
            }
            seconds += self.accuracy_seconds(point, len(files))
        return SweepResult(cells, seconds, dry_run=True)

    def _cell(self, cell: SweepCell) -> CellResult:
        point = (cell.alpha, cell.res)
        name, made = self.names[point], self.made.get((point, cell.format, cell.precision))
        reason = next(self._no_accuracy(point, made), None)
        if made is None:
            return CellResult(cell, name, PLANNED, accuracy_reason=reason)
        if made.refusal is not None:
            return CellResult(cell, name, FAILED, refusal=made.refusal)
        latency = self.measuring.known_latency(made, cell.device) if cell.device else None
        accuracy = self.measuring.known_accuracy(made) if self.grid.eval and not reason else None
        there = (latency or cell.device is None) and (accuracy or reason or not self.grid.eval)
        status = CACHED if there else PLANNED
        return CellResult(cell, name, status, str(made.path), made.sha256, None, latency, accuracy, reason)

    def _no_accuracy(self, point: Point, made: Made | None) -> Iterator[str]:
        if self.grid.eval and made is not None and made.refusal is None:
            yield from filter(None, [self.measuring.meaningless(made)])
        elif self.grid.eval and point in self.untrained:
            yield UNTRAINED
