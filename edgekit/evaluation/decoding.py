"""Images as pixels and examples as numbers, read a few ahead of those who ask for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from edgekit.data import arrays
from edgekit.data.images import Sample, pixel_hash
from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.records.preprocessing import Preprocessing, to_pixels

View = tuple[Preprocessing, tuple[int, int]]  # what is done to an image before any arithmetic
Pixels = dict[Any, Any]  # uint8 pixels by View, or the arrays of an example by ArrayView
DECODERS = min(4, os.cpu_count() or 1)


def decoded(
    samples: tuple[Sample, ...], views: set[Any], left_out: LeftOut
) -> Iterator[tuple[Sample, tuple[str, Pixels]]]:
    """Yield each image's hash and its pixels in every view, in order, decoded a few images ahead by threads.

    `views` are those of images or, where the samples are arrays, of arrays. What cannot be read goes to `left_out`.
    """

    alpha = not samples[0].is_array and any(view.has_alpha for view, _ in views)

    def prepare(sample: Sample) -> tuple[str, Pixels]:
        if sample.is_array:
            found = {view: arrays.Example(sample.path, dict(view)).load() for view in views}
            return arrays.digest(next(iter(found.values()))), found
        image = sample.load(alpha=alpha)
        return pixel_hash(image), {view: to_pixels(view[0], image, view[1]) for view in views}

    ahead: deque[tuple[Sample, Future[tuple[str, Pixels]]]] = deque()

    def first() -> Iterator[tuple[Sample, tuple[str, Pixels]]]:
        sample, future = ahead.popleft()
        try:
            found = future.result()
        except Unreadable as error:
            left_out.add(sample.name, error)
        else:
            yield sample, found

    with ThreadPoolExecutor(DECODERS) as pool:
        try:
            for sample in samples:
                ahead.append((sample, pool.submit(prepare, sample)))
                if len(ahead) > 2 * DECODERS:
                    yield from first()
            while ahead:
                yield from first()
        finally:
            pool.shutdown(cancel_futures=True)
