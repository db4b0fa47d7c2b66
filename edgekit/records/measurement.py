"""What is asked of a measurement (`Protocol`), and what came back (`Measurement`, `Accuracy`).

Raw samples are kept in order; medians and percentiles are computed when they are read. Nothing here judges: the verdict
is worked out from these facts by edgekit.measure.verdict, and stored with them.
"""

from __future__ import annotations

from typing import Any

from edgekit.records.breakdown import Breakdown
from edgekit.records.manifest import Manifest
from edgekit.records.record import Record
from edgekit.records.roofline import Profile

RECORD_VERSION = 1
VALID, SUSPECT, INVALID = "valid", "suspect", "invalid"  # verdicts


class Protocol(Record):
    """How to measure one artifact. Warm-up and measuring each last until both their time and count are reached.

    Warm-up then goes on until times settle, at most `warmup_max_seconds`. Between processes the device cools down to
    where it started, at most `cooldown_seconds` in all. docs/measuring.md gives the reasons.
    """

    preset: str = "default"
    processes: int = 6  # fresh processes, one after the other; the smallest number that gives a 95 % interval
    warmup_seconds: float = 0.5
    warmup_runs: int = 10
    warmup_max_seconds: float = 5.0
    cooldown_seconds: float = 60.0
    min_seconds: float = 2.0  # measuring, per process
    min_runs: int = 50
    max_seconds: float = 60.0
    max_samples: int | None = None  # of a process; more inferences make one sample then. None: as many as there are
    threads: int = 1
    batch: int = 1
    seed: int = 0
    input_shapes: dict[str, tuple[int, ...]] = {}  # of inputs whose sizes are free; "": of the only one
    sustained_seconds: int | None = None  # of load without a pause, in windows that are the processes; None: in bursts


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

    time_ns: int  # monotonic
    own_cpu_ns: int | None = None  # what the runner has used of processors
    cpus: int | None = None  # processors that it may use
    all_cpus: int | None = None  # that there are; the three sums below are over all of them, since boot
    busy_s: float | None = None
    steal_s: float | None = None
    total_s: float | None = None
    own_threads: int | None = None
    own_waiting_ns: int | None = None  # the runner's threads could run and had no processor
    involuntary_switches: int | None = None
    voluntary_switches: int | None = None
    pressure_us: int | None = None  # PSI: some task waited for a processor
    load1: float | None = None
    running: int | None = None  # runnable tasks at this moment
    mhz: tuple[float, ...] | None = None  # on a phone, what clocks may reach at this moment
    gpu_mhz: float | None = None  # of a chip whose GPU was used
    celsius: dict[str, float] | None = None
    throttle_count: int | None = None
    cooling: int | None = None  # state of what slows processors, or a whole chip, for heat; 0: not slowed
    power_events: int | None = None  # since boot: a chip was slowed for drawing too much current
    thermal_status: int | None = None  # a phone's own: 0 none, 1 light, 2 moderate ... 6 shutdown
    surface_celsius: float | None = None  # a phone's skin or battery, whichever is warmer
    package_uj: dict[str, tuple[int, int]] | None = None  # energy of processor packages, and where its counter ends
    charge_uah: int | None = None  # what is left in a phone's battery, by its own counter
    battery_mv: int | None = None
    on_cable: bool | None = None  # whether a phone is charged meanwhile


class Sensed(Record):
    """What the device did around one measured loop; the GPUs as nvidia-smi tells them, before and after."""

    before: Snapshot
    after: Snapshot
    sentinel_ns: tuple[int, int] | None = None  # the same small work before and after
    gpus: tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None] = (None, None)
    gpu_others: int | None = None  # other processes that computed on the GPU when this one began to


class ProcessRun(Record):
    """One fresh process: times in nanoseconds, samples in the order in which they were taken."""

    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    load_ns: int | None  # opening the artifact until it can run; None: not told
    first_ns: int | None  # the first inference, not among the samples
    wall_ns: int  # of the measured loop, for throughput
    inferences_per_sample: int = 1  # more where one is too short for the clock; a sample is their mean
    settled: bool | None = None  # whether warm-up ended because times no longer changed; None: not looked at
    harness_ns: float | None = None  # what our own loop adds to an inference
    sensed: Sensed | None = None
    hot: bool | None = None  # it began before the device was back at its first temperature; None: no sensor
    block: int | None = None  # of an interleaved comparison, with the place within it
    position: int | None = None
    turns: tuple[int, ...] | None = None  # samples in each turn, where the files of a block took turns in one process
    began_s: float | None = None  # of a window under sustained load: seconds after the first one began


class Memory(Record):
    """Peak memory of a process of its own that loads and runs the artifact; `baseline` runs the runtime without it."""

    peak_bytes: int | None
    baseline_bytes: int | None
    method: str  # e.g. "VmHWM of a separate process"
    reason: str | None = None  # why there is no number
    baseline_reason: str | None = None  # why there is none of the runtime alone
    pss_bytes: int | None = None  # at the end: shared pages counted in part
    ideal_bytes: int | None = None  # weights and the activations that must live at once; None: unknown
    arena_bytes: int | None = None  # what the runtime says that it keeps for the file's tensors
    arena_method: str | None = None
    arena_reason: str | None = None  # why there is none
    gpu_bytes: int | None = None  # on a GPU with memory of its own, as its driver counts this process
    gpu_method: str | None = None
    unified_bytes: int | None = None  # where the GPU shares it: what the whole machine had less of
    unified_method: str | None = None


class Measurement(Record):
    """One artifact on one device with one runtime, as found (not as asked)."""

    version: int = RECORD_VERSION
    id: str
    created: str  # ISO 8601, UTC
    artifact: str  # the file's name
    sha256: str
    bytes: int
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


class Accuracy(Record):
    """Top-1 and top-5 of the file that ships, on `n` named images."""

    version: int = RECORD_VERSION
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
    n: int
    correct1: int
    correct5: int | None  # None of a file that answers with one index
    hits: str  # one character an image, in the dataset's order: 1, 5 or -, for paired comparisons
    images_per_second: float
    found: dict[str, Any] = {}  # what really ran it, as in a measurement; empty in older records
    breakdown: Breakdown | None = None  # where it is lost; None in older records
    unreadable: int = 0  # images that were left out because they cannot be read; `n` does not count them
