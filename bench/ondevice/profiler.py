"""The profile pass: how long each operator takes, as the runtime's own profiler tells it, and the same without it.

`profilers/<runtime>.py` reads one runtime's profiler. A pass of its own, because a profiler takes time from what is
measured. The runtime's words go back as they are: which layer an operator belongs to is worked out by who asked.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from . import loop, runner
from .protocol import answer_job, guarded
from .sensors import linux

FEWEST, MOST = 10, 300  # inferences with the profiler on


def measure(text: str) -> dict[str, Any]:
    """Operators as they ran (name, op, median ns), and the whole inference with the profiler and without."""
    job = runner.parse(json.dumps({**json.loads(text), "mode": "memory"}))
    module, profiler = runner.loaded(job.runtime), runner.part("profilers", job.runtime)
    session = module.open_session(job.artifact, runner.options(job))
    inputs = runner.make_inputs(session.inputs, job.seed)
    step = session.prepare(inputs)
    loop.take(step, job.warmup_seconds, 3, job.max_seconds)
    before, _ = loop.take(step, job.min_seconds / 2, 5, job.max_seconds)
    runs = min(MOST, max(FEWEST, int(job.min_seconds * 1e9 / statistics.median(before))))
    start = linux.snapshot()
    found = profiler.profile(module, job.artifact, runner.options(job), inputs, runs)
    waited = _waited(start, linux.snapshot())
    # On both sides, so that drift meets both alike.
    after, _ = loop.take(step, job.min_seconds / 2, 5, job.max_seconds)
    return {**found, "runs": runs, "plain_ns": int(statistics.median([*before, *after])), "waited": waited}


def _waited(start: dict[str, Any], end: dict[str, Any]) -> float | None:
    """The fraction of the time in which this process could run and had no processor; None where nobody tells."""
    if start["own_waiting_ns"] is None or end["own_waiting_ns"] is None:
        return None
    return float((end["own_waiting_ns"] - start["own_waiting_ns"]) / (end["time_ns"] - start["time_ns"]))


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
