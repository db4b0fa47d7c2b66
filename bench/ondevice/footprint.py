"""How much memory a process takes: its own peak, what the machine has left meanwhile, what it holds on a GPU.

A Jetson's GPU has no memory of its own: what it takes is missing from a process's size and from nvidia-smi, and shows
only in what the machine has left (/proc/meminfo, MemAvailable).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")
PERIOD_SECONDS = 0.1
GPU_METHOD = "nvidia-smi, of this process after its inferences: the CUDA context and libraries are in it"
UNIFIED_METHOD = (
    "MemAvailable before the runtime was loaded less its lowest value meanwhile, looked at every 100 ms; "
    "what other programs took is in it"
)


class LowWater:
    """Watches from here on how much memory the machine has left; `taken` is what is missing at the lowest point."""

    def __init__(self) -> None:
        self._before = self._lowest = kilobytes(MEMINFO, "MemAvailable:")
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._over.wait(PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        now = kilobytes(MEMINFO, "MemAvailable:")
        if now is not None and self._lowest is not None:
            self._lowest = min(now, self._lowest)

    def taken(self) -> int | None:
        """Bytes, and the end of watching; None where the system does not tell."""
        self._over.set()
        self._watcher.join()
        self._look()
        return None if self._before is None or self._lowest is None else self._before - self._lowest


def own() -> dict[str, Any]:
    """Return the highest resident size of this process since it began, and its share of memory now; None: not told."""
    peak = kilobytes(Path("/proc/self/status"), "VmHWM:")  # first: reading the other takes memory
    return {"peak_bytes": peak, "pss_bytes": kilobytes(Path("/proc/self/smaps_rollup"), "Pss:")}


def kilobytes(path: Path, name: str) -> int | None:
    """Return a size in bytes that the system tells in kB, or None where it does not tell."""
    try:
        with path.open() as stream:
            for line in stream:
                words = line.split()
                if line.startswith(name) and len(words) > 1 and words[1].isdecimal() and words[1].isascii():
                    return int(words[1]) * 1024
    except (OSError, UnicodeDecodeError):
        pass
    return None
