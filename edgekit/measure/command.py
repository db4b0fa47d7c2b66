"""The verb `bench`: measure the latency and memory of files, each in fresh processes, and keep every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.device.registry import load, open_target
from edgekit.device.target import Target
from edgekit.errors import EdgekitError, EnvironmentRefused, MeasurementInvalid, UsageError, nearest, worst_exit_code
from edgekit.measure import profile as profiling
from edgekit.measure.pair import Versus
from edgekit.measure.session import BenchTask, MeasuringSession, Progress
from edgekit.measure.verdict import INVALID
from edgekit.records.manifest import open_artifact
from edgekit.records.measurement import PRESETS, VERSUS, Measurement, Protocol
from edgekit.records.runtime import choose
from edgekit.stats import latency, ratio
from edgekit.stats.stability import stability
from edgekit.storage.keeping import Keeper, told


@dataclass(frozen=True)
class BenchFailure:
    """A cell that has no measurement, and why."""

    artifact: str
    runtime: str | None
    device: str
    threads: int
    batch: int
    error: EdgekitError

    def to_json(self) -> dict[str, Any]:
        """A row of the same keys, its numbers null."""
        names = ("artifact", "runtime", "device", "threads", "batch")
        error = {"code": self.error.code, "message": self.error.message, "remedy": self.error.remedy}
        values = {name: getattr(self, name) for name in names}
        return {
            **dict.fromkeys(KEYS),
            **values,
            "verdict": "not assessed",
            "reasons": [self.error.message],
            "error": error,
        }


KEYS = (
    *("artifact", "foreign", "device", "runtime", "threads", "batch", "median_ms", "ci95_ms", "p90_ms", "p99_ms"),
    *("min_ms", "mad_ms", "first_ms", "load_ms", "throughput_per_s", "n", "processes", "stability", "harness_us"),
    *("peak_memory_bytes", "pss_memory_bytes", "baseline_memory_bytes", "ideal_memory_bytes"),
    *("arena_memory_bytes", "gpu_memory_bytes", "unified_memory_bytes", "memory_method"),
    *("verdict", "reasons", "error", "id", "session", "found", "profile"),
)


def row(measurement: Measurement, artifact: str | None = None) -> dict[str, Any]:
    """A measurement under the documented keys; what cannot be known is null, and `reasons` says why."""
    time = latency.latency(measurement.runs, measurement.protocol.batch)
    memory = measurement.memory
    reasons = [*measurement.reasons, *(time.reasons if time else ["no sample was taken"])]
    if memory.peak_bytes is None:
        reasons.append(f"no peak memory: {memory.reason}")
    alone = memory.baseline_reason or "not recorded why"
    if memory.baseline_bytes is None and alone != memory.reason:
        reasons.append(f"no memory of the runtime alone: {alone}")
    known = {name: getattr(time, name) for name in KEYS if hasattr(time, name)}
    still = stability(measurement.runs)
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
        "harness_us": round(latency.median(harness) / 1000, 4) if harness else None,
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
    }


@dataclass(frozen=True)
class BenchResult:
    """What was measured and what was not, in the order that was asked for; paths as they were given."""

    cells: tuple[tuple[str, Measurement] | BenchFailure, ...]
    versus: tuple[Versus, ...] = ()
    unstored: EnvironmentRefused | None = None  # why the store does not hold them, and what does

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured."""
        return tuple(cell[1] for cell in self.cells if not isinstance(cell, BenchFailure))

    @property
    def failures(self) -> tuple[BenchFailure, ...]:
        """What was not."""
        return tuple(cell for cell in self.cells if isinstance(cell, BenchFailure))

    @property
    def exit_code(self) -> int:
        """The command's exit code; 6 where a measurement is invalid."""
        invalid = any(measurement.verdict == INVALID for measurement in self.measurements)
        own = [MeasurementInvalid.exit_code] * invalid + [EnvironmentRefused.exit_code] * (self.unstored is not None)
        return worst_exit_code([*(failure.error.exit_code for failure in self.failures), *own])

    def to_json(self) -> dict[str, Any]:
        """What `edgekit bench --json` prints."""
        rows = [cell.to_json() if isinstance(cell, BenchFailure) else row(cell[1], cell[0]) for cell in self.cells]
        found = {"measurements": rows, "unstored": told(self.unstored)}
        if not self.versus:
            return found
        return {**found, "versus": [pair.to_json() for pair in self.versus], "noise": ratio.NOISE}


