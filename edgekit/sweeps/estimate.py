"""How long a sweep will take: guesses before it begins. The scheduler corrects them by what its jobs really took."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence

from edgekit.records.measurement import Protocol
from edgekit.sweeps.jobs import Start, Task
from edgekit.sweeps.scheduler import DONE, Scheduler

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


def makespan(tasks: Sequence[Task], addresses: Mapping[str, str], processors: int, memory: int) -> float:
    """Return the seconds until all jobs are over, as the scheduler would run them if each took what is guessed."""
    plan, running, now = Scheduler(tasks, addresses, processors, memory), list[tuple[float, int, Start]](), 0.0
    order = itertools.count()
    while plan.left:
        for start in plan.start(now):
            heapq.heappush(running, (now + start.task.seconds, next(order), start))
        now, _, start = heapq.heappop(running)
        plan.ended(start, DONE, now)
    return now


def told(seconds: float) -> str:
    """90 as "2 min": no more digits than are known."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"
