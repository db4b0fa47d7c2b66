"""The verb `bench`: measure the latency and memory of files, each in fresh processes, and keep every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.device.registry import load, open_target
from edgekit.device.target import Target
from edgekit.errors import EdgekitError, Failure, UsageError, nearest
from edgekit.measure import profile as profiling
from edgekit.measure import sustain
from edgekit.measure.pair import Versus
from edgekit.measure.result import BenchResult
from edgekit.measure.session import BenchTask, MeasuringSession, Progress
from edgekit.records.artifact import open_artifact
from edgekit.records.measurement import PRESETS, VERSUS, Measurement, Protocol
from edgekit.records.runtime import choose
from edgekit.stats.medians import MIN_PROCESSES
from edgekit.storage.keeping import Keeper
from edgekit.util.formatting import counted
from edgekit.util.quantity import count

Outcome = tuple[str, Measurement] | Failure  # the path as it was given


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
    sustained: str | float | None = None,
    power_mode: str | None = None,
    store: str | Keeper | None = None,
    devices: Path | None = None,
    progress: Progress | None = None,
    session: str | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
) -> BenchResult:
    """Measure each file at each batch size and append the measurements to the store.

    What cannot work is found before the first process starts; what fails is a row with its reason and the others go
    on. One file at one batch size raises its error. Raises UsageError for arguments that fit no file.

    On a device of devices.yaml that is a Jetson, `power_mode` is set for as long as this lasts.

    With `profile` a pass more, of its own, tells how long each layer takes (docs/measuring.md, *Layers*).

    Measurements that the store refuses in the end are kept in a file beside it, which `unstored` of the result names.

    `input` gives the shape of the only input where the file leaves sizes free, or the shapes of several by name; their
    first number is the batch.

    `session` is what the records name as their command, where this is a part of a larger one (records.record.new_id).

    With `versus` the files are measured interleaved, in random blocks, and each is compared with the first; then one
    that fails ends the whole.

    With `sustained` ("10m", "90s", or seconds) the files run in turn for that time without a pause, and the first
    minute is held against the last (docs/measuring.md, *Sustained load*).
    """
    paths = [artifacts] if isinstance(artifacts, (str, Path)) else list(artifacts)
    batches = batch if isinstance(batch, Sequence) else [batch]
    shapes = input if isinstance(input, Mapping) else {"": input} if input is not None else {}
    protocols = _protocols(preset, threads, batches, versus, shapes)
    _check_counts(len(paths), len(protocols), versus)
    if sustained is not None:
        protocols = _lasting(protocols, sustained, versus, len(paths))
    options = {"device": device, "provider": provider, "delegate": delegate, "profile": profile}
    with open_target(device, load(devices)[device], power_mode) as target:
        is_own = versus or sustained is not None  # its number of processes is
        fitted = protocols if is_own else [target.fitted(preset, protocol) for protocol in protocols]
        plan = [_plan(Path(path), runtime, target, protocol, options) for path in paths for protocol in fitted]
        keeper = store if isinstance(store, Keeper) else Keeper(store)
        tasks = [task for task in plan if isinstance(task, BenchTask)]
        if tasks:
            keeper.check()
        total = protocols[0].sustained_seconds or sum(task.steps for task in tasks)
        measuring = MeasuringSession(total, progress, target, session)
        if versus:
            return replace(_interleaved(measuring, plan, keeper), unstored=keeper.refusal)
        if sustained is not None:
            outcomes = _sustained(measuring, plan, keeper)
        else:
            outcomes = tuple(_measured(measuring, task, keeper) for task in plan)
    if len(outcomes) == 1 and isinstance(outcomes[0], Failure):
        raise outcomes[0].error
    return BenchResult(outcomes, unstored=keeper.refusal)


def _check_counts(files: int, batches: int, versus: bool) -> None:
    """Raise UsageError where there is nothing to measure, or nothing to compare."""
    if versus and (files < 2 or batches != 1):
        raise UsageError("--versus compares two files or more, at one batch size", "give a second file")
    if not files or not batches:
        raise UsageError("there is nothing to measure", "give at least one file and one batch size")


def _protocols(
    preset: str, threads: int, batches: Sequence[int], versus: bool, input: Mapping[str, Sequence[int]]
) -> list[Protocol]:
    """A protocol for each batch size."""
    shapes = {name: tuple(sizes) for name, sizes in input.items()}
    if shapes:
        batches = [_batch_of(shapes, batches)]
    return [_protocol(preset, threads, size, versus).model_copy(update={"input_shapes": shapes}) for size in batches]


def _protocol(preset: str, threads: int, batch: int, versus: bool) -> Protocol:
    if preset not in PRESETS:
        raise UsageError(f"unknown preset '{preset}'{nearest(preset, PRESETS)}", f"choose one of: {', '.join(PRESETS)}")
    counts = {"threads": count(threads, "--threads", "1"), "batch": count(batch, "--batch", "1")}
    protocol = PRESETS[preset].model_copy(update=counts)
    return protocol.model_copy(update=VERSUS.get(preset, {"processes": MIN_PROCESSES})) if versus else protocol


def _lasting(protocols: Sequence[Protocol], wanted: str | float, versus: bool, files: int) -> list[Protocol]:
    """The protocol of sustained load instead. Raises UsageError for what it cannot be joined with."""
    (asked, *more), seconds = protocols, sustain.duration(wanted)
    if versus or more:
        wrong = "--versus" if versus else "several batch sizes"
        raise UsageError(f"--sustained cannot be joined with {wrong}", "give one of the two")
    if asked.preset != "default":
        raise UsageError("--sustained says itself how long to measure", "leave --preset out")
    found = sustain.protocol(seconds, files, asked.threads, asked.batch)
    return [found.model_copy(update={"input_shapes": asked.input_shapes})]


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
) -> BenchTask | Failure:
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
        return _failure(path, runtime, options["device"], protocol, error)


def _failure(path: Path, runtime: str | None, device: str, protocol: Protocol, error: EdgekitError) -> Failure:
    names = {"artifact": str(path), "runtime": runtime, "device": device}
    return Failure({**names, "threads": protocol.threads, "batch": protocol.batch}, error)


def _sustained(session: MeasuringSession, plan: Sequence[BenchTask | Failure], keeper: Keeper) -> tuple[Outcome, ...]:
    """All in turn under sustained load, and kept together."""
    tasks = [task for task in plan if isinstance(task, BenchTask)]

    def keep(one: Measurement) -> str:
        keeper.append(one)
        what = f"{counted(len(one.runs), 'window')} of {one.artifact}"
        return f"{what}: {keeper.refusal.message}" if keeper.refusal else f"{what} kept as {one.id}"

    found = iter(sustain.sustain(session, tasks, keep) if tasks else ())
    outcomes = tuple(task if isinstance(task, Failure) else _outcome(task, next(found)) for task in plan)
    keeper.append(*(one[1] for one in outcomes if not isinstance(one, Failure)))
    return outcomes


def _outcome(task: BenchTask, found: Measurement | EdgekitError) -> Outcome:
    if isinstance(found, EdgekitError):
        return _failure(task.artifact.path, task.runtime.name, task.device, task.protocol, found)
    return str(task.artifact.path), found


def _measured(session: MeasuringSession, task: BenchTask | Failure, keeper: Keeper) -> Outcome:
    """Measure what a task asks for, and keep the measurement as soon as it is there."""
    if isinstance(task, Failure):
        return task
    after = session.done + task.steps
    found: Measurement | EdgekitError
    try:
        found = session.measure(task)
        keeper.append(found)
    except EdgekitError as error:
        found = error
    session.done = after
    return _outcome(task, found)


def _interleaved(session: MeasuringSession, plan: Sequence[BenchTask | Failure], keeper: Keeper) -> BenchResult:
    """Every file against the first; all of them are needed, and kept together."""
    tasks = []
    for task in plan:
        if isinstance(task, Failure):
            raise task.error
        tasks.append(task)
    found = session.interleave(tasks)
    keeper.append(*found)
    named = [(str(task.artifact.path), one) for task, one in zip(tasks, found, strict=True)]
    return BenchResult(tuple(named), tuple(Versus(named[0], other) for other in named[1:]))
