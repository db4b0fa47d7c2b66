"""Pipes of a process, with an end to every wait: only a silence ends one, and what keeps flowing may take its time."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator
from typing import IO

BLOCK = 1 << 20


class Silence(Exception):
    """Nothing was taken, or nothing came, for as long as was allowed."""


def written(stream: IO[bytes], blocks: Iterable[bytes], seconds: float) -> None:
    """Write all of it. Raises Silence where nothing is taken for `seconds`, BrokenPipeError where nobody reads on."""
    os.set_blocking(stream.fileno(), False)  # else a write waits until all of its block is taken
    for block in blocks:
        left = memoryview(block)
        while left:
            if not select.select([], [stream], [], seconds)[1]:
                raise Silence
            left = left[os.write(stream.fileno(), left) :]


def coming(stream: IO[bytes], seconds: float) -> Iterator[bytes]:
    """Yield what comes, as it comes, until the end. Raises Silence where nothing does for `seconds`."""
    while select.select([stream], [], [], seconds)[0]:
        block = os.read(stream.fileno(), BLOCK)
        if not block:
            return
        yield block
    raise Silence


def first_line(blocks: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Return the first line without its end, and what came after it with the same block; empty where no line came."""
    found = b""
    for block in blocks:
        found += block
        if b"\n" in found:
            line, _, rest = found.partition(b"\n")
            return line, rest
    return b"", found
