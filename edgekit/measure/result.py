"""What `bench` gives: a row for each file and batch size that was asked for, measured or failed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from edgekit.errors import EnvironmentRefused, Failure, MeasurementInvalid, as_json, worst_exit_code
from edgekit.measure.pair import Versus
from edgekit.records.measurement import INVALID, Measurement
from edgekit.stats import latency, ratio
from edgekit.stats.stability import stability
from edgekit.stats.sustained import ranking, sustained
from edgekit.storage.keeping import told
from edgekit.util.tabled import Tabled

KEYS = (
    *("artifact", "foreign", "device", "runtime", "threads", "batch", "median_ms", "ci95_ms", "p90_ms", "p99_ms"),
    *("min_ms", "mad_ms", "first_ms", "load_ms", "throughput_per_s", "n", "processes", "stability", "harness_us"),
    *("peak_memory_bytes", "pss_memory_bytes", "baseline_memory_bytes", "ideal_memory_bytes"),
    *("arena_memory_bytes", "gpu_memory_bytes", "unified_memory_bytes", "memory_method"),
    *("verdict", "reasons", "error", "id", "session", "found", "profile", "sustained", "energy_mj"),
)


def row(measurement: Measurement, artifact: str | None = None) -> dict[str, Any]:
    """Return a measurement under the documented keys; what cannot be known is null, and `reasons` says why."""
    time = latency.latency(measurement.runs, measurement.protocol.batch)
    memory = measurement.memory
    reasons = [*measurement.reasons, *(time.reasons if time else ["no sample was taken"])]
    if memory.peak_bytes is None:
        reasons.append(f"no peak memory: {memory.reason}")
    alone = memory.baseline_reason or "not recorded why"
    if memory.baseline_bytes is None and alone != memory.reason:
        reasons.append(f"no memory of the runtime alone: {alone}")
    known = {name: getattr(time, name) for name in KEYS if hasattr(time, name)}
    still, lasting = stability(measurement.runs), sustained(measurement)
    harness = [run.harness_ns for run in measurement.runs if run.harness_ns is not None]
    return {
        **dict.fromkeys(KEYS),
        **known,
        "ci95_ms": list(time.ci95_ms) if time and time.ci95_ms else None,
        "artifact": artifact or measurement.artifact,
        "foreign": measurement.manifest is None,
        "device": measurement.device,
        "runtime": measurement.runtime,
        "threads": measurement.found.get("threads", measurement.protocol.threads),
        "batch": measurement.protocol.batch,
        "stability": still.to_json() if still else None,
        "harness_us": round(median(harness) / 1000, 4) if harness else None,
        "peak_memory_bytes": memory.peak_bytes,
        "pss_memory_bytes": memory.pss_bytes,
        "baseline_memory_bytes": memory.baseline_bytes,
        "ideal_memory_bytes": memory.ideal_bytes,
        "arena_memory_bytes": memory.arena_bytes,
        "gpu_memory_bytes": memory.gpu_bytes,
        "unified_memory_bytes": memory.unified_bytes,
        "memory_method": memory.method,
        "verdict": measurement.verdict,
        "reasons": reasons,
        "id": measurement.id,
        "session": measurement.session,
        "found": measurement.found,
        "profile": measurement.profile.to_json() if measurement.profile else None,
        "sustained": lasting.to_json() if lasting else None,
        "energy_mj": measurement.found.get("energy", {}).get("gross_mj"),
    }


def failed_row(failure: Failure) -> dict[str, Any]:
    """Return the same keys for what has no measurement: its numbers are null, and `error` says why."""
    error = failure.error
    return {
        **dict.fromkeys(KEYS),
        **failure.part,
        "verdict": "not assessed",
        "reasons": [error.message],
        "error": as_json(error),
    }


@dataclass(frozen=True, repr=False)
class BenchResult(Tabled):
    """What was measured and what was not, in the order that was asked for; paths as they were given."""

    outcomes: tuple[tuple[str, Measurement] | Failure, ...]
    versus: tuple[Versus, ...] = ()
    unstored: EnvironmentRefused | None = None  # why the store does not hold them, and what does

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured."""
        return tuple(one[1] for one in self.outcomes if not isinstance(one, Failure))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What was not."""
        return tuple(one for one in self.outcomes if isinstance(one, Failure))

    @property
    def exit_code(self) -> int:
        """The command's exit code; 6 where a measurement is invalid."""
        invalid = any(measurement.verdict == INVALID for measurement in self.measurements)
        own = [MeasurementInvalid.exit_code] * invalid + [EnvironmentRefused.exit_code] * (self.unstored is not None)
        return worst_exit_code([*(failure.exit_code for failure in self.failures), *own])

    def to_json(self) -> dict[str, Any]:
        """Return what `edgekit bench --json` prints."""
        rows = [failed_row(one) if isinstance(one, Failure) else row(one[1], one[0]) for one in self.outcomes]
        found = {"measurements": rows, "unstored": told(self.unstored), **self._ranking()}
        if not self.versus:
            return found
        return {**found, "versus": [pair.to_json() for pair in self.versus], "noise": ratio.NOISE}

    def _ranking(self) -> dict[str, Any]:
        """How several files under sustained load stand to each other, first and last; nothing of others."""
        named = [one for one in self.outcomes if not isinstance(one, Failure)]
        lasting = [(path, found) for path, one in named if (found := sustained(one)) is not None]
        return {"ranking": ranking(lasting)} if len(lasting) > 1 else {}
