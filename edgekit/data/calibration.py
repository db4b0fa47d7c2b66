"""The calibration set: the images whose activations give the int8 ranges of every format.

Chosen once, hashed, and recorded in every manifest, so that an evaluation which overlaps it can be refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data import arrays
from edgekit.data.folder import passed_over
from edgekit.data.images import Sample, find, pixel_hash
from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.errors import UsageError
from edgekit.records.manifest import CalibrationRecord
from edgekit.records.preprocessing import Preprocessing, check_input, normalize, to_pixels

if TYPE_CHECKING:
    from edgekit.ir.whole_inputs import WholeNumbers

DEFAULT_N = 100
FEW = 32  # below this, the largest activations of the set say little about those of other images
IMAGE_AXES = 3  # of an image without its batch
KEPT_BYTES = 64 << 20  # prepared pixels that stay in memory; beyond it they are decoded again
# Colors in CMYK depend on a profile; ranges should not rest on a guess.
REFUSED_MODES = ("CMYK", "YCCK")


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
        """The inputs in order (up to `size`, *input shape without its batch), the same at each call."""
        for start in range(0, self.n, size):
            yield np.stack([self._input(index) for index in range(start, min(start + size, self.n))])

    def inputs(self, size: int = 16) -> Iterator[tuple[NDArray[Any], ...]]:
        """The same for every input of the network: one array (up to `size`, ...) each."""
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
        """What the manifest says: `method` made the ranges from `source` ("data" or "file")."""
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
        return _noise(shape, self.preprocessing, seed) if kind is None else _whole_noise(shape, kind, seed)

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
    choice = _different(_balanced(found, seed), n, preprocessing, size, keep)
    chosen, read = tuple(choice.samples.values()), len(choice.samples) + choice.twice
    choice.left_out.check(folder, read)
    if len(chosen) < 2:
        raise UsageError(
            f"{folder} holds one image only: its ranges would fit that one image",
            "give a folder with at least 2 different images, better 100",
        )
    return CalibrationSet(
        n=len(chosen),
        input_shape=input_shape,
        preprocessing=preprocessing,
        seed=seed,
        synthetic=False,
        samples=chosen,
        pixels=tuple(choice.samples),
        notes=(*passed_over(folder), *choice.left_out.notes(read), *_notes(choice, n, len(found))),
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
    """The `n` images that `from_folder` looks at first, by their names alone; nothing is decoded."""
    return tuple(_balanced(find(folder), seed)[:n])


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


def _balanced(samples: tuple[Sample, ...], seed: int) -> list[Sample]:
    """One image of every class, then a second of each, and so on; in each round and class the order is the seed's."""

    def order(*words: str) -> bytes:
        return hashlib.sha256("\0".join((str(seed), *words)).encode()).digest()

    seen: dict[str, int] = {}
    rounds: list[tuple[int, bytes, Sample]] = []
    for sample in sorted(samples, key=lambda s: order(s.group, s.name)):
        seen[sample.group] = seen.get(sample.group, -1) + 1
        rounds.append((seen[sample.group], order(sample.group, sample.name), sample))
    return [sample for _, _, sample in sorted(rounds, key=lambda entry: entry[:2])]


@dataclass
class _Choice:
    """The images that were chosen, by the hash of their pixels.

    `kept` holds their pixels as the network wants them, where these stay in memory. `twice` counts the images that were
    passed over because they have the pixels of another, and `flat` the chosen ones that show one color only.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    kept: list[NDArray[np.uint8]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    twice: int = 0
    flat: int = 0


def _different(
    samples: Iterable[Sample], n: int, preprocessing: Preprocessing, size: tuple[int, int], keep: bool
) -> _Choice:
    """Take the first `n` that can be read and have pixels of their own."""
    choice = _Choice()
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


def _notes(choice: _Choice, asked: int, there: int) -> tuple[str, ...]:
    n, groups = len(choice.samples), {sample.group for sample in choice.samples.values()}
    notes = []
    if choice.twice:
        notes.append(f"{choice.twice} calibration images were left out, each the same pixels as another")
    if n < FEW:
        notes.append(f"only {n} calibration images: ranges from fewer than {FEW} may clip what other images reach")
    elif n < asked:
        notes.append(f"{n} calibration images, not {asked}: there are no more")
    elif there > n:
        notes.append(f"calibrated on {n} of {there:,} images, spread over their classes")
    if choice.flat:
        notes.append(f"{choice.flat} of {n} calibration images show one color only")
    if len(groups) == 1 and "" not in groups:
        notes.append(f"all calibration images are of one class ({next(iter(groups))})")
    return tuple(notes)


def _noise(shape: tuple[int, ...], preprocessing: Preprocessing, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Coarse blocks with fine grain over them, as pixels 0..255 normalized, where the preprocessing has such channels.

    What can be no image gets values of mean 0 and variance 1, as normalized signals have; a map half of it as blocks.
    """
    random = np.random.default_rng(seed)
    if len(shape) < IMAGE_AXES:
        return random.standard_normal(shape).astype(np.float32)
    sides, channels = shape[1:], shape[0]
    few = [max(1, side // 8 + (side % 8 > 0)) for side in sides] + [channels]
    if channels == len(preprocessing.mean):
        pixels = _blocks(random.uniform(0.0, 255.0, few), sides)
        pixels = np.clip(pixels + random.normal(0.0, 16.0, pixels.shape), 0.0, 255.0)
        values = (pixels - preprocessing.mean) / preprocessing.std
    else:
        values = _blocks(random.normal(0.0, math.sqrt(0.5), few), sides)
        values += random.normal(0.0, math.sqrt(0.5), values.shape)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32)


def _whole_noise(shape: tuple[int, ...], kind: WholeNumbers, seed: tuple[int, ...]) -> NDArray[Any]:
    """Whole numbers of all sizes that an input takes; in maps and volumes coarse blocks with fine grain over them."""
    random, width = np.random.default_rng(seed), kind.high - kind.low
    values = random.integers(kind.low, kind.high, shape, endpoint=True).astype(np.float64)
    if len(shape) >= IMAGE_AXES and width > 1 and not kind.chooses:
        sides, few = shape[1:], [max(1, side // 8 + (side % 8 > 0)) for side in shape[1:]]
        coarse = _blocks(random.uniform(kind.low, kind.high, [*few, shape[0]]), sides)
        values = np.rint(np.moveaxis(coarse, -1, 0) + random.normal(0.0, width / 16, shape))
    return np.ascontiguousarray(np.clip(values, kind.low, kind.high), dtype=kind.dtype)


def _blocks(coarse: NDArray[np.float64], sides: tuple[int, ...]) -> NDArray[np.float64]:
    """(*coarse sides, C) -> (*sides, C): each element eight times along each side."""
    for axis, side in enumerate(sides):
        coarse = coarse.repeat(8, axis=axis).take(np.arange(side), axis=axis)
    return coarse
