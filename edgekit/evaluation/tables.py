"""The tables of an evaluation as CSV: classes, confusions and images of each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edgekit.evaluation.answers import Answers
from edgekit.evaluation.result import Evaluated
from edgekit.records.breakdown import Breakdown
from edgekit.util.files import write_atomically
from edgekit.util.table_text import as_csv

Cells = Sequence[Any]


def write(folder: Path, results: Iterable[Evaluated]) -> None:
    """Write `FILE.classes.csv`, `FILE.confusion.csv` and `FILE.images.csv` into a folder that is there.

    The confusion matrix is a line for each pair that occurs. Of files with the same name, further ones are numbered.
    Raises EnvironmentRefused where one cannot be written.
    """
    taken: dict[str, int] = {}
    for one in results:
        if one.accuracy.breakdown is None or one.answers is None:
            continue
        name = one.artifact.name
        taken[name] = taken.get(name, 0) + 1
        name += f"-{taken[name]}" if taken[name] > 1 else ""
        tables = {
            "classes": _classes(one.accuracy.breakdown),
            "confusion": _confusion(one.accuracy.breakdown),
            "images": _images(one.answers, one.accuracy.breakdown),
        }
        for table, lines in tables.items():
            write_atomically(folder / f"{name}.{table}.csv", as_csv(next(lines), list(lines)).encode())


def _classes(found: Breakdown) -> Iterator[Cells]:
    yield "class", "name", "images", "correct", "top1"
    yield from ((label, found.name(label), n, right, right / n) for label, n, right in found.classes())


def _confusion(found: Breakdown) -> Iterator[Cells]:
    yield "class", "name", "said", "said_name", "images"
    yield from ((label, found.name(label), said, found.name(said), n) for label, said, n in found.counts)


def _images(answers: Answers, found: Breakdown) -> Iterator[Cells]:
    yield "image", "class", "name", "said", "said_name", "correct", "confidence"
    sure: Sequence[float | None] = answers.confidence()[0] or [None] * len(answers.images)
    for image, label, said, confidence in zip(answers.images, answers.labels, answers.said, sure, strict=True):
        yield image, label, found.name(label), said, found.name(said), int(label == said), confidence
