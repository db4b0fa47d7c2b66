"""Load that lasts: files run one after the other without a pause, each window a fresh process, until the time is up."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgekit.errors import EdgekitError, UsageError
from edgekit.measure.session import BenchTask, MeasuringSession
from edgekit.records.manifest import in_use
from edgekit.records.measurement import Measurement, Protocol
from edgekit.stats.sustained import part
from edgekit.util.formatting import counted, span

UNITS = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600}
SHORTEST, LONGEST = 1, 24 * 3600  # seconds
LONGEST_WINDOW = 5.0  # seconds: short against a minute, long against the start of a process
WINDOWS = 8  # of each file at either end: 4 are needed for an interval, and starting processes takes time, too
SAMPLES = 1000  # of a window: hours of a small network would fill the store; a sample is then a mean of inferences
Clock = Callable[[], float]


def duration(text: str | float) -> int:
    """ "10m", "90s", "1h" or a number of seconds, as whole seconds. Raises UsageError for anything else."""
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]*)\s*", str(text).lower())
    factor = UNITS.get(found[2]) if found else None
    seconds = round(float(found[1]) * factor) if found and factor else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"--sustained cannot be '{text}'", "write, say, --sustained 10m; from 1s to 24h")
    return seconds


def protocol(seconds: int, files: int, threads: int, batch: int) -> Protocol:
    """How each window of so many files is measured: a short warm-up of the caches, no pause to cool down."""
    return Protocol(
        preset="sustained",
        processes=0,  # as many as the time allows
        warmup_seconds=0.1,
        warmup_runs=2,
        warmup_max_seconds=0.5,
        cooldown_seconds=0.0,
        min_seconds=min(LONGEST_WINDOW, part(seconds) / (WINDOWS * files)),
        min_runs=5,
        threads=threads,
        batch=batch,
        sustained_seconds=seconds,
        max_samples=SAMPLES,
    )


def sustain(
    session: MeasuringSession, tasks: Sequence[BenchTask], clock: Clock = time.monotonic
) -> list[Measurement | EdgekitError]:
    """The measurement of each file, or why it has none. One that fails is left out, and the others go on."""
    answers: list[list[dict[str, Any]]] = [[] for _ in tasks]
    failed: dict[int, EdgekitError] = {}
    seconds, begin, turn = tasks[0].protocol.sustained_seconds or 0, clock(), 0
    while len(failed) < len(tasks) and clock() - begin < seconds:
        for place in (place for place in range(len(tasks)) if place not in failed):
            began = clock() - begin
            session.say(f"sustained load, minute {int(began // 60) + 1} of {math.ceil(seconds / 60)}", int(began))
            try:
                answer = session.window(tasks[place])
            except EdgekitError as error:
                failed[place] = _told(error, began, len(answers[place]))
                continue
            answers[place].append({**answer, "began_s": round(began, 3), "block": turn, "position": place})
        turn += 1
    return [failed.get(place) or _recorded(session, task, answers[place]) for place, task in enumerate(tasks)]


def _told(error: EdgekitError, began: float, windows: int) -> EdgekitError:
    """The same error, which says how long the device had held out."""
    if not windows:
        return error
    when = f"{span(began)} into the load, after {counted(windows, 'window')}"
    return type(error)(f"{error.message} ({when})", error.remedy)


def _recorded(
    session: MeasuringSession, task: BenchTask, answers: Sequence[dict[str, Any]]
) -> Measurement | EdgekitError:
    """The measurement of a file's windows, which its protocol counts as processes."""
    counted = replace(task, protocol=task.protocol.model_copy(update={"processes": len(answers)}))
    try:
        with in_use(task.artifact):
            return session.recorded(counted, answers)
    except EdgekitError as error:
        return error
