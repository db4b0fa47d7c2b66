"""Where an accuracy is lost: by class, by confusion, in images, and whether the file's confidence is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgekit.records.record import Record, Whole


class Confusion(Record):
    """Images of one class that were taken for another, with the names of some."""

    label: Whole
    said: Whole
    n: Whole
    images: tuple[str, ...]


class Mistake(Record):
    """One image that was taken for another class."""

    image: str
    label: Whole
    said: Whole
    confidence: float | None  # in what was said; None: not known


class Confidence(Record):
    """How far the confidence in the best class is from how often that is right (edgekit.stats.calibration)."""

    method: str  # how the confidence was computed
    ece: float
    mean: float
    bins: tuple[tuple[Whole, float, float], ...]  # images, mean confidence, accuracy


class Breakdown(Record):
    """Classes are those of the images' labels; -1 is an output before them, such as a background."""

    counts: tuple[tuple[Whole, Whole, Whole], ...]  # class, what was said, images: the matrix without its zeros
    names: dict[Whole, str]  # of the classes that occur, as far as they are known
    confusions: tuple[Confusion, ...]  # the most frequent
    mistakes: tuple[Mistake, ...]  # those with the highest confidence
    confidence: Confidence | None
    confidence_reason: str | None = None  # why there is none

    def classes(self) -> Iterator[tuple[int, int, int]]:
        """Return each class that has images, in order, with their number and how many were right."""
        images: Counter[int] = Counter()
        right: Counter[int] = Counter()
        for label, said, n in self.counts:
            images[label] += n
            right[label] += n if said == label else 0
        return ((label, images[label], right[label]) for label in sorted(images))

    def name(self, label: int) -> str:
        """Return what a class is called, or its number."""
        return self.names.get(label, str(label))

    def summary(self, most: int = 1) -> dict[str, str]:
        """Return the weakest classes, the most frequent confusions, the surest mistakes and the calibration, in words.

        A class of few images is weak only where more of them are wrong: one is added to the right and the wrong ones.
        """
        weak = sorted((one for one in self.classes() if one[2] < one[1]), key=lambda one: (one[2] + 1) / (one[1] + 2))
        said = {
            "weakest class": [f"{self.name(label)}, {100 * right / n:.1f} % of {n}" for label, n, right in weak],
            "most confused": [
                f"{self.name(one.label)} as {self.name(one.said)}, {one.n} ({', '.join(one.images)})"
                for one in self.confusions
            ],
            "surest mistake": [
                f"{one.image} ({self.name(one.label)}) as {self.name(one.said)}, {100 * one.confidence:.1f} %"
                for one in self.mistakes
                if one.confidence is not None
            ],
        }
        found = {what: "; ".join(each[:most]) for what, each in said.items() if each}
        if self.confidence:
            found["calibration error"] = f"{100 * self.confidence.ece:.1f} points ({self.confidence.method})"
        return found
