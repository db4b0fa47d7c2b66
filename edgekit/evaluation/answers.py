"""What one file answered to each image, and what that says beside top-1."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.exporting.stored_values import dequantized
from edgekit.records.breakdown import Breakdown, Confidence, Confusion, Mistake
from edgekit.records.formats import ARGMAX, SOFTMAX
from edgekit.records.manifest import TensorRecord
from edgekit.stats.calibration import calibration, softmax
from edgekit.stats.proportions import wilson

MOST, EXAMPLES = 20, 3  # confusions and mistakes that a record keeps, and names of images for each confusion
ROUNDED = 0.02  # by which float shares may miss a sum of 1


@dataclass
class Answers:
    """One entry an image in each list; classes are those of the labels, so that an output before them is -1.

    `output` is the tensor of scores where a manifest describes it, `head` what the file answers with. `classes` is how
    many there are to choose from; 0 where the file does not tell.
    """

    head: str | None
    output: TensorRecord | None
    offset: int = 0
    classes: int = 0
    images: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)  # the best score as it is
    softmaxes: list[float] = field(default_factory=list)  # the best score's share in a softmax
    are_shares: bool = True  # all scores of each image so far are probabilities
    are_codes: bool = False  # integers that nothing says the scale of

    def add(self, image: str, label: int, scores: NDArray[np.generic]) -> None:
        """Add an image of class `label`, with the scores (C,) that the file gave it, or its index."""
        self.images.append(image.encode(errors="backslashreplace").decode())
        self.labels.append(label)
        if self.head == ARGMAX:
            self.said.append(int(scores[0]) - self.offset)
            return
        self.said.append(int(scores.argmax()) - self.offset)
        self.are_codes = scores.dtype.kind in "iu" and (self.output is None or self.output.scale is None)
        real = (dequantized(scores, self.output) if self.output else scores).astype(np.float64)
        self.shares.append(float(real.max()))
        self.softmaxes.append(float(softmax(real).max()) if np.isfinite(real).all() else float("nan"))
        self.are_shares = self.are_shares and self._adds_up(real)

    def _adds_up(self, scores: NDArray[np.float64]) -> bool:
        """Whether scores are probabilities, as far as the steps of their integers let them be."""
        step = (self.output.scale or 0.0) if self.output else 0.0
        within = bool(scores.min() >= -step and scores.max() <= 1 + step + ROUNDED)
        return within and abs(float(scores.sum()) - 1) <= ROUNDED + step * len(scores) / 2

    def confidence(self) -> tuple[list[float] | None, str]:
        """Return the confidence in each image's best class and how it was computed, or None and why there is none."""
        if self.head == ARGMAX or not self.softmaxes:
            return None, "the file answers with the index of the best class"
        if self.are_codes:
            return None, "the file's scores are integers, and nothing says their scale"
        if np.isnan(self.softmaxes).any():
            return None, "the file's scores are not all finite"
        if self.head == SOFTMAX or self.are_shares:
            return [min(max(share, 0.0), 1.0) for share in self.shares], "the file's own probabilities"
        return self.softmaxes, "softmax of the file's scores"


def breakdown(answers: Answers, names: Mapping[int, str]) -> Breakdown:
    """Return what the answers say of classes, confusions, mistakes and confidence; `names` are those of classes."""
    sure, method = answers.confidence()
    pairs = list(zip(answers.labels, answers.said, strict=True))
    counts = Counter(pairs)
    examples: dict[tuple[int, int], list[str]] = defaultdict(list)
    for image, pair in zip(answers.images, pairs, strict=True):
        examples[pair].append(image)
    wrong = [place for place, (label, said) in enumerate(pairs) if label != said]
    wrong.sort(key=lambda place: -(sure[place] if sure else 0.0))
    confused = sorted((pair for pair in counts if pair[0] != pair[1]), key=lambda pair: (-counts[pair], pair))
    found = calibration(sure, [label == said for label, said in pairs]) if sure else None
    return Breakdown(
        counts=tuple((label, said, counts[label, said]) for label, said in sorted(counts)),
        names={label: names[label] for label in sorted({label for pair in pairs for label in pair} & set(names))},
        confusions=tuple(
            Confusion(label=pair[0], said=pair[1], n=counts[pair], images=tuple(examples[pair][:EXAMPLES]))
            for pair in confused[:MOST]
        ),
        mistakes=tuple(
            Mistake(
                image=answers.images[place],
                label=pairs[place][0],
                said=pairs[place][1],
                confidence=sure[place] if sure else None,
            )
            for place in wrong[:MOST]
        ),
        confidence=Confidence(method=method, ece=found.ece, mean=found.mean, bins=found.bins) if found else None,
        confidence_reason=None if found else method,
    )


def details(found: Breakdown) -> dict[str, Any]:
    """Return a breakdown as `edgekit eval --json` prints it: fractions of 1, and each class by its number."""
    return {
        "classes": [
            {
                "class": label,
                "name": found.names.get(label),
                "n": n,
                "correct": right,
                "top1": right / n,
                "top1_ci95": list(wilson(right, n)),
            }
            for label, n, right in found.classes()
        ],
        "confusion_matrix": [{"class": label, "said": said, "n": n} for label, said, n in found.counts],
        "confusions": [_renamed(one) for one in found.confusions],
        "mistakes": [_renamed(one) for one in found.mistakes],
        "confidence": found.confidence.model_dump(mode="json") if found.confidence else None,
        "confidence_reason": found.confidence_reason,
        "summary": found.summary(),
    }


def _renamed(one: Confusion | Mistake) -> dict[str, Any]:
    known = one.model_dump(mode="json")
    return {"class": known.pop("label"), **known}
