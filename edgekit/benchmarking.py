"""The verb `bench`: measure the latency and memory of files, each in fresh processes, and keep every sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit import stats
from edgekit.artifact import Artifact, file_sha256, open_artifact
from edgekit.bench import local
from edgekit.device import load, require_local
from edgekit.errors import EdgekitError, UsageError, nearest, worst_exit_code
from edgekit.measurement import PRESETS, Measurement, Memory, ProcessRun, Protocol
from edgekit.runtime import Runtime, choose
from edgekit.store import new_id, now, open_store

MEMORY_METHOD = "VmHWM of a separate process: highest resident size, loading included"
LOAD_SECONDS = 300.0  # how long opening a file and one inference may take, beside what the protocol allows

# (what is going on, steps done, steps in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cell:
    """One file to be measured in one way."""

    artifact: Artifact
    runtime: Runtime
    protocol: Protocol
    device: str
    provider: str | None
    delegate: str | None

    @property
    def steps(self) -> int:
        """How many processes will be started."""
        return self.protocol.processes + 1

    def job(self, mode: str) -> dict[str, Any]:
        """What the runner is asked for."""
        fields = self.protocol.model_dump(exclude={"preset", "processes"})
        names = {"runtime": self.runtime.name, "artifact": str(self.artifact.path.resolve())}
        return {"mode": mode, **names, "provider": self.provider, "delegate": self.delegate, **fields}


@dataclass(frozen=True)
class Failure:
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
    *("min_ms", "mad_ms", "first_ms", "load_ms", "throughput_per_s", "n", "processes", "peak_memory_bytes"),
    *("baseline_memory_bytes", "memory_method", "verdict", "reasons", "error", "id", "found"),
)


def row(measurement: Measurement, artifact: str | None = None) -> dict[str, Any]:
    """A measurement under the documented keys; what cannot be known is null, and `reasons` says why."""
    time = stats.latency(measurement.runs, measurement.protocol.batch)
    memory = measurement.memory
    reasons = [*measurement.reasons, *(time.reasons if time else ["no sample was taken"])]
    if memory.peak_bytes is None:
        reasons.append(f"no peak memory: {memory.reason}")
    known = {name: getattr(time, name) for name in KEYS if hasattr(time, name)}
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
        "peak_memory_bytes": memory.peak_bytes,
        "baseline_memory_bytes": memory.baseline_bytes,
        "memory_method": memory.method,
        "verdict": measurement.verdict,
        "reasons": reasons,
        "id": measurement.id,
        "found": measurement.found,
    }


@dataclass(frozen=True)
class BenchResult:
    """What was measured and what was not, in the order that was asked for; paths as they were given."""

    cells: tuple[tuple[str, Measurement] | Failure, ...]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured."""
        return tuple(cell[1] for cell in self.cells if not isinstance(cell, Failure))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What was not."""
        return tuple(cell for cell in self.cells if isinstance(cell, Failure))

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        return worst_exit_code(failure.error.exit_code for failure in self.failures)

    def to_json(self) -> dict[str, Any]:
        """What `edgekit bench --json` prints."""
        rows = [cell.to_json() if isinstance(cell, Failure) else row(cell[1], cell[0]) for cell in self.cells]
        return {"measurements": rows}


def bench(
    artifacts: str | Path | Sequence[str | Path],
    device: str = "local",
    runtime: str | None = None,
    provider: str | None = None,
    delegate: str | None = None,
    threads: int = 1,
    batch: int | Sequence[int] = 1,
    preset: str = "default",
    store: str | None = None,
    devices: Path | None = None,
    progress: Progress | None = None,
) -> BenchResult:
    """Measure each file at each batch size and append the measurements to the store.

    What cannot work is found before the first process starts; a cell that fails is a row with its reason and the others
    go on. A single cell that fails raises its error. Raises UsageError for arguments that fit no cell.
    """
    paths = [artifacts] if isinstance(artifacts, (str, Path)) else list(artifacts)
    batches = [batch] if isinstance(batch, int) else list(batch)
    protocols = [_protocol(preset, threads, size) for size in batches]
    if not paths or not protocols:
        raise UsageError("there is nothing to measure", "give at least one file and one batch size")
    found = load(devices)[device]
    require_local(device, found)
    options = {"device": device, "provider": provider, "delegate": delegate}
    plan = [_plan(Path(path), runtime, found.runtimes, protocol, options) for path in paths for protocol in protocols]
    database = open_store(store)
    if any(isinstance(cell, Cell) for cell in plan):
        database.check()
    done = _Measuring(plan, progress).run(database.append)
    if len(done) == 1 and isinstance(done[0], Failure):
        raise done[0].error
    return BenchResult(tuple(done))


def _protocol(preset: str, threads: int, batch: int) -> Protocol:
    if preset not in PRESETS:
        raise UsageError(f"unknown preset '{preset}'{nearest(preset, PRESETS)}", f"choose one of: {', '.join(PRESETS)}")
    for name, value in (("threads", threads), ("batch", batch)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}", f"leave --{name} out for 1")
    return PRESETS[preset].model_copy(update={"threads": threads, "batch": batch})


def _plan(
    path: Path, runtime: str | None, among: Sequence[str], protocol: Protocol, options: Mapping[str, Any]
) -> Cell | Failure:
    try:
        artifact = open_artifact(path)
        return Cell(artifact, choose(path, runtime, among), protocol, **options)
    except EdgekitError as error:
        return Failure(str(path), runtime, options["device"], protocol.threads, protocol.batch, error)


class _Measuring:
    """Goes through the plan once, one process at a time; counts the steps and remembers each runtime's baseline."""

    def __init__(self, plan: Sequence[Cell | Failure], progress: Progress | None) -> None:
        self._plan = plan
        self._progress = progress
        self._total = sum(cell.steps for cell in plan if isinstance(cell, Cell))
        self._done = 0
        self._baselines: dict[str, int | None] = {}

    def run(self, keep: Callable[[Measurement], None]) -> list[tuple[str, Measurement] | Failure]:
        """Measure every cell, giving each measurement to `keep` as soon as it is there."""
        done: list[tuple[str, Measurement] | Failure] = []
        for cell in self._plan:
            if isinstance(cell, Failure):
                done.append(cell)
                continue
            target = self._done + cell.steps
            result = self._cell(cell)
            self._done = target
            if not isinstance(result, Failure):
                keep(result)
                done.append((str(cell.artifact.path), result))
            else:
                done.append(result)
        return done

    def _cell(self, cell: Cell) -> Measurement | Failure:
        try:
            answers = [self._process(cell, index) for index in range(cell.protocol.processes)]
        except EdgekitError as error:
            protocol = cell.protocol
            return Failure(
                str(cell.artifact.path), cell.runtime.name, cell.device, protocol.threads, protocol.batch, error
            )
        return _measurement(cell, answers, self._memory(cell))

    def _process(self, cell: Cell, index: int) -> dict[str, Any]:
        self._say(cell, f"process {index + 1} of {cell.protocol.processes}")
        return local.run(cell.job("latency"), LOAD_SECONDS + 2 * cell.protocol.max_seconds)

    def _memory(self, cell: Cell) -> Memory:
        """The memory pass: a process of its own, because reading it must not disturb the times."""
        self._say(cell, "memory")
        name = cell.runtime.name
        if name not in self._baselines:
            self._baselines[name] = _peak(cell.job("baseline"), cell.protocol)[0]
        peak, reason = _peak(cell.job("memory"), cell.protocol)
        return Memory(peak_bytes=peak, baseline_bytes=self._baselines[name], method=MEMORY_METHOD, reason=reason)

    def _say(self, cell: Cell, what: str) -> None:
        if self._progress:
            label = f"{cell.artifact.path.name} on {cell.runtime.name}, batch {cell.protocol.batch}"
            self._progress(f"{label}: {what}", self._done, self._total)
        self._done += 1


