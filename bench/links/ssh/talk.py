"""A talk with one process at the far end of ssh: what it is asked and answers, and how long its silence is borne."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edgekit.bench.links.base import Done
from edgekit.bench.links.silence import BLOCK, Silence, coming, written
from edgekit.errors import DeviceUnreachable

DIGEST = 64  # hexadecimal digits of sha256
LINE_BYTES = 1 << 26  # far more than any answer has


class Talk:
    """A process that is asked through its stdin, and answers in lines and in bytes behind them.

    Whatever interrupts a question kills the process, because nobody would know what its next answer belongs to.
    Raises DeviceUnreachable where it takes or says nothing for `seconds`; `where` is what it is called then.
    """

    def __init__(self, process: subprocess.Popen[bytes], where: str, seconds: float) -> None:
        self.process = process
        self._where, self._seconds = where, seconds
        self._rest = b""  # what came behind the last line

    def say(self, blocks: Iterable[bytes]) -> None:
        """Write all of it; a process that has ended says why itself."""
        assert self.process.stdin is not None
        with self._whole(), suppress(BrokenPipeError):
            written(self.process.stdin, blocks, self._seconds)

    def line(self) -> bytes | None:
        """Return the next line without its end; None where the process ends before, or says something without end."""
        with self._whole():
            found = b""
            for block in self._coming():
                found += block
                line, end, rest = found.partition(b"\n")
                if end:
                    self._rest = rest
                    return line
                if len(found) > LINE_BYTES:
                    self.process.kill()
                    break
            return None

    def take(self, draft: Path, size: int) -> bool:
        """Write the next `size` bytes to `draft`; whether they all came, and the sha256 that follows them is theirs."""
        with self._whole():
            return is_whole(draft, self._bytes(size + DIGEST), size)

    def end(self) -> Done:
        """Close its stdin, and wait for what it still says and for its end."""
        stdin, self.process.stdin = self.process.stdin, None
        with self._whole():
            if stdin is not None:
                stdin.close()
            stdout, stderr = self.process.communicate(timeout=self._seconds)
        return Done(self.process.returncode, stdout, stderr.decode(errors="replace"))

    def _bytes(self, size: int) -> Iterator[bytes]:
        """So many of the next bytes."""
        for block in self._coming() if size else ():
            yield block[:size]
            self._rest = block[size:]
            size -= len(block[:size])
            if not size:
                return

    def _coming(self) -> Iterator[bytes]:
        rest, self._rest = self._rest, b""
        if rest:
            yield rest
        stdout: IO[bytes] | None = self.process.stdout
        assert stdout is not None
        yield from coming(stdout, self._seconds)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except (Silence, subprocess.TimeoutExpired) as error:
            self.process.kill()
            raise DeviceUnreachable(
                f"{self._where} gave no answer in {self._seconds:.0f} s", "see whether it is overloaded"
            ) from error
        except BaseException:
            self.process.kill()
            raise


def exactly(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file; zeros where it became shorter meanwhile, which its sha256 then tells."""
    while size:
        block = stream.read(min(BLOCK, size)) or bytes(min(BLOCK, size))
        yield block
        size -= len(block)


def is_whole(draft: Path, blocks: Iterable[bytes], size: int) -> bool:
    """Write `size` bytes to `draft`; whether they all came, and the sha256 that follows them is theirs."""
    # `put` of ondevice/kept.py does the same of what a device is sent: it runs there before the package does.
    found, left, digest = hashlib.sha256(), size, b""
    with draft.open("wb") as stream:
        for block in blocks:
            body, after = block[:left], block[left:]
            stream.write(body)
            found.update(body)
            left -= len(body)
            digest += after
    return left == 0 and digest[:DIGEST].decode(errors="replace") == found.hexdigest()
