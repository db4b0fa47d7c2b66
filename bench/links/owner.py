"""Who owns a session on a device: a process of a machine. One that has ended left its session behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def owner() -> dict[str, Any]:
    """Return what tells this process from all others."""
    return {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}


def is_gone(one: Mapping[str, Any] | None) -> bool:
    """Return whether an owner was a process that could be seen from here, and has ended.

    Of another machine or container nothing is known, nor where a record does not tell which it was: not gone.
    """
    if not one:
        return False
    return bool(one["machine"] == _machine() and _started(one["pid"]) != one["started"])


def _machine() -> str:
    """A name for the processes that can be seen from here, since the machine started: what ran before does not run now.

    Containers of one machine share its start, and not its process numbers.
    """
    with suppress(OSError):
        space = Path("/proc/self/ns/pid").stat().st_ino
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {space}"
    return socket.gethostname()


def _started(pid: int) -> str | None:
    """When a process started, as the kernel counts; None where there is none or nobody tells."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None