def _peak(job: Mapping[str, Any], protocol: Protocol) -> tuple[int | None, str | None]:
    try:
        peak = local.run(job, LOAD_SECONDS + protocol.max_seconds)["peak_bytes"]
    except EdgekitError as error:
        return None, error.message
    return peak, None if peak is not None else "this system has no VmHWM in /proc/self/status"


def _measurement(cell: Cell, answers: list[dict[str, Any]], memory: Memory) -> Measurement:
    artifact, found = cell.artifact, answers[0]["found"]
    runs = [ProcessRun(**{key: value for key, value in answer.items() if key != "found"}) for answer in answers]
    return Measurement(
        id=new_id(),
        created=now(),
        artifact=artifact.path.name,
        sha256=artifact.manifest.sha256 if artifact.manifest else file_sha256(artifact.path),
        bytes=artifact.path.stat().st_size,
        format=artifact.format,
        manifest=artifact.manifest,
        device=cell.device,
        runtime=cell.runtime.name,
        protocol=cell.protocol,
        runs=tuple(runs),
        memory=memory,
        found=found,
        reasons=tuple(_remarks(found)),
    )


def _remarks(found: Mapping[str, Any]) -> list[str]:
    """What a reader of the number must know about how it was run."""
    remarks = []
    threads, cpus = found.get("threads"), found.get("cpus")
    if threads and cpus and threads > cpus:
        remarks.append(f"{threads} threads on {cpus} processors")
    nodes, delegated = found.get("nodes"), found.get("nodes_delegated")
    if nodes and delegated is not None and found.get("delegate") and delegated < nodes:
        left = ", ".join(sorted(found["undelegated"]))
        remarks.append(f"{found['delegate']} runs {delegated} of {nodes} operators; not {left}")
    return remarks
