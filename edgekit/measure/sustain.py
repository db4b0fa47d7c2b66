"""Load that lasts: files run one after the other without a pause, each window a fresh process, until the time is up."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgekit.errors import EdgekitError, UsageError, first_line
from edgekit.measure.session import BenchTask, Cut, MeasuringSession
from edgekit.records.artifact import in_use
from edgekit.records.measurement import Measurement, Protocol
from edgekit.stats.sustained import part
from edgekit.util.formatting import counted, span

UNITS = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600}
SHORTEST, LONGEST = 1, 24 * 3600  # seconds
LONGEST_WINDOW = 5.0  # seconds: short against a minute, long against the start of a process
WINDOWS = 8  # of each file at either end: 4 are needed for an interval, and starting processes takes time, too
SAMPLES = 1000  # of a window: hours of a small network would fill the store; a sample is then a mean of inferences
Clock = Callable[[], float]
Keep = Callable[[Measurement], str]  # stores it, and says where it is


def duration(text: str | float) -> int:
    """ "10m", "90s", "1h" or a number of seconds, as whole seconds. Raises UsageError for anything else."""
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]*)\s*", str(text).lower())
    factor = UNITS.get(found[2]) if found else None
    seconds = round(float(found[1]) * factor) if found and factor else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"--sustained cannot be '{text}'", "write, say, --sustained 10m; from 1s to 24h")
    return seconds


def protocol(seconds: int, files: int, threads: int, batch: int) -> Protocol:
    """Return how each window of so many files is measured: a short warm-up of the caches, no pause to cool down."""
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


@dataclass
class _File:
    """What one file has come to so far."""

    task: BenchTask
    windows: list[dict[str, Any]] = field(default_factory=list)
    found: Measurement | EdgekitError | None = None


def sustain(
    session: MeasuringSession, tasks: Sequence[BenchTask], keep: Keep, clock: Clock = time.monotonic
) -> list[Measurement | EdgekitError]:
    """Return the measurement of each file, or why it has none. One that fails is left out, and the others go on.

    What is cut, by a failure or by an interrupt, leaves its windows: a measurement of them goes to `keep`, which
    answers where it is. An interrupt is raised again, and says so.
    """
    files, begin = [_File(task) for task in tasks], clock()
    try:
        _load(session, files, keep, lambda: clock() - begin)
        for file in files:
            if file.found is None:
                file.found = _recorded(session, file, keep, clock() - begin)
    except BaseException as error:
        reason = "it was interrupted" if isinstance(error, KeyboardInterrupt) else first_line(error)
        kept = [_kept(session, file, clock() - begin, reason, keep) for file in files]
        if isinstance(error, KeyboardInterrupt) and any(kept):
            raise KeyboardInterrupt("; ".join(filter(None, kept))) from error
        raise
    return [file.found for file in files if file.found is not None]


def _load(session: MeasuringSession, files: Sequence[_File], keep: Keep, elapsed: Clock) -> None:
    """Let the files run in turn until the time is up."""
    seconds, turn = files[0].task.protocol.sustained_seconds or 0, 0
    while any(file.found is None for file in files) and elapsed() < seconds:
        for place, file in enumerate(files):
            if file.found is not None:
                continue
            began = elapsed()
            session.say(f"sustained load, minute {int(began // 60) + 1} of {math.ceil(seconds / 60)}", int(began))
            try:
                answer = session.window(file.task)
            except EdgekitError as error:
                file.found = _told(error, began, file, _kept(session, file, began, error.message, keep))
                continue
            file.windows.append({**answer, "began_s": round(began, 3), "block": turn, "position": place})
        turn += 1


def _told(error: EdgekitError, began: float, file: _File, kept: str | None) -> EdgekitError:
    """The same error, which says how long the device had held out, and where its windows are."""
    if not file.windows:
        return error
    when = f"{span(began)} into the load, after {counted(len(file.windows), 'window')}"
    return type(error)("; ".join(filter(None, (f"{error.message} ({when})", kept))), error.remedy)


def _recorded(session: MeasuringSession, file: _File, keep: Keep, ended: float) -> Measurement | EdgekitError:
    """The measurement of a file's windows. Where what follows the load fails, the windows are kept without it."""
    try:
        return _of_windows(session, file)
    except EdgekitError as error:
        return _told(error, ended, file, _kept(session, file, ended, error.message, keep))


def _of_windows(session: MeasuringSession, file: _File, cut: Cut | None = None) -> Measurement:
    """The measurement of a file's windows, which its protocol counts as processes. Raises where it has changed."""
    protocol = file.task.protocol.model_copy(update={"processes": len(file.windows)})
    with in_use(file.task.artifact):
        return session.recorded(replace(file.task, protocol=protocol), file.windows, cut)


def _kept(session: MeasuringSession, file: _File, ended: float, reason: str, keep: Keep) -> str | None:
    """Keep what there is of a file that has not failed before, and say where; None where there is nothing."""
    if isinstance(file.found, EdgekitError) or not file.windows:
        return None
    cut = Cut(round(ended, 3), file.task.protocol.sustained_seconds or 0, reason)
    try:
        return keep(file.found or _of_windows(session, file, cut))
    except EdgekitError as error:  # the file has changed: then these are windows of nobody knows which
        return f"the windows of {file.task.artifact.path.name} are not kept: {error.message}"
