"""Ends at once what a command has begun on links, in whichever thread: nothing goes on measuring for nobody."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(BaseException):
    """What this was for has ended. No Exception, because nobody shall take it for a failure of the work."""


class Processes:
    """The processes that threads have started for one command, as far as they are in its `scope`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_over = False

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What this thread starts inside belongs to the command."""
        token = _OF_THREAD.set(self)
        try:
            yield
        finally:
            _OF_THREAD.reset(token)

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Remember a process; those that have ended are forgotten."""
        with self._lock:
            self._running = {one for one in self._running if one.returncode is None} | {process}

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process, which goes on with something else."""
        with self._lock:
            self._running.discard(process)

    def end(self) -> None:
        """Kill what runs; whoever waits for it raises Stopped. What is started later only tidies up."""
        with self._lock:
            self._is_over = True
            for process in self._running:
                process.kill()

    def check(self) -> None:
        """Raise Stopped after the end."""
        if self._is_over:
            raise Stopped


_OF_THREAD: ContextVar[Processes | None] = ContextVar("processes", default=None)


def begun(process: subprocess.Popen[bytes]) -> None:
    """Tell of a process that this thread has started."""
    if (own := _OF_THREAD.get()) is not None:
        own.add(process)


@contextmanager
def lent(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a process be the command's for the block alone."""
    own = _OF_THREAD.get()
    if own is None:
        yield
        return
    own.add(process)
    try:
        own.check()
        yield
    finally:
        own.leave(process)


def check() -> None:
    """Raise Stopped where the command that this thread works for has ended."""
    if (own := _OF_THREAD.get()) is not None:
        own.check()
