"""What a board's kernel tells beside its processors: the GPU's clock, and whether power or heat slowed the chip.

Read around the measured loop, from files alone: a tegrastats beside it would take a processor's time. What is not told
is None.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .kernel_files import number, text

SYS = Path("/sys")
# Tegra's names of the GPU, without the address before them; the last is Thor's.
GPUS = ("gpu", "gp10b", "gv11b", "ga10b", "gpu-gpc-0")
THROTTLING = ("throttle-alert", "throttle_alert", "balanced")


def added(snapshot: dict[str, Any], gpu: bool) -> dict[str, Any]:
    """Return a snapshot of linux.py with what this tells; the GPU's clock where a `gpu` is used."""
    known = [state for state in (snapshot["cooling"], throttling()) if state is not None]
    own = {"gpu_mhz": gpu_mhz() if gpu else None, "power_events": power_events()}
    return {**snapshot, "cooling": max(known, default=None), **own}


def gpu_mhz() -> float | None:
    """Return the clock of the GPU at this moment; only on boards whose GPU is part of the chip."""
    for folder in sorted((SYS / "class/devfreq").glob("*")):
        if is_gpu(folder.name):
            now = number(folder / "cur_freq")
            if now is not None:
                return now / 1e6
    return None


def is_gpu(name: str) -> bool:
    """Return whether a devfreq folder is the GPU's: others are for video and vision, whose clocks nothing here uses."""
    return name in GPUS or name.rpartition(".")[2] in GPUS


def power_events() -> int | None:
    """Return how often since boot the chip was slowed for drawing too much current (Orin: oc*_event_cnt)."""
    counts = [number(path) for path in (SYS / "class/hwmon").glob("hwmon*/oc*_event_cnt")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def throttling() -> int | None:
    """Return the highest state of what slows this chip for heat (0: not slowed), where Tegra's kernel tells it."""
    states = []
    for folder in (SYS / "class/thermal").glob("cooling_device*"):
        kind, state = (text(folder / "type") or "").lower(), number(folder / "cur_state")
        if state is not None and kind.endswith(THROTTLING):
            states.append(state)
    return max(states) if states else None
