"""Measures one artifact with one runtime in this process, and answers what it found.

`Job` says what a job holds; protocol.py, how it is asked and answers. What a pass does not need it does not import:
imports would stand in its memory.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import engines, loop
from .protocol import answer_job, guarded

MEMORY_RUNS = 5
THREADS_EACH = 4  # for each processor: beyond it they do little but wait for each other


@dataclass(frozen=True)
class Job:
    """What to do. Warm-up and measuring each last until both their time and count are reached, or `max_seconds`.

    Warm-up goes on until it no longer changes (`settled`), or for `warmup_max_seconds`.
    """

    mode: str  # latency, memory (peak with the artifact) or baseline (peak with the runtime alone)
    runtime: str
    artifact: str = ""
    threads: int = 1
    batch: int = 1
    provider: str | None = None
    delegate: str | None = None
    unoptimized: bool = False  # each operator as the file has it, to be what others are held against
    unified: bool = False  # the GPU shares the machine's memory: a memory pass watches what is left of it
    seed: int = 0
    input_shapes: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # by name; "": of the only input
    warmup_seconds: float = 0.5
    warmup_runs: int = 5
    warmup_max_seconds: float = 5.0
    min_seconds: float = 1.0
    min_runs: int = 64
    max_seconds: float = 30.0
    max_samples: int | None = None  # in `min_seconds`: more inferences make one sample then


def parse(text: str) -> Job:
    """Return the job in a line of JSON. Raises ValueError for what is no job."""
    raw = json.loads(text)
    if not isinstance(raw, dict):
        raise ValueError("a job is a JSON object")
    names = {item.name for item in dataclasses.fields(Job)}
    for name in raw:
        if name not in names:
            raise ValueError(f"a job has no '{name}'")
    if raw.get("mode") not in ("latency", "memory", "baseline"):
        raise ValueError("mode must be latency, memory or baseline")
    if not str(raw.get("runtime", "")).isidentifier():
        raise ValueError("a job needs the name of a runtime")
    return Job(**raw)


def part(kind: str, name: str) -> Any:
    """Return the module of a runtime or a profiler. Raises ImportError if there is none, or not what it needs."""
    try:
        return importlib.import_module(f".{kind}.{name}", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.{kind}.{name}":
            raise
        raise ImportError("there is no {}".format(Path(__file__).with_name(kind) / (name + ".py"))) from None


def make_inputs(tensors: Any, seed: int) -> list[Any]:
    """Return an array per input, the same for the same seed: normal floats, integers over all of small types' range."""
    import numpy as np

    random, arrays = np.random.default_rng(seed), []
    for tensor in tensors:
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "f":
            array = random.standard_normal(tensor.shape, dtype=np.float32).astype(dtype)
        elif dtype.itemsize == 1 and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            array = random.integers(limits.min, limits.max, tensor.shape, dtype=dtype, endpoint=True)
        else:
            array = random.integers(0, 2, tensor.shape).astype(dtype)
        arrays.append(np.ascontiguousarray(array))
    return arrays


@dataclass(frozen=True)
class Ready:
    """An artifact that is loaded and warm; `facts` are what that took."""

    job: Job
    session: Any
    step: Callable[[], object]
    repeat: int  # inferences that make one sample
    facts: dict[str, Any]


def ready(job: Job) -> Ready:
    """Load the artifact, and run it until its times settle."""
    module = loaded(job.runtime)
    _read_once(job.artifact)
    start = time.perf_counter_ns()
    session = module.open_session(job.artifact, options(job))
    load_ns = time.perf_counter_ns() - start
    step = session.prepare(make_inputs(session.inputs, job.seed))
    cost = loop.clock_cost()
    gc.collect()
    gc.disable()  # until nothing is timed any more
    (first,), _ = loop.take(step, 0, 1, 0)
    warmup, is_settled = loop.warm_up(step, job)
    repeat = loop.repeats(cost, warmup[-max(job.warmup_runs, loop.LAST) :], job.min_seconds, job.max_samples)
    facts = {"warmup_ns": warmup, "load_ns": load_ns, "first_ns": first, "settled": is_settled}
    return Ready(job, session, step, repeat, {**facts, "inferences_per_sample": repeat, "clock_ns": cost})


def latency(job: Job) -> dict[str, Any]:
    """Load time, first inference, warm-up and samples."""

    def sampled(warm: list[Ready]) -> list[dict[str, Any]]:
        samples, wall_ns = loop.take(warm[0].step, job.min_seconds, job.min_runs, job.max_seconds, warm[0].repeat)
        return [{"samples_ns": samples, "wall_ns": wall_ns}]

    return measured([job], sampled)[0]


