"""Waiting for what other processes and threads bring about, and ports that nobody else takes meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

PATIENCE = 600.0  # seconds: what has not come about by then does not, however busy the machine is


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which a server can listen later, and on which nobody does before.

    A socket that is bound and does not listen keeps it as long as this process lives: the system gives it to nobody,
    and a server that sets SO_REUSEADDR, as OpenSSH's, adb's and Dask's do, may listen beside it.
    """
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        found.detach()
    return port
