"""The energy pass: what a device draws while it idles, and while it makes one inference after the other.

A pass of its own, because reading power takes time from what is measured. Nothing is worked out here: the readings go
back with their times, each the milliwatts by rail. They come from the first of these that tells what the board draws in
all: its own monitors (power_rails.py), tegrastats, nvidia-smi.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import loop, runner
from .protocol import answer_job, guarded
from .sensors import jetson_tools, nvidia_smi, power_rails

PERIOD_SECONDS = {"rails": 0.1, "tegrastats": 0.2, "nvidia-smi": 0.2}
WARM_SECONDS = 1.0
PLACES = ("/usr/bin", "/usr/sbin", "/sbin", "/home/nvidia")  # of tegrastats; not all are on a session's PATH
CARD = "GPU board"  # what nvidia-smi's power.draw is of


class Meter:
    """Reads power while it is open; `readings` holds pairs of nanoseconds and milliwatts by rail."""

    def __init__(self, method: str, work: Callable[[Meter], None], command: tuple[str, ...] = ()) -> None:
        self.method = method
        self.readings: list[tuple[int, dict[str, float]]] = []
        self.over = threading.Event()
        self.process: Any = None
        self._command = command
        self._thread = threading.Thread(target=work, args=(self,), daemon=True)

    def take(self, powers: dict[str, float]) -> None:
        """Keep a reading."""
        self.readings.append((time.perf_counter_ns(), powers))

    def __enter__(self) -> Meter:
        if self._command:
            self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        if self.process is not None:
            self.process.kill()
        self._thread.join(timeout=5)
        if self.process is not None:
            self.process.wait()
            self.process.stdout.close()


def meter(root: Path) -> Meter:
    """Return what tells power here, not yet running. Raises RuntimeError where nothing does."""
    found = power_rails.find(root)
    if jetson_tools.total(power_rails.read(found)) is not None:
        seconds = PERIOD_SECONDS["rails"]
        return Meter(f"INA monitors in sysfs every {seconds:g} s", _polling(lambda: power_rails.read(found), seconds))
    command = shutil.which("tegrastats", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    if command is not None:
        seconds = PERIOD_SECONDS["tegrastats"]
        argv = (command, "--interval", str(int(1000 * seconds)))
        return Meter(f"tegrastats every {seconds:g} s", _following, argv)
    if nvidia_smi.watts() is not None:
        seconds = PERIOD_SECONDS["nvidia-smi"]
        return Meter(f"nvidia-smi every {seconds:g} s", _polling(_card, seconds))
    raise RuntimeError(
        "neither sysfs nor tegrastats tells what the board draws, and nvidia-smi not what the GPU that is used does"
    )


def _card() -> dict[str, float]:
    watts = nvidia_smi.watts()
    return {} if watts is None else {CARD: 1000 * watts}


def _polling(read: Callable[[], dict[str, float]], seconds: float) -> Callable[[Meter], None]:
    def work(meter: Meter) -> None:
        while not meter.over.wait(seconds):
            meter.take(read())

    return work


def _following(meter: Meter) -> None:
    """The lines of tegrastats, as they come."""
    for line in meter.process.stdout:
        found = jetson_tools.tegrastats(line.decode(errors="replace").rstrip("\n"))
        if found is not None:
            meter.take(found)


def measure(text: str) -> dict[str, Any]:
    """Return the readings with their times in nanoseconds, the two stretches, and the inferences in the second."""
    wish = json.loads(text)
    idle_seconds, busy_seconds = wish.pop("idle_seconds"), wish.pop("busy_seconds")
    root = Path(wish.pop("sysfs"))
    job = runner.parse(json.dumps({**wish, "mode": "memory"}))
    source = meter(root)
    module = runner.loaded(job.runtime)
    session = module.open_session(job.artifact, runner.options(job))
    step = session.prepare(runner.make_inputs(session.inputs, job.seed))
    loop.take(step, WARM_SECONDS, 3, job.max_seconds)
    with source:
        begin = time.perf_counter_ns()
        time.sleep(idle_seconds)
        middle = time.perf_counter_ns()
        count, end = 0, middle + int(busy_seconds * 1e9)
        while time.perf_counter_ns() < end:
            step()
            count += 1
        stop = time.perf_counter_ns()
    stretches = {"idle": [begin, middle], "busy": [middle, stop], "inferences": count}
    return {"readings": source.readings, "method": source.method, **stretches}


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
