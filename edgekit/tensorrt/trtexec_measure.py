"""Measuring engines with trtexec, where Python has no TensorRT: the same answers as bench/ondevice/runner.py gives.

trtexec has a loop of its own, so that a process of it is one run of the protocol. It counts only with exit code 0 and
the verdict PASSED, and its times come from its JSON export. They are the GPU's own: from the first kernel to the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from edgekit.bench.links.base import Link
from edgekit.bench.ondevice.profilers.tensorrt import kind
from edgekit.errors import BackendMissing, UsageError
from edgekit.records.artifact import manifest_of
from edgekit.records.manifest import Manifest
from edgekit.stats.medians import NS_PER_MS
from edgekit.tensorrt import trtexec
from edgekit.tensorrt.capabilities import Capabilities, capabilities
from edgekit.tensorrt.orders import on
from edgekit.tensorrt.trtexec_builder import run_trtexec, trtexec_on
from edgekit.tensorrt.trtexec_exports import Times, parse_profile, parse_times

NAME, TIMES, PROFILE = "trtexec", "times.json", "profile.json"
TIMED = "the GPU's own time of one inference, by trtexec: inputs and outputs in GPU memory, no copies"
PROFILED = "trtexec's profile, on the GPU, layers one after the other, median of {} inferences"
MEMORY_METHOD = "highest resident size of a trtexec process that loads the file and runs it, by getrusage"
MEMORY_RUNS = 5
GET = "put trtexec there on PATH or into /usr/src/tensorrt/bin: it comes with TensorRT"


class Trtexec:
    """trtexec on one device; what does not change is asked for once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._program: tuple[str, Capabilities, str] | None = None
        self._copied: dict[str, float] = {}  # milliseconds with the copies, by file

    def ask(self, job: Mapping[str, Any], timeout_seconds: float, command: str) -> dict[str, Any]:
        """Return what the command would answer to a job. Raises BackendMissing for what trtexec does not do."""
        if command not in ("run", "profile"):
            raise BackendMissing(
                f"{NAME} has a loop of its own, into which nothing else can look", "read it with others"
            )
        for name in ("provider", "delegate"):
            if job[name] is not None:
                raise UsageError(f"{NAME} has no {name}", f"leave --{name} out")
        if command == "profile":
            return self._profile(job, timeout_seconds)
        if job["mode"] == "baseline":
            return {"peak_bytes": None, "reason": f"{NAME} cannot run without a file"}
        if job["mode"] == "memory":
            done, _ = self._run(job, 0.0, 0.0, MEMORY_RUNS, timeout_seconds)
            reason = None if done["peak_bytes"] else "the system does not tell"
            return {"peak_bytes": done["peak_bytes"], "method": MEMORY_METHOD, "reason": reason}
        return self._latency(job, timeout_seconds)

    def _latency(self, job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """One run of the protocol. It cannot tell when times settle, and warms up as long as that may take at most."""
        warm = float(job["warmup_max_seconds"])
        done, times = self._run(job, warm, float(job["min_seconds"]), int(job["min_runs"]), seconds)
        log = trtexec.parse_log(done["log"])
        return {
            "samples_ns": times.compute_ns,
            "warmup_ns": (),
            "load_ns": None if log.load_seconds is None else round(log.load_seconds * 1e9),
            "first_ns": None,
            "wall_ns": round(log.host_walltime_s * 1e9) if log.host_walltime_s else sum(times.compute_ns),
            "sensed": done["sensed"],
            "found": {
                **done["found"],
                **self._found(log, times),
                "warmup_seconds": warm,
                "latency_with_copies_ms": self._with_copies(job, seconds),
            },
        }

    def _profile(self, job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """What bench/ondevice/profiler.py would answer: trtexec times the whole, and each layer in a run apart."""
        warm, loop = float(job["warmup_seconds"]), float(job["min_seconds"])
        done, times = self._run(job, warm, loop, int(job["min_runs"]), seconds, profile=PROFILE)
        runs, layers = parse_profile(done["files"][PROFILE] or "")
        operators = [_operator(layer) for layer in layers]
        return {
            "operators": operators,
            "total_ns": sum(one["ns"] for one in operators),
            "plain_ns": round(median(times.compute_ns)),
            "runs": runs,
            "method": PROFILED.format(runs),
            "waited": None,
        }

    def _found(self, log: trtexec.Log, times: Times) -> dict[str, Any]:
        program, _, version = self._there()
        host = "its time is bound by the host, which hands over kernels too slowly" if log.bound_by_enqueue else None
        restless = f"trtexec calls the GPU's times unstable ({log.coefficient_of_variance} %)" if log.unstable else None
        return {
            "runtime_version": version,
            "threads": 1,
            "provider": NAME,
            "tool": program,
            "gpu": log.gpu,
            "compute_capability": log.compute_capability,
            "cuda_graph": log.cuda_graph,
            "device_ms": median(times.compute_ns) / NS_PER_MS,
            "enqueue_ms": median(times.enqueue_ns) / NS_PER_MS,
            "timed": TIMED,
            "remarks": [remark for remark in (host, restless) if remark],
        }

    def _with_copies(self, job: Mapping[str, Any], seconds: float) -> float | None:
        """The median with the copies to and from the GPU, once for each file, in a run of its own."""
        key = str(job["artifact"])
        if key not in self._copied:
            _, times = self._run(job, 0.5, 1.0, int(job["min_runs"]), seconds, copies=True)
            self._copied[key] = median(times.latency_ns) / NS_PER_MS
        return self._copied[key]

    def _run(
        self,
        job: Mapping[str, Any],
        warm: float,
        loop: float,
        runs: int,
        seconds: float,
        *,
        copies: bool = False,
        profile: str | None = None,
    ) -> tuple[dict[str, Any], Times]:
        program, row, _ = self._there()
        path = Path(job["artifact"])
        manifest = manifest_of(path)
        flags = trtexec.measure_flags(
            row,
            self._link.place(path),
            TIMES,
            warmup_seconds=warm,
            seconds=loop,
            runs=runs,
            shapes=_shapes(manifest, path, int(job["batch"])),
            dla=(manifest.details.get("build_flags") or {}).get("dla") if manifest else None,
            copies=copies,
            profile=profile,
        )
        files = [TIMES, profile] if profile else [TIMES]
        done = run_trtexec(self._link, {"argv": [program, *flags], "files": files}, seconds)
        text = done["files"][TIMES]
        if text is None:
            raise BackendMissing(f"trtexec said PASSED{on(self._link)} and exported no times", "see its log")
        return done, parse_times(text)

    def _there(self) -> tuple[str, Capabilities, str]:
        if self._program is None:
            found = trtexec_on(self._link)
            if found is None:
                raise BackendMissing(f"there is no trtexec{on(self._link)}", GET)
            self._program = found[0], capabilities(found[1]), found[1]
        return self._program


def _operator(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A layer of a profile as bench/ondevice/profiler.py tells it; releases before 8.2 know the mean alone."""
    name, ms = str(layer["name"]), layer["average_ms"] if layer["median_ms"] is None else layer["median_ms"]
    if ms is None:
        raise UsageError(f"trtexec's profile has no time for '{name}'", "measure again")
    return {"name": name, "op": kind(name), "ns": round(ms * NS_PER_MS)}


def _shapes(manifest: Manifest | None, path: Path, batch: int) -> dict[str, tuple[int, ...]] | None:
    """What trtexec is told of inputs whose batch is free; nothing where the file fixes it."""
    if manifest is None:
        if batch != 1:
            raise UsageError(
                f"{path.name} has no manifest that tells its inputs, and --batch is {batch}", "leave it out"
            )
        return None
    free = {one.name: (batch, *one.shape[1:]) for one in manifest.inputs if one.shape[0] == -1}
    own = manifest.inputs[0].shape[0]
    if not free and batch != own:
        raise UsageError(f"the file fixes its batch at {own}, and {batch} was asked", f"give --batch {own}")
    return free or None
