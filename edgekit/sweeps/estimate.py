"""How long a sweep will take: guesses before it begins, corrected by what its steps really took."""

from __future__ import annotations

import time

from edgekit.records.measurement import Protocol

# Seconds on one core of a 2020s server. They only have to be right against each other: the first steps correct them.
EXPORT = 2.0  # build, fold, and the reference of parity
FILE = 1.0  # write, open, run and compare
CALIBRATE_PER_GMAC = 10.0  # 100 images forward, and the statistics of every tensor
EFFORTS = {"fast": 1.0, "default": 3.0}
PROCESS = 1.5  # starting a runner, loading the file
IMAGE = 0.004  # decoding
PER_GMAC = 0.04  # one inference
UNKNOWN_GMACS = 1.0


def export_seconds(files: int, int8: int, effort: str, gmacs: float | None) -> float:
    """Of one variant: `files` in all, `int8` of them with integers."""
    known = UNKNOWN_GMACS if gmacs is None else gmacs
    parity = FILE + 0.5 * known
    return EXPORT + files * parity + (int8 > 0) * CALIBRATE_PER_GMAC * known * EFFORTS.get(effort, 1.0) + int8 * 1.0


def latency_seconds(protocol: Protocol) -> float:
    """Of one measurement: its processes, and one for memory."""
    each = protocol.warmup_seconds + protocol.min_seconds + PROCESS
    return protocol.processes * each + PROCESS + 1.0


def accuracy_seconds(images: int, files: int, gmacs: float | None) -> float:
    """Of the files of one variant on the same images."""
    return images * (IMAGE + files * PER_GMAC * (UNKNOWN_GMACS if gmacs is None else gmacs))


class TimeLeft:
    """Knows what is left of a total that was guessed; goes by what the finished part really took."""

    def __init__(self, total: float) -> None:
        self._total = total
        self._finished = 0.0
        self._started = time.monotonic()

    def finish(self, guessed: float) -> None:
        """A step that was guessed to take so long is over."""
        self._finished += guessed

    @property
    def seconds(self) -> float:
        """From now to the end."""
        elapsed = time.monotonic() - self._started
        left = max(self._total - self._finished, 0.0)
        # Early steps weigh the guess as much as themselves, so that one odd step does not move the end by hours.
        trust = min(self._finished / self._total * 4, 1.0) if self._total else 0.0
        pace = elapsed / self._finished if self._finished else 1.0
        return left * (trust * pace + (1 - trust))

    def __str__(self) -> str:
        return told(self.seconds)


def told(seconds: float) -> str:
    """90 as "2 min": no more digits than are known."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"
