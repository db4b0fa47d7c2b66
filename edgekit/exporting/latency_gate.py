"""`--max-latency`: whether a file that was just written is quick enough, here or on the device that it is for."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from edgekit.device.linux import LinuxTarget
from edgekit.device.target import Target
from edgekit.errors import GateFailed, MeasurementInvalid
from edgekit.measure.session import BenchTask, MeasuringSession
from edgekit.records.artifact import Artifact
from edgekit.records.measurement import INVALID, PRESETS
from edgekit.records.runtime import choose
from edgekit.stats.medians import NS_PER_MS

TRIES = 3  # interference passes; what is still there at the third look is no accident


def latency_within(
    path: Path, limit_ms: float, target: Target | None = None, runtime: str | None = None
) -> dict[str, Any]:
    """Measure a file, one thread and batch 1, and return what the manifest says of it.

    Raises GateFailed for a median above the limit, MeasurementInvalid where the machine was too busy to tell: what
    disturbs makes times longer, so that a median within the limit passes whatever else went on.
    """
    target = target or LinuxTarget()
    chosen = choose(path, runtime, None if target.is_local else target.runtimes, target.is_local)
    protocol = target.fitted("quick", PRESETS["quick"])
    on = "" if target.is_local else f" of {target.name}"
    session = MeasuringSession(0, target=target)
    for _ in range(TRIES):
        task = BenchTask(Artifact(path=path, manifest=None), chosen, protocol, target.name, None, None)
        found = session.measure(task)
        median_ms = median(median(run.samples_ns) for run in found.runs) / NS_PER_MS
        if median_ms <= limit_ms:
            facts = {"limit_ms": limit_ms, "median_ms": median_ms, "verdict": found.verdict, "runtime": chosen.name}
            return facts | {"device": target.name, "processor": found.found.get("processor")}
        if found.verdict != INVALID:
            raise GateFailed(
                f"{path.name} takes {median_ms:.3g} ms on {chosen.name}{on}, more than --max-latency {limit_ms:g}",
                "choose int8, a smaller alpha or resolution, or a larger limit",
            )
    raise MeasurementInvalid(f"{path.name} could not be timed: {found.reasons[0]}", "export again when it is quiet")
