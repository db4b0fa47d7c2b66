"""The threads of a sweep: each waits for a process here or on a device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgekit.bench.links.stopping import Processes

END_SECONDS = 2.0  # in which a thread lets go of its device after its process was killed


class Threads:
    """Daemons, so that one that hangs holds nobody up."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._running: list[threading.Thread] = []

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Start a thread that does some work."""
        thread = threading.Thread(target=self._do, args=(work,), name=name, daemon=True)
        self._running = [*(one for one in self._running if one.is_alive()), thread]
        thread.start()

    def _do(self, work: Callable[[], None]) -> None:
        with self._processes.scope():
            work()

    def end(self) -> None:
        """End what they wait for, so that nothing of it is kept, and wait until their devices are free."""
        self._processes.end()
        until = time.monotonic() + END_SECONDS
        for thread in self._running:
            thread.join(max(until - time.monotonic(), 0.0))
