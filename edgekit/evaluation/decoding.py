"""Images as pixels, decoded a few ahead of those who ask for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from edgekit.data.images import Sample, pixel_hash
from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.records.preprocessing import Preprocessing, to_pixels

View = tuple[Preprocessing, tuple[int, int]]  # what is done to an image before any arithmetic
Pixels = dict[View, NDArray[np.uint8]]
DECODERS = min(4, os.cpu_count() or 1)


def decoded(
    samples: tuple[Sample, ...], views: set[View], left_out: LeftOut
) -> Iterator[tuple[Sample, tuple[str, Pixels]]]:
    """Each image's hash and its pixels in every view, in order, decoded a few images ahead by threads.

    An image that cannot be read goes to `left_out` instead.
    """

    alpha = any(view.has_alpha for view, _ in views)

    def prepare(sample: Sample) -> tuple[str, Pixels]:
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
