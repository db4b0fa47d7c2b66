"""One process at the far end of ssh: what it is fed, what it answers, and how long its silence is borne."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from edgekit.bench.link import Done
from edgekit.errors import DeviceUnreachable

BLOCK = 1 << 20
DIGEST = 64  # hexadecimal digits of sha256


def ended(process: subprocess.Popen[bytes], blocks: Iterable[bytes], where: str, seconds: float) -> Done:
    """Feed a process, and wait for its end. Raises DeviceUnreachable after `seconds`, and then kills it."""
    latest = time.monotonic() + seconds
    try:
        _feed(process, blocks)
        stdout, stderr = process.communicate(timeout=max(1.0, latest - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise _silent(where, seconds) from error
    finally:
        process.kill()
    return Done(process.returncode, stdout, stderr.decode(errors="replace"))


def arriving(process: subprocess.Popen[bytes], blocks: Iterable[bytes], where: str, seconds: float) -> Iterator[bytes]:
    """Feed a process, then what it writes, as it comes. Raises DeviceUnreachable after `seconds` of silence."""
    assert process.stdout is not None
    try:
        _feed(process, blocks)
        while select.select([process.stdout], [], [], seconds)[0]:
            block = os.read(process.stdout.fileno(), BLOCK)
            if not block:
                return
            yield block
        raise _silent(where, seconds)
    except BaseException:  # also when nobody wants the rest
        process.kill()
        raise


def first_line(blocks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The first line without its end, and what came after it with the same block; empty where no line came."""
    found = b""
    for block in blocks:
        found += block
        if b"\n" in found:
            line, _, rest = found.partition(b"\n")
            return line, rest
    return b"", found


def is_whole(draft: Path, blocks: Iterable[bytes], size: int) -> bool:
    """Write `size` bytes to `draft`; whether they all came, and the sha256 that follows them is theirs."""
    found, left, digest = hashlib.sha256(), size, b""
    with draft.open("wb") as stream:
        for block in blocks:
            body, after = block[:left], block[left:]
            stream.write(body)
            found.update(body)
            left -= len(body)
            digest += after
    return left == 0 and digest[:DIGEST].decode(errors="replace") == found.hexdigest()


def _feed(process: subprocess.Popen[bytes], blocks: Iterable[bytes]) -> None:
    """Write and close; a process that ends before it has read all says why itself."""
    stream, process.stdin = process.stdin, None
    if stream is None:
        return
    with suppress(BrokenPipeError):
        for block in blocks:
            stream.write(block)
    with suppress(BrokenPipeError):
        stream.close()


def _silent(where: str, seconds: float) -> DeviceUnreachable:
    return DeviceUnreachable(f"{where} gave no answer in {seconds:.0f} s", "see whether it is overloaded")
