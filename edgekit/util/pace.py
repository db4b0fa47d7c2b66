"""How long what is counted will still take, at the pace so far."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgekit.util.formatting import span

EARLY = 2.0  # seconds: before them a pace says nothing


class Pace:
    """Follows one count after the other: another total, or a smaller count, begins a new one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total: int | None = None
        self._first, self._done, self._began = 0, 0, 0.0

    def left(self, done: int, total: int) -> str:
        """Return "about 40 s left" for `done` of `total`, or nothing while that cannot be told."""
        now = self._clock()
        if total != self._total or done < self._done:
            self._total, self._first, self._began = total, done, now
        self._done = done
        taken, steps = now - self._began, done - self._first
        if taken < EARLY or not steps or done >= total:
            return ""
        seconds = taken / steps * (total - done)
        unit = 60 if seconds >= 60 else 1
        return f"about {span(float(f'{seconds / unit:.2g}') * unit)} left"


def counting(say: Callable[[str], None] | None, stage: str, what: str) -> Callable[[int, int], None] | None:
    """Return what turns counts into sentences for `say`: "calibrate: 12 of 100 images, about 40 s left"."""
    if say is None:
        return None
    pace = Pace()
    return lambda done, total: say(
        ", ".join(filter(None, (f"{stage}: {done} of {total} {what}", pace.left(done, total))))
    )
