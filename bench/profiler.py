"""The profile pass: how long each operator takes, as the runtime's own profiler tells it, and the same without it.

Stands alone (Python 3.8), beside runner.py, and is asked like it; `profile_<runtime>.py` reads one runtime's profiler.
A pass of its own, because a profiler takes time from what is measured. The runtime's words go back as they are: which
layer an operator belongs to is worked out by who asked.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from pathlib import Path
from typing import Any

FEWEST, MOST = 10, 300  # inferences with the profiler on


def _runner() -> Any:
    spec = importlib.util.spec_from_file_location("runner", Path(__file__).resolve().with_name("runner.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runner"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()


def measure(text: str) -> dict[str, Any]:
    """Operators as they ran (name, op, median ns), and the whole inference with the profiler and without."""
    job = RUNNER.parse(json.dumps({**json.loads(text), "mode": "memory"}))
    module, profiler = RUNNER.loaded(job.runtime), RUNNER.beside("profile_" + job.runtime)
    session = module.open_session(job.artifact, RUNNER.options(job))
    inputs = RUNNER.make_inputs(session.inputs, job.seed)
    step = session.prepare(inputs)
    RUNNER.LOOP.take(step, job.warmup_seconds, 3, job.max_seconds)
    before, _ = RUNNER.LOOP.take(step, job.min_seconds / 2, 5, job.max_seconds)
    runs = min(MOST, max(FEWEST, int(job.min_seconds * 1e9 / statistics.median(before))))
    sensors = RUNNER.beside("sensors")
    start = sensors.snapshot()
    found = profiler.profile(module, job.artifact, RUNNER.options(job), inputs, runs)
    waited = _waited(start, sensors.snapshot())
    after, _ = RUNNER.LOOP.take(
        step, job.min_seconds / 2, 5, job.max_seconds
    )  # on both sides, so that drift meets both alike
    return {**found, "runs": runs, "plain_ns": int(statistics.median([*before, *after])), "waited": waited}


def _waited(start: dict[str, Any], end: dict[str, Any]) -> float | None:
    """The fraction of the time in which this process could run and had no processor; None where nobody tells."""
    if start["own_waiting_ns"] is None or end["own_waiting_ns"] is None:
        return None
    return float((end["own_waiting_ns"] - start["own_waiting_ns"]) / (end["time_ns"] - start["time_ns"]))


if __name__ == "__main__":
    RUNNER.main(sys.argv[1:], measure)
