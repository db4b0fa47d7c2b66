"""What is asked of a measurement (`Protocol`), and what came back (`Measurement`, `Accuracy`).

Raw samples are kept in order; medians and percentiles are computed when they are read. Nothing here judges: the verdict
is worked out from these facts by edgekit.measure.verdict, and stored with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

from pydantic import model_validator

from edgekit.records.breakdown import Breakdown
from edgekit.records.manifest import Manifest
from edgekit.records.record import Record, Whole
from edgekit.records.roofline import Profile
from edgekit.util.numerals import LARGEST_64

RECORD_VERSION = 1
# The facts in `found` that edgekit computes with, and the types that each may have; others may be anything.
FOUND: dict[str, Any] = {
    **dict.fromkeys(("threads", "batch"), (int, NoneType)),
    **dict.fromkeys(("provider", "delegate", "host", "power_mode", "runtime_version", "path"), (str, NoneType)),
    **dict.fromkeys(("device", "input_shapes", "answers"), (dict, NoneType)),
    "instructions": (list, tuple, NoneType),
}
VALID, SUSPECT, INVALID = "valid", "suspect", "invalid"  # verdicts


class Protocol(Record):
    """How to measure one artifact. Warm-up and measuring each last until both their time and count are reached.

    Warm-up then goes on until times settle, at most `warmup_max_seconds`. Between processes the device cools down to
    where it started, at most `cooldown_seconds` in all. docs/measuring.md gives the reasons.
    """

    preset: str = "default"
    processes: Whole = 6  # fresh processes, one after the other; the smallest number that gives a 95 % interval
    warmup_seconds: float = 0.5
    warmup_runs: Whole = 10
    warmup_max_seconds: float = 5.0
    cooldown_seconds: float = 60.0
    min_seconds: float = 2.0  # measuring, per process
    min_runs: Whole = 50
    max_seconds: float = 60.0
    max_samples: Whole | None = None  # of a process; more inferences make one sample then. None: as many as there are
    threads: Whole = 1
    batch: Whole = 1
    seed: Whole = 0
    input_shapes: dict[str, tuple[Whole, ...]] = {}  # of inputs whose sizes are free; "": of the only one
    sustained_seconds: Whole | None = None  # of load without a pause, whose windows are the processes; None: in bursts


PRESETS = {
    "quick": Protocol(
        preset="quick",
        processes=1,
        warmup_runs=5,
        warmup_max_seconds=3.0,
        cooldown_seconds=10.0,
        min_seconds=1.0,
        min_runs=64,
        max_seconds=30.0,
    ),
    "default": Protocol(),
    "rigorous": Protocol(
        preset="rigorous",
        processes=10,
        warmup_seconds=3.0,
        warmup_runs=50,
        warmup_max_seconds=15.0,
        cooldown_seconds=300.0,
        min_seconds=6.0,
        min_runs=200,
        max_seconds=120.0,
    ),
}


# Interleaved comparisons: more blocks of shorter processes, because only the number of blocks narrows the interval.
VERSUS: dict[str, dict[str, Any]] = {
    "quick": {"processes": 9, "min_seconds": 0.5},
    "default": {"processes": 15, "min_seconds": 1.0},
    "rigorous": {"processes": 30, "warmup_seconds": 1.0, "min_seconds": 2.0},
}


class Snapshot(Record):
    """What a device said at one moment (bench/ondevice/sensors). None is unknown, never zero."""

    time_ns: Whole  # monotonic
    own_cpu_ns: Whole | None = None  # what the runner has used of processors
    cpus: Whole | None = None  # processors that it may use
    all_cpus: Whole | None = None  # that there are; the three sums below are over all of them, since boot
    busy_s: float | None = None
    steal_s: float | None = None
    total_s: float | None = None
    own_threads: Whole | None = None
    own_waiting_ns: Whole | None = None  # the runner's threads could run and had no processor
    involuntary_switches: Whole | None = None
    voluntary_switches: Whole | None = None
    pressure_us: Whole | None = None  # PSI: some task waited for a processor
    load1: float | None = None
    running: Whole | None = None  # runnable tasks at this moment
    mhz: tuple[float, ...] | None = None  # on a phone, what clocks may reach at this moment
    gpu_mhz: float | None = None  # of a chip whose GPU was used
    celsius: dict[str, float] | None = None
    throttle_count: Whole | None = None
    cooling: Whole | None = None  # state of what slows processors, or a whole chip, for heat; 0: not slowed
    power_events: Whole | None = None  # since boot: a chip was slowed for drawing too much current
    thermal_status: Whole | None = None  # a phone's own: 0 none, 1 light, 2 moderate ... 6 shutdown
    surface_celsius: float | None = None  # a phone's skin or battery, whichever is warmer
    package_uj: dict[str, tuple[Whole, Whole]] | None = None  # energy of processor packages, and where its counter ends
    charge_uah: Whole | None = None  # what is left in a phone's battery, by its own counter
    battery_mv: Whole | None = None
    on_cable: bool | None = None  # whether a phone is charged meanwhile


class Sensed(Record):
    """What the device did around one measured loop; the GPUs as nvidia-smi tells them, before and after."""

    before: Snapshot
    after: Snapshot
    sentinel_ns: tuple[Whole, Whole] | None = None  # the same small work before and after
    gpus: tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None] = (None, None)
    gpu_others: Whole | None = None  # other processes that computed on the GPU when this one began to


class ProcessRun(Record):
    """One fresh process: times in nanoseconds, samples in the order in which they were taken."""

    samples_ns: tuple[Whole, ...]
    warmup_ns: tuple[Whole, ...]
    load_ns: Whole | None  # opening the artifact until it can run; None: not told
    first_ns: Whole | None  # the first inference, not among the samples
    wall_ns: Whole  # of the measured loop, for throughput
    inferences_per_sample: Whole = 1  # more where one is too short for the clock; a sample is their mean
    settled: bool | None = None  # whether warm-up ended because times no longer changed; None: not looked at
    harness_ns: float | None = None  # what our own loop adds to an inference
    sensed: Sensed | None = None
    hot: bool | None = None  # it began before the device was back at its first temperature; None: no sensor
    block: Whole | None = None  # of an interleaved comparison, with the place within it
    position: Whole | None = None
    turns: tuple[Whole, ...] | None = None  # samples in each turn, where the files of a block took turns in one process
    began_s: float | None = None  # of a window under sustained load: seconds after the first one began


class Memory(Record):
    """Peak memory of a process of its own that loads and runs the artifact; `baseline` runs the runtime without it."""

    peak_bytes: Whole | None
    baseline_bytes: Whole | None
    method: str  # e.g. "VmHWM of a separate process"
    reason: str | None = None  # why there is no number
    baseline_reason: str | None = None  # why there is none of the runtime alone
    pss_bytes: Whole | None = None  # at the end: shared pages counted in part
    ideal_bytes: Whole | None = None  # weights and the activations that must live at once; None: unknown
    arena_bytes: Whole | None = None  # what the runtime says that it keeps for the file's tensors
    arena_method: str | None = None
    arena_reason: str | None = None  # why there is none
    gpu_bytes: Whole | None = None  # on a GPU with memory of its own, as its driver counts this process
    gpu_method: str | None = None
    unified_bytes: Whole | None = None  # where the GPU shares it: what the whole machine had less of
    unified_method: str | None = None

    @classmethod
    def unknown(cls, reason: str) -> Memory:
        """No number, and why."""
        return cls(peak_bytes=None, baseline_bytes=None, method="not measured", reason=reason, baseline_reason=reason)


class Measurement(Record):
    """One artifact on one device with one runtime, as found (not as asked)."""

    version: Whole = RECORD_VERSION
    id: str
    created: str  # ISO 8601, UTC
    artifact: str  # the file's name
    sha256: str
    bytes: Whole
    format: str
    manifest: Manifest | None  # None: a foreign file
    device: str
    runtime: str
    protocol: Protocol
    runs: tuple[ProcessRun, ...]
    memory: Memory
    found: dict[str, Any]  # threads, batch, provider or delegate, versions, processor, kernel ...
    session: str | None = None  # the command that took it: those of one interleaved comparison share it
    verdict: str = "not assessed"  # else valid, suspect or invalid
    reasons: tuple[str, ...] = ()
    profile: Profile | None = None  # where the time goes by layer; None: not asked for

    @model_validator(mode="after")
    def _possible(self) -> Measurement:
        _check_found(self.found)
        return self


class Accuracy(Record):
    """Top-1 and top-5 of the file that ships, on `n` named images."""

    version: Whole = RECORD_VERSION
    id: str
    created: str
    artifact: str
    sha256: str
    format: str
    manifest: Manifest | None
    device: str
    runtime: str
    dataset: str  # the folder's name
    dataset_hash: str  # of the images' pixel hashes and labels
    n: Whole
    correct1: Whole
    correct5: Whole | None  # None of a file that answers with one index
    hits: str  # one character an image, in the dataset's order: 1, 5 or -, for paired comparisons
    images_per_second: float
    found: dict[str, Any] = {}  # what really ran it, as in a measurement; empty in older records
    breakdown: Breakdown | None = None  # where it is lost; None in older records
    unreadable: Whole = 0  # images that were left out because they cannot be read; `n` does not count them

    @model_validator(mode="after")
    def _possible(self) -> Accuracy:
        if not all(0 <= right <= self.n for right in (self.correct1, self.correct5 or 0)):
            raise ValueError("more images are right than there are, or fewer than none")
        _check_found(self.found)
        return self


def _check_found(found: Mapping[str, Any]) -> None:
    """Raise ValueError for what cannot have been found: a store may be a stranger's."""
    wrong = [name for name, kind in FOUND.items() if not isinstance(found.get(name), kind)]
    wrong += [name for name in ("threads", "batch") if not wrong and not 0 <= (found.get(name) or 0) <= LARGEST_64]
    if not wrong and any(not isinstance(shape, (list, tuple)) for shape in (found.get("input_shapes") or {}).values()):
        wrong = ["input_shapes"]
    if wrong:
        raise ValueError(f"this cannot be what was found: '{wrong[0]}'")
