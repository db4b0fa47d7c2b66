"""Choosing images for a calibration: different ones, balanced over their classes, the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.data.images import Sample, pixel_hash
from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.records.preprocessing import Preprocessing, to_pixels

FEW = 32  # below this, the largest activations of the set say little about those of other images
# Colors in CMYK depend on a profile; ranges should not rest on a guess.
REFUSED_MODES = ("CMYK", "YCCK")


def balanced(samples: tuple[Sample, ...], seed: int) -> list[Sample]:
    """Return one image of every class, then a second of each, and so on.

    In each round and class the order is the seed's.
    """

    def order(*words: str) -> bytes:
        return hashlib.sha256("\0".join((str(seed), *words)).encode()).digest()

    seen: dict[str, int] = {}
    rounds: list[tuple[int, bytes, Sample]] = []
    for sample in sorted(samples, key=lambda s: order(s.group, s.name)):
        seen[sample.group] = seen.get(sample.group, -1) + 1
        rounds.append((seen[sample.group], order(sample.group, sample.name), sample))
    return [sample for _, _, sample in sorted(rounds, key=lambda entry: entry[:2])]


@dataclass
class Choice:
    """The images that were chosen, by the hash of their pixels.

    `kept` holds their pixels as the network wants them, where these stay in memory. `twice` counts the images that were
    passed over because they have the pixels of another, and `flat` the chosen ones that show one color only.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    kept: list[NDArray[np.uint8]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    twice: int = 0
    flat: int = 0

    @property
    def read(self) -> int:
        """How many could be read."""
        return len(self.samples) + self.twice

    def notes(self, asked: int, there: int) -> tuple[str, ...]:
        """Return what a user should know about the choice, when `asked` of `there` were to be chosen."""
        n, groups = len(self.samples), {sample.group for sample in self.samples.values()}
        notes = []
        if self.twice:
            notes.append(f"{self.twice} calibration images were left out, each the same pixels as another")
        if n < FEW:
            notes.append(f"only {n} calibration images: ranges from fewer than {FEW} may clip what other images reach")
        elif n < asked:
            notes.append(f"{n} calibration images, not {asked}: there are no more")
        elif there > n:
            notes.append(f"calibrated on {n} of {there:,} images, spread over their classes")
        if self.flat:
            notes.append(f"{self.flat} of {n} calibration images show one color only")
        if len(groups) == 1 and "" not in groups:
            notes.append(f"all calibration images are of one class ({next(iter(groups))})")
        return (*self.left_out.notes(self.read), *notes)


def different(
    samples: Iterable[Sample], n: int, preprocessing: Preprocessing, size: tuple[int, int], keep: bool
) -> Choice:
    """Take the first `n` that can be read and have pixels of their own."""
    choice = Choice()
    for sample in samples:
        if len(choice.samples) == n:
            break
        try:
            image = sample.load(REFUSED_MODES, preprocessing.has_alpha)
        except Unreadable as error:
            choice.left_out.add(sample.name, error)
            continue
        digest = pixel_hash(image)
        if digest in choice.samples:
            choice.twice += 1
            continue
        choice.samples[digest] = sample
        pixels = to_pixels(preprocessing, image, size)
        choice.flat += bool((pixels == pixels[:1, :1]).all())
        if keep:
            choice.kept.append(pixels)
    return choice
