"""What is asked of a measurement (`Protocol`), and what came back (`Measurement`, `Accuracy`).

Raw samples are kept in order; medians and percentiles are computed when they are read. Nothing here is a judgement.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from edgekit.artifact import Manifest

RECORD_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Record):
    """How to measure one artifact. Warm-up and measuring each last until both their time and count are reached."""

    preset: str = "default"
    processes: int = 6  # fresh processes, one after the other; the smallest number that gives a 95 % interval
    warmup_seconds: float = 1.0
    warmup_runs: int = 10
    min_seconds: float = 2.0  # measuring, per process
    min_runs: int = 50
    max_seconds: float = 60.0
    threads: int = 1
    batch: int = 1
    seed: int = 0


PRESETS = {
    "quick": Protocol(
        preset="quick", processes=1, warmup_seconds=0.5, warmup_runs=5, min_seconds=1.0, min_runs=64, max_seconds=30.0
    ),
    "default": Protocol(),
    "rigorous": Protocol(
        preset="rigorous",
        processes=10,
        warmup_seconds=3.0,
        warmup_runs=50,
        min_seconds=6.0,
        min_runs=200,
        max_seconds=120.0,
    ),
}


class ProcessRun(_Record):
    """One fresh process: times in nanoseconds, samples in the order in which they were taken."""

    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    load_ns: int  # opening the artifact until it can run
    first_ns: int  # the first inference, not among the samples
    wall_ns: int  # of the measured loop, for throughput
    inferences_per_sample: int = 1  # more where one is too short for the clock; a sample is their mean


class Memory(_Record):
    """Peak memory of a process of its own that loads and runs the artifact; `baseline` runs the runtime without it."""

    peak_bytes: int | None
    baseline_bytes: int | None
    method: str  # e.g. "VmHWM of a separate process"
    reason: str | None = None  # why there is no number


class Measurement(_Record):
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
    verdict: str = "not assessed"
    reasons: tuple[str, ...] = ()


class Accuracy(_Record):
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
    correct5: int
    hits: str  # one character an image, in the dataset's order: 1, 5 or -, for paired comparisons
    images_per_second: float
