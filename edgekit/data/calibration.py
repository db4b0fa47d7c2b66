"""The calibration set: the images whose activations give the int8 ranges of every format.

Chosen once, hashed, and recorded in every manifest, so that an evaluation which overlaps it can be refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data import arrays
from edgekit.data.choice import FEW, REFUSED_MODES, balanced, different
from edgekit.data.folder import passed_over
from edgekit.data.images import Sample, find
from edgekit.data.noise import noise, whole_noise
from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.errors import UsageError
from edgekit.records.manifest import CalibrationRecord
from edgekit.records.preprocessing import Preprocessing, check_input, normalize, to_pixels

if TYPE_CHECKING:
    from edgekit.ir.whole_inputs import WholeNumbers

DEFAULT_N = 100
KEPT_BYTES = 64 << 20  # prepared pixels that stay in memory; beyond it they are decoded again


@dataclass(frozen=True)
class CalibrationSet:
    """Chosen images, examples as numbers, or seeded noise of the same shape where `synthetic` (good for latency only).

    `pixels` are the hashes of the images or examples, in order. `notes` says what a user should know about the choice.
    `whole` has, by its place, each input that takes whole numbers; all others get float32.
    """

    n: int
    input_shape: tuple[int, ...]  # the network's, batch first
    preprocessing: Preprocessing
    seed: int
    synthetic: bool
    samples: tuple[Sample, ...] = ()
    pixels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unreadable: int = 0  # images that were met and left out
    examples: tuple[arrays.Example, ...] = ()  # in the place of images
    more_inputs: tuple[tuple[int, ...], ...] = ()  # whole shapes of the network's other inputs, which get noise
    whole: Mapping[int, WholeNumbers] = field(default_factory=dict)
    _kept: tuple[NDArray[np.uint8], ...] = field(default=(), repr=False, compare=False)

    def __len__(self) -> int:
        return self.n

    @property
    def hash(self) -> str:
        """16 hex digits over the pixels, the preprocessing and the seed (for noise: its shape and count)."""
        content: list[object] = [self.pixels, self.preprocessing.model_dump(mode="json"), self.seed]
        if self.synthetic:
            content += [self.n, self.input_shape, *self.more_inputs]
            content += [[place, asdict(one)] for place, one in self.whole.items()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def batches(self, size: int = 16) -> Iterator[NDArray[Any]]:
        """Yield the inputs in order (up to `size`, *input shape without its batch), the same at each call."""
        for start in range(0, self.n, size):
            yield np.stack([self._input(index) for index in range(start, min(start + size, self.n))])

    def inputs(self, size: int = 16) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield the same for every input of the network: one array (up to `size`, ...) each."""
        for start in range(0, len(self.examples), size):
            each = [example.load() for example in self.examples[start : start + size]]
            yield tuple(np.stack(parts) for parts in zip(*each, strict=True))
        if self.examples:
            return
        start = 0
        for first in self.batches(size):
            numbers = range(start, start + len(first))
            beside = [
                np.stack([self._noise(shape[1:], place, (self.seed, index, place)) for index in numbers])
                for place, shape in enumerate(self.more_inputs, start=1)  # 0 would draw the first input again
            ]
            yield first, *beside
            start += len(first)

    def record(self, method: str, source: str) -> CalibrationRecord:
        """Return what the manifest says: `method` made the ranges from `source` ("data" or "file")."""
        return CalibrationRecord(
            hash=self.hash,
            n=self.n,
            synthetic=self.synthetic,
            method=method,
            source=source,
            seed=self.seed,
            pixels=self.pixels,
            unreadable=self.unreadable,
        )

    def _input(self, index: int) -> NDArray[Any]:
        if self.examples:
            return self.examples[index].load()[0]
        if self.synthetic:
            return self._noise(self.input_shape[1:], 0, (self.seed, index))
        kept = self._kept[index] if self._kept else None
        values = normalize(self.preprocessing, self._prepared(index) if kept is None else kept)
        return values.astype(self.whole[0].dtype) if 0 in self.whole else values

    def _noise(self, shape: tuple[int, ...], place: int, seed: tuple[int, ...]) -> NDArray[Any]:
        kind = self.whole.get(place)
        return noise(shape, self.preprocessing, seed) if kind is None else whole_noise(shape, kind, seed)

    def _prepared(self, index: int) -> NDArray[np.uint8]:
        size = (self.input_shape[2], self.input_shape[3])
        return to_pixels(
            self.preprocessing, self.samples[index].load(REFUSED_MODES, self.preprocessing.has_alpha), size
        )