def bench(
    artifacts: str | Path | Sequence[str | Path],
    device: str = "local",
    runtime: str | None = None,
    provider: str | None = None,
    delegate: str | None = None,
    threads: int = 1,
    batch: int | Sequence[int] = 1,
    preset: str = "default",
    versus: bool = False,
    profile: bool = False,
    power_mode: str | None = None,
    store: str | Keeper | None = None,
    devices: Path | None = None,
    progress: Progress | None = None,
    session: str | None = None,
    input: Mapping[str, Sequence[int]] | None = None,
) -> BenchResult:
    """Measure each file at each batch size and append the measurements to the store.

    What cannot work is found before the first process starts; a cell that fails is a row with its reason and the others
    go on. A single cell that fails raises its error. Raises UsageError for arguments that fit no cell.

    On a device of devices.yaml that is a Jetson, `power_mode` is set for as long as this lasts.

    With `profile` a pass more, of its own, tells how long each layer takes (docs/measuring.md, *Layers*).

    Measurements that the store refuses in the end are kept in a file beside it, which `unstored` of the result names.

    `input` gives the shapes of inputs whose sizes the file leaves free, by name ("": of its only input); their first
    number is the batch.

    `session` is what the records name as their command, where this is a part of a larger one (store.new_id).

    With `versus` the files are measured interleaved, in random blocks, and each is compared with the first; then a cell
    that fails fails the whole.
    """
    paths = [artifacts] if isinstance(artifacts, (str, Path)) else list(artifacts)
    batches = [batch] if isinstance(batch, int) else list(batch)
    shapes = {name: tuple(sizes) for name, sizes in (input or {}).items()}
    if shapes:
        batches = [_batch_of(shapes, batches)]
    protocols = [
        _protocol(preset, threads, size, versus).model_copy(update={"input_shapes": shapes}) for size in batches
    ]
    if versus and (len(paths) < 2 or len(protocols) != 1):
        raise UsageError("--versus compares two files or more, at one batch size", "give a second file")
    if not paths or not protocols:
        raise UsageError("there is nothing to measure", "give at least one file and one batch size")
    options = {"device": device, "provider": provider, "delegate": delegate, "profile": profile}
    with open_target(device, load(devices)[device], power_mode) as target:
        fitted = protocols if versus else [target.fitted(preset, protocol) for protocol in protocols]
        plan = [_plan(Path(path), runtime, target, protocol, options) for path in paths for protocol in fitted]
        keeper = store if isinstance(store, Keeper) else Keeper(store)
        if any(isinstance(cell, BenchTask) for cell in plan):
            keeper.check()
        steps = sum(cell.steps for cell in plan if isinstance(cell, BenchTask))
        measuring = MeasuringSession(steps, progress, target, session)
        if versus:
            return replace(_interleaved(measuring, plan, keeper), unstored=keeper.refusal)
        done = [_measured(measuring, cell, keeper) for cell in plan]
    if len(done) == 1 and isinstance(done[0], BenchFailure):
        raise done[0].error
    return BenchResult(tuple(done), unstored=keeper.refusal)


def _protocol(preset: str, threads: int, batch: int, versus: bool) -> Protocol:
    if preset not in PRESETS:
        raise UsageError(f"unknown preset '{preset}'{nearest(preset, PRESETS)}", f"choose one of: {', '.join(PRESETS)}")
    for name, value in (("threads", threads), ("batch", batch)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}", f"leave --{name} out for 1")
    protocol = PRESETS[preset].model_copy(update={"threads": threads, "batch": batch})
    return protocol.model_copy(update=VERSUS.get(preset, {"processes": latency.MIN_PROCESSES})) if versus else protocol


def _batch_of(shapes: Mapping[str, Sequence[int]], batches: Sequence[int]) -> int:
    """The batch that the shapes of inputs have. Raises UsageError where another one was asked for."""
    firsts = {sizes[0] if sizes else 0 for sizes in shapes.values()}
    if len(firsts) > 1 or not all(sizes and min(sizes) > 0 for sizes in shapes.values()):
        raise UsageError("--input takes sizes from 1 on, and inputs of one batch", "write, say, --input 1,3,224,224")
    if list(batches) not in ([1], list(firsts)):
        raise UsageError(f"--input has batch {firsts.pop()}, and --batch another", "leave --batch out")
    return firsts.pop()


def _plan(
    path: Path, runtime: str | None, target: Target, protocol: Protocol, options: Mapping[str, Any]
) -> BenchTask | BenchFailure:
    try:
        artifact, chosen = open_artifact(path), choose(path, runtime, target.runtimes, target.is_local)
        runtime = chosen.name
        if protocol.input_shapes and chosen.name != "onnxruntime":
            raise UsageError(f"{chosen.name} takes the sizes that {path.name} has", "leave --input out")
        if options["profile"]:
            profiling.refuse(runtime)
        target.refuse(artifact, runtime, protocol.batch)
        return BenchTask(artifact, chosen, protocol, **options)
    except EdgekitError as error:
        return BenchFailure(str(path), runtime, options["device"], protocol.threads, protocol.batch, error)


def _measured(
    session: MeasuringSession, cell: BenchTask | BenchFailure, keeper: Keeper
) -> tuple[str, Measurement] | BenchFailure:
    """Measure a cell and keep the measurement as soon as it is there."""
    if isinstance(cell, BenchFailure):
        return cell
    after = session.done + cell.steps
    try:
        found = session.measure(cell)
    except EdgekitError as error:
        session.done = after
        asked = cell.protocol
        return BenchFailure(str(cell.artifact.path), cell.runtime.name, cell.device, asked.threads, asked.batch, error)
    session.done = after
    keeper.append(found)
    return str(cell.artifact.path), found


def _interleaved(session: MeasuringSession, plan: Sequence[BenchTask | BenchFailure], keeper: Keeper) -> BenchResult:
    """Every cell against the first; all of them are needed, and kept together."""
    cells = []
    for cell in plan:
        if isinstance(cell, BenchFailure):
            raise cell.error
        cells.append(cell)
    found = session.interleave(cells)
    keeper.append(*found)
    named = [(str(cell.artifact.path), one) for cell, one in zip(cells, found, strict=True)]
    return BenchResult(tuple(named), tuple(Versus(named[0], other) for other in named[1:]))
