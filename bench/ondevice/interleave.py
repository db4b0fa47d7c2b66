"""Measures several artifacts in this process by turns, so that what slows the machine meets all of them alike.

The job holds `jobs` as runner.py has them and `turn_seconds`; the answer holds their `answers`, in the order of the
jobs. A slowdown from outside lasts from tenths of a second to minutes; turns are shorter, so that two neighboring ones
differ by the artifacts alone.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

from . import loop, runner
from .protocol import answer_job, guarded


def measure(text: str) -> dict[str, Any]:
    """Return what the jobs in a line of JSON find, each loaded and warmed up in its place, then measured by turns."""
    asked = json.loads(text)
    jobs, seconds = [runner.parse(json.dumps(job)) for job in asked["jobs"]], float(asked["turn_seconds"])
    return {"answers": runner.measured(jobs, lambda ready: interleaved(ready, seconds))}


def interleaved(ready: Any, seconds: float) -> list[dict[str, Any]]:
    """Samples, wall time and the number of samples in each turn, for each artifact.

    A round gives every artifact one turn, in a new random order. A turn begins with an inference that is not timed: it
    brings back what the others pushed out of the caches. Rounds go on until every artifact has its time and count.
    """
    places = list(range(len(ready)))
    found: list[dict[str, Any]] = [{"samples_ns": [], "wall_ns": 0, "turns": []} for _ in ready]
    latest = time.perf_counter() + sum(one.job.max_seconds for one in ready)
    while not all(map(_has_enough, ready, found)):
        random.shuffle(places)
        for place in places:
            one, row = ready[place], found[place]
            one.step()
            samples, wall_ns = loop.take(one.step, seconds, 1, one.job.max_seconds, one.repeat)
            row["samples_ns"] += samples
            row["wall_ns"] += wall_ns
            row["turns"].append(len(samples))
        if time.perf_counter() >= latest:
            break
    return found


def _has_enough(one: Any, row: dict[str, Any]) -> bool:
    count = len(row["samples_ns"])
    is_long = count >= one.job.min_runs and row["wall_ns"] >= one.job.min_seconds * 1e9
    return bool(is_long or count >= loop.MAX_SAMPLES)


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