def measured(jobs: list[Job], sample: Callable[[list[Ready]], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what `sample` finds for each artifact, all of them ready, with what the machine did around it."""
    from .sensors import linux, powercap, tegra

    on_gpu = any(wants_gpu(job.runtime, job.provider) for job in jobs)
    nvidia = _nvidia_smi() if on_gpu else None
    others, idle = (nvidia.foreign_processes(), nvidia.state()) if nvidia else (None, None)  # before it computes there
    warm = [ready(job) for job in jobs]
    sentinel = linux.sentinel()
    for one in warm:
        loop.take(one.step, 0, 2, 0)  # what the sentinel pushed out of the caches comes back
    before = powercap.added(tegra.added(linux.snapshot(), on_gpu))
    found = sample(warm)
    after = powercap.added(tegra.added(linux.snapshot(), on_gpu))
    sensed = {
        "before": before,
        "after": after,
        "gpus": [idle, nvidia.state() if nvidia else None],
        "gpu_others": None if others is None else len(others),
        "sentinel_ns": [sentinel, linux.sentinel()],
    }
    gc.enable()
    busy = (after["own_cpu_ns"] - before["own_cpu_ns"]) / (after["time_ns"] - before["time_ns"])
    about = {**environment(), **linux.settings(), "no_energy": powercap.reason(), "busy_cores": round(busy, 3)}
    return [_answer(one, row, sensed, about) for one, row in zip(warm, found)]  # noqa: B905 - Python 3.8


def _answer(one: Ready, row: dict[str, Any], sensed: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    facts = dict(one.facts)
    found = {**one.session.found, **about, "clock_ns": facts.pop("clock_ns")}
    return {**facts, **row, "harness_ns": loop.harness_cost(one.repeat), "sensed": sensed, "found": found}


def wants_gpu(runtime: str, provider: str | None) -> bool:
    """Return whether a job is to run on a GPU, as far as it says."""
    return runtime in engines.TITLES or (provider or "cpu").lower().replace("executionprovider", "") != "cpu"


def loaded(runtime: str) -> Any:
    """Return the runtime's module, its libraries and numpy imported: neither load time nor the artifact's memory."""
    import numpy  # noqa: F401

    module = part("runtimes", runtime)
    module.preload()
    return module


def _nvidia_smi() -> Any:
    from .sensors import nvidia_smi

    return nvidia_smi


def memory(job: Job) -> dict[str, Any]:
    """Peak memory of this process, after a few inferences or with the runtime alone; also on the GPU it uses."""
    from . import footprint

    left = footprint.LowWater() if job.unified else None
    module = loaded(job.runtime)
    if job.mode == "memory":
        session = module.open_session(job.artifact, options(job))
        arrays = make_inputs(session.inputs, job.seed)
        loop.take(session.prepare(arrays), 0, MEMORY_RUNS, job.max_seconds)
    found: dict[str, Any] = footprint.own()
    if left is not None:
        found.update({"unified_bytes": left.taken(), "unified_method": footprint.UNIFIED_METHOD})
    if job.mode == "memory" and wants_gpu(job.runtime, job.provider):
        found.update({"gpu_bytes": _nvidia_smi().process_memory(), "gpu_method": footprint.GPU_METHOD})
    if job.mode == "memory" and hasattr(module, "arena"):  # last, because it takes memory itself
        del session
        found.update(module.arena(job.artifact, options(job), arrays))
    return found


def environment() -> dict[str, Any]:
    """Return what this process runs on, as it finds it."""
    import numpy as np

    from .sensors import linux

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "instructions": linux.instructions(),
        "kernel": platform.release(),
        "cpus": _processors(),
        "os_threads": _os_threads(),
    }


def _os_threads() -> int | None:
    """The threads of this process that the runtime started, and its main one; None where the system does not tell."""
    tasks = len(list(Path("/proc/self/task").glob("*")))
    return tasks - (threading.active_count() - 1) if tasks else None


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def options(job: Job) -> dict[str, Any]:
    """Return what a runtime is asked for. Raises ValueError for so many threads that one inference might never end."""
    cpus = _processors()
    if job.threads > THREADS_EACH * cpus:
        raise ValueError(f"{job.threads} threads on {cpus} processors: more than {THREADS_EACH} for each")
    asked = {"threads": job.threads, "batch": job.batch, "provider": job.provider, "delegate": job.delegate}
    asked["unoptimized"] = job.unoptimized
    return {**asked, "shapes": job.input_shapes} if job.input_shapes else asked


def _read_once(path: str) -> None:
    """Bring the file, or those in the folder, into the page cache, so that every load is a warm one."""
    if path:
        Path(path).stat()  # one that is not there is told as that
    found = [Path(path), *Path(path).rglob("*")] if path else []
    for file in (one for one in found if one.is_file()):
        with file.open("rb") as stream:
            while stream.read(1 << 20):
                pass


def measure(text: str) -> dict[str, Any]:
    """Do what a job in a line of JSON asks for, and return what it finds."""
    job = parse(text)
    return latency(job) if job.mode == "latency" else memory(job)


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
