"""Pipes of a process, with an end to every wait: only a silence ends one, and what keeps flowing may take its time."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator
from typing import IO

BLOCK = 1 << 20


class Silence(Exception):
    """Nothing was taken, or nothing came, for as long as was allowed."""


def ready(stream: IO[bytes], event: int, seconds: float | None) -> bool:
    """Wait until a pipe takes or has something, or has ended; return whether it did in time (None: without an end).

    select() would do the same for the first 1024 files of a process alone.
    """
    poll = select.poll()
    poll.register(stream, event)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def written(stream: IO[bytes], blocks: Iterable[bytes], seconds: float) -> None:
    """Write all of it. Raises Silence where nothing is taken for `seconds`, BrokenPipeError where nobody reads on."""
    os.set_blocking(stream.fileno(), False)  # else a write waits until all of its block is taken
    for block in blocks:
        left = memoryview(block)
        while left:
            if not ready(stream, select.POLLOUT, seconds):
                raise Silence
            left = left[os.write(stream.fileno(), left) :]


def coming(stream: IO[bytes], seconds: float) -> Iterator[bytes]:
    """Yield what comes, as it comes, until the end. Raises Silence where nothing does for `seconds`."""
    while ready(stream, select.POLLIN, seconds):
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
