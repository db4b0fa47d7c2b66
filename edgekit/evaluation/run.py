"""One file on its way through the images: batches, answers, hits, and the record in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.images import Sample
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid, UsageError, in_one_line
from edgekit.evaluation.answers import Answers, breakdown
from edgekit.evaluation.array_input import ArrayInput
from edgekit.evaluation.input import FileInput
from edgekit.records.artifact import Artifact
from edgekit.records.formats import ARGMAX
from edgekit.records.measurement import Accuracy
from edgekit.records.record import new_id, now
from edgekit.records.runtime import Session, own_time
from edgekit.stats.accuracy import HIT1, MISS, correct1, correct5, hit


@dataclass
class Run:
    """One file on its way through the images. `error` ends it."""

    artifact: Artifact
    session: Session
    device: str
    runtime: str
    found: dict[str, Any]
    input: FileInput | ArrayInput
    calibrated_on: frozenset[str]
    output: int  # which one holds the scores
    classes: dict[str, int]  # of groups of images, by the file's names for them
    answers: Answers
    names: Mapping[int, str]  # of the labels' classes, as far as they are known
    ahead: int = 1  # batches that are best asked about at once
    hits: list[str] = field(default_factory=list)
    # The inputs of each image or example, its name and its class.
    waiting: list[tuple[tuple[NDArray[Any], ...], str, int]] = field(default_factory=list)
    nanoseconds: int = 0
    error: EdgekitError | None = None

    def take(self, sample: Sample, digest: str, pixels: Any) -> None:
        """Take one more image, as its view has it; runs when the file's batch is full."""
        if digest in self.calibrated_on:
            raise UsageError(
                f"{self.artifact.path.name} was calibrated on {sample.name}, so its accuracy there would flatter it",
                "evaluate on other images, or calibrate on others",
            )
        label = self.classes.get(sample.group, sample.label)
        assert label is not None
        self.waiting.append((self.input.parts(pixels), sample.name, label))
        if len(self.waiting) == self._together:
            self.flush()

    @property
    def _together(self) -> int:
        """How many images are asked about at once: a file's batch; on a phone many of them."""
        return (self.input.batch or 1) * self.ahead

    def flush(self) -> None:
        """Run what waits; a fixed batch is filled up with its last image, whose further answers are dropped."""
        if not self.waiting:
            return
        missing = -len(self.waiting) % (self.input.batch or 1)
        rows = [x for x, *_ in self.waiting] + [self.waiting[-1][0]] * missing
        batch = [np.stack(parts) for parts in zip(*rows, strict=True)]
        start = time.perf_counter_ns()
        output = self._answers(batch)
        took = time.perf_counter_ns() - start
        self.nanoseconds += own_time(self.session) or took
        scores = output.reshape(len(rows), -1)
        for row, (_, image, label) in zip(scores, self.waiting, strict=False):
            self.hits.append(self._hit(row, label + self.input.class_offset))
            self.answers.add(image, label, row)
        self.waiting.clear()

    def _answers(self, batch: list[NDArray[Any]]) -> NDArray[Any]:
        try:
            return np.asarray(self.session.run(batch)[self.output])
        except EdgekitError:
            raise
        except Exception as error:  # a runtime raises what it likes
            raise BackendMissing(
                f"{self.runtime} cannot run {self.artifact.path.name}: {in_one_line(error)}",
                "try another runtime or version",
            ) from error

    def _hit(self, scores: NDArray[Any], target: int) -> str:
        if gives_index(self.artifact):
            return HIT1 if int(scores[0]) == target else MISS
        if target >= len(scores):
            raise UsageError(f"{self.artifact.path.name} has no output {target}", "correct the labels or class offset")
        try:
            return hit(scores, target)
        except ValueError as error:
            raise MeasurementInvalid(
                f"{self.artifact.path.name} answers with NaN", "its weights or ranges are broken: export it again"
            ) from error

    def accuracy(self, dataset: str, dataset_hash: str, unreadable: int) -> Accuracy:
        """Return the record of a finished run. Raises UsageError where its file changed meanwhile."""
        hits, manifest = "".join(self.hits), self.artifact.manifest
        return Accuracy(
            id=new_id(),
            created=now(),
            artifact=self.artifact.path.name,
            sha256=self.artifact.still().sha256,
            format=self.artifact.format,
            manifest=manifest.for_records() if manifest else None,
            device=self.device,
            runtime=self.runtime,
            dataset=dataset,
            dataset_hash=dataset_hash,
            n=len(hits),
            correct1=correct1(hits),
            correct5=None if gives_index(self.artifact) else correct5(hits),
            hits=hits,
            images_per_second=len(hits) / (self.nanoseconds / 1e9),
            found={**self.found, "path": str(self.artifact.path)},
            breakdown=breakdown(self.answers, self.names),
            unreadable=unreadable,
        )


def gives_index(artifact: Artifact) -> bool:
    """Return whether the file answers with the index of its best class alone."""
    return artifact.manifest is not None and artifact.manifest.output == ARGMAX
