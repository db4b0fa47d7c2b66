"""One process at the far end of ssh: what it is fed, what it answers, and how long its silence is borne."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from edgekit.bench.links.base import Done
from edgekit.bench.links.silence import Silence, coming, first_line, written
from edgekit.errors import DeviceUnreachable

DIGEST = 64  # hexadecimal digits of sha256


def ended(process: subprocess.Popen[bytes], blocks: Iterable[bytes], where: str, seconds: float) -> Done:
    """Feed a process, and wait for its end.

    Raises DeviceUnreachable where it takes nothing for `seconds`, or does not end `seconds` after it took all, and
    then kills it.
    """
    try:
        _feed(process, blocks, seconds)
        stdout, stderr = process.communicate(timeout=seconds)
    except (Silence, subprocess.TimeoutExpired) as error:
        raise _silent(where, seconds) from error
    finally:
        process.kill()
    return Done(process.returncode, stdout, stderr.decode(errors="replace"))


def arriving(process: subprocess.Popen[bytes], blocks: Iterable[bytes], where: str, seconds: float) -> Iterator[bytes]:
    """Feed a process, then what it writes, as it comes. Raises DeviceUnreachable after `seconds` of silence."""
    assert process.stdout is not None
    try:
        _feed(process, blocks, seconds)
        yield from coming(process.stdout, seconds)
        process.wait(seconds)
    except (Silence, subprocess.TimeoutExpired) as error:
        process.kill()
        raise _silent(where, seconds) from error
    except BaseException:  # also when nobody wants the rest
        process.kill()
        raise


def begun(process: subprocess.Popen[bytes], blocks: Iterable[bytes], where: str, seconds: float) -> bytes:
    """Feed a process that stays, and read the line that it begins with; empty where it ends without one.

    Raises DeviceUnreachable after `seconds` of silence, and then kills it.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        with suppress(BrokenPipeError):
            written(process.stdin, blocks, seconds)
        return first_line(coming(process.stdout, seconds))[0]
    except Silence as error:
        process.kill()
        raise _silent(where, seconds) from error


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


def _feed(process: subprocess.Popen[bytes], blocks: Iterable[bytes], seconds: float) -> None:
    """Write and close; a process that ends before it has read all says why itself."""
    stream, process.stdin = process.stdin, None
    if stream is None:
        return
    with stream, suppress(BrokenPipeError):
        written(stream, blocks, seconds)


def _silent(where: str, seconds: float) -> DeviceUnreachable:
    return DeviceUnreachable(f"{where} gave no answer in {seconds:.0f} s", "see whether it is overloaded")
