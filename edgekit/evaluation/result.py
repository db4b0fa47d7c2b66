"""What an evaluation gives: accuracies with their intervals, differences in pairs, and what failed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.errors import EnvironmentRefused, Failure, GateFailed, worst_exit_code
from edgekit.evaluation.answers import Answers, details
from edgekit.evaluation.gates import Gate
from edgekit.evaluation.pairs import bases, in_words
from edgekit.records.measurement import Accuracy
from edgekit.stats.accuracy import fraction, paired
from edgekit.stats.proportions import PairedDifference, wilson
from edgekit.storage.keeping import told
from edgekit.util.formatting import printable
from edgekit.util.tabled import Shown, Tabled, short

FEWEST = 6  # classes from which on a top-5 tells something


@dataclass(frozen=True)
class Evaluated:
    """A file, its record, and what it answered to each image."""

    artifact: Path
    accuracy: Accuracy
    answers: Answers | None = None

    def to_json(self) -> dict[str, Any]:
        """Fractions of 1; images per second counts the file's inferences alone, not the decoding.

        `classes` are those that there are to choose from, or None where the file does not tell.
        """
        record = self.accuracy
        return {
            "artifact": str(self.artifact),
            "n": record.n,
            "unreadable": record.unreadable,
            "top1": record.correct1 / record.n,
            "top5": fraction(record.correct5, record.n),
            "classes": (self.answers.classes if self.answers else 0) or None,
            "top1_ci95": list(wilson(record.correct1, record.n)),
            "images_per_second": record.images_per_second,
            "dataset": record.dataset,
            "dataset_hash": record.dataset_hash,
            "foreign": record.manifest is None,
            "device": record.device,
            "runtime": record.runtime,
            "breakdown": details(record.breakdown) if record.breakdown else None,
        }


@dataclass(frozen=True, repr=False)
class EvalResult(Tabled):
    """The files that were evaluated, in the order given, all on the same images.

    `against` is the place of the file that all others are compared with, where one was named.
    """

    results: tuple[Evaluated, ...]
    failed: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    unstored: EnvironmentRefused | None = None  # why the store does not hold them, and what does
    against: int | None = None
    gates: tuple[Gate, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the first that applies of what failed and of the gates that do not hold."""
        held = [GateFailed.exit_code for gate in self.gates if not gate.held.is_held]
        unstored = [self.unstored.exit_code] if self.unstored else []
        return worst_exit_code([*(failure.exit_code for failure in self.failed), *held, *unstored])

    def paired(self) -> tuple[tuple[Evaluated, Evaluated, PairedDifference], ...]:
        """Return each file against its base (edgekit.evaluation.pairs), image by image."""
        found = bases([one.accuracy for one in self.results], self.against)
        pairs = [(self.results[base], new) for base, new in zip(found, self.results, strict=True) if base is not None]
        return tuple((base, new, paired(base.accuracy.hits, new.accuracy.hits)) for base, new in pairs)

    def shown(self) -> list[Shown]:
        """Return the accuracies, and each file against its base."""
        document = self.to_json()
        document["results"] = list(map(without_trivial, document["results"]))
        table = short(document)
        return [replace(table, below=[*map(in_words, printable(document["paired"])), *table.below])]

    def to_json(self) -> dict[str, Any]:
        """{"results": [...], "paired": [...], "gates": [...], "failed": [...], "notes": [...], "unstored": null}"""
        return {
            "results": [evaluated.to_json() for evaluated in self.results],
            "paired": [
                {
                    "base": str(base.artifact),
                    "artifact": str(new.artifact),
                    "top1_difference": difference.difference,
                    "ci95": list(difference.ci95),
                    "p_value": difference.p_value,
                    "only_base": difference.only_b,
                    "only_artifact": difference.only_a,
                }
                for base, new, difference in self.paired()
            ],
            "gates": [gate.to_json() for gate in self.gates],
            "failed": [failure.to_json("reason", "remedy") for failure in self.failed],
            "notes": list(self.notes),
            "unstored": told(self.unstored),
        }


def without_trivial(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for people: without a top-5 where there are no more than five classes, which is always 1."""
    return row | {"top5": None} if (row.get("classes") or FEWEST) < FEWEST else row