def from_folder(
    folder: Path,
    preprocessing: Preprocessing,
    input_shape: tuple[int, ...],
    n: int = DEFAULT_N,
    seed: int = 0,
    whole: Mapping[int, WholeNumbers] | None = None,
) -> CalibrationSet:
    """Choose `n` different images from a folder (edgekit.data.images says which folders), balanced over its classes.

    `input_shape` is the network's (1, C, H, W). The choice depends on the seed and the images' names alone. An image
    that is broken, in CMYK or under 2 pixels is left out, and another takes its place. Raises UsageError when there are
    no two different images, or more cannot be read than can.
    """
    size = check_input(preprocessing, input_shape)
    if n < 2:
        raise UsageError(f"{n} calibration images cannot give ranges", "choose at least 2, better 100")
    found = find(folder)
    keep = n * int(np.prod(input_shape[1:])) <= KEPT_BYTES
    choice = different(balanced(found, seed), n, preprocessing, size, keep)
    choice.left_out.check(folder, choice.read)
    if len(choice.samples) < 2:
        raise UsageError(
            f"{folder} holds one image only: its ranges would fit that one image",
            "give a folder with at least 2 different images, better 100",
        )
    return CalibrationSet(
        n=len(choice.samples),
        input_shape=input_shape,
        preprocessing=preprocessing,
        seed=seed,
        synthetic=False,
        samples=tuple(choice.samples.values()),
        pixels=tuple(choice.samples),
        notes=(*passed_over(folder), *choice.notes(n, len(found))),
        unreadable=len(choice.left_out),
        whole=whole or {},
        _kept=tuple(choice.kept),
    )


def from_arrays(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    preprocessing: Preprocessing,
    n: int = DEFAULT_N,
    seed: int = 0,
    whole: Mapping[str, WholeNumbers] | None = None,
) -> CalibrationSet | None:
    """Choose `n` different examples from a folder of arrays; None where it has none (edgekit.data.arrays).

    `shapes` are those of the network's inputs by name, `whole` those that take whole numbers. Raises UsageError for a
    chosen file that is no example of them, and where there are no two different ones.
    """
    chosen: dict[str, arrays.Example] = {}
    found, left_out = arrays.find(folder, shapes, seed, whole or {}), LeftOut()
    for example in found:
        if len(chosen) == n:
            break
        try:
            chosen.setdefault(arrays.digest(example.load()), example)
        except Unreadable as error:
            left_out.add(example.path.name, error)
    if not found:
        return None
    left_out.check(folder, len(chosen))
    if len(chosen) < 2:
        raise UsageError(f"{folder} holds one example only", "give a folder with at least 2 different ones, better 100")
    few = f"only {len(chosen)} calibration examples: ranges from fewer than {FEW} may clip what others reach"
    part = f"calibrated on {len(chosen)} of {len(found):,} examples"
    return CalibrationSet(
        n=len(chosen),
        input_shape=next(iter(shapes.values())),
        preprocessing=preprocessing,
        seed=seed,
        synthetic=False,
        examples=tuple(chosen.values()),
        pixels=tuple(chosen),
        notes=(*left_out.notes(len(chosen)), *((few,) if len(chosen) < FEW else (part,) if len(found) > n else ())),
        unreadable=len(left_out),
    )


def first(folder: Path, n: int, seed: int = 0) -> tuple[Sample, ...]:
    """Return the `n` images that `from_folder` looks at first, by their names alone; nothing is decoded."""
    return tuple(balanced(find(folder), seed)[:n])


def synthetic(
    input_shape: tuple[int, ...],
    preprocessing: Preprocessing,
    n: int = DEFAULT_N,
    seed: int = 0,
    more_inputs: tuple[tuple[int, ...], ...] = (),
    whole: Mapping[int, WholeNumbers] | None = None,
) -> CalibrationSet:
    """Seeded noise in the preprocessing's range, for any input shape. The files made from it are for latency only."""
    note = "calibrated on noise: the ranges are good for latency only"
    return CalibrationSet(
        n, input_shape, preprocessing, seed, synthetic=True, notes=(note,), more_inputs=more_inputs, whole=whole or {}
    )
