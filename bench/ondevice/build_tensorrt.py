"""Builds a TensorRT engine with TensorRT's Python package, in a process of its own, and says so in one line of JSON.

Asked like the runner, and needs no numpy. What differs between releases is not known here: the job names the flags to
set. `product` is TensorRT or TensorRT for RTX (engines.py).

    {"mode": "probe", "product": ...}                   what is there: its version, the GPU, the Jetson's release
    {"mode": "build", "product": ..., "artifact": ...}  see `Plan`

A stage of the build goes to stderr (`protocol.say`). A build that TensorRT ends by an assertion ends this process and
no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import cuda, engines
from .protocol import answer_job, refusal, say
from .work_folder import make_folder

KEPT_WARNINGS = 20
INNER_SECONDS = 1.0  # between two words about phases within another, which may take milliseconds or minutes
LISTING = "Layers:"  # begins the message that lists the layers of an engine

if TYPE_CHECKING:
    Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to build. Flags are names of the API's enumerations; `shapes` hold (name, least, usual, most)."""

    artifact: str  # the ONNX file
    network_flags: tuple[str, ...] = ()
    builder_flags: tuple[str, ...] = ()
    cleared_flags: tuple[str, ...] = ()
    engine: str = ""  # where to; empty: a folder of the session
    workspace_mib: int | None = None
    timing_cache: str | None = None  # the folder of timing caches; None: none is kept
    dla: int | None = None
    targets: tuple[str, ...] = ()  # members of ComputeCapability to build for; empty: what the builder takes itself
    progress: bool = False
    error_nodes: bool = False
    listed: bool = False  # the builder's most verbose messages list the layers of the engine
    shapes: tuple[Any, ...] = field(default_factory=tuple)


class Refused(Exception):
    """The network cannot be built; `nodes` are those that the parser refused, by index and name."""

    def __init__(self, message: str, nodes: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.nodes = nodes or []


def probe(trt: Any, product: str) -> dict[str, Any]:
    """Return what an engine built here would belong to.

    TensorRT for RTX builds without a GPU: `no_gpu` then says why.
    """
    try:
        driver = cuda.Driver()
    except RuntimeError as error:
        if product != engines.RTX:
            raise
        return {product: trt.__version__, "no_gpu": str(error)}
    gpu = driver.gpu()
    return {
        product: trt.__version__,
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
        "gpu_memory_bytes": gpu.memory_bytes,
        "cuda_driver": driver.version(),
        "jetson_release": cuda.jetson_release(),
    }


def build(trt: Any, plan: Plan, here: dict[str, Any], say: Say) -> dict[str, Any]:
    """Build, write the engine and the timing cache, and say what was made. Raises Refused."""
    log = make_logger(trt)
    builder = trt.Builder(log)
    flags = 0
    for name in plan.network_flags:
        flags |= 1 << int(getattr(trt.NetworkDefinitionCreationFlag, name))
    network = builder.create_network(flags)
    say("parse")
    parse(trt, plan, network, log)
    config = builder.create_builder_config()
    configure(trt, plan, config)
    profile(builder, plan, config)
    cache_path = _cache_path(plan, here)
    used = _load_cache(config, cache_path)
    if plan.progress:
        config.progress_monitor = make_monitor(trt, say)
    say("build")
    started = time.perf_counter()
    serialized = builder.build_serialized_network(network, config)
    seconds = time.perf_counter() - started
    if serialized is None:
        raise Refused("no engine could be built: " + (log.errors[-1] if log.errors else "TensorRT does not say why"))
    path = Path(plan.engine) if plan.engine else make_folder("engine-") / "built.engine"
    path.write_bytes(serialized)
    found = {
        "engine": str(path),
        "build_seconds": seconds,
        "network_layers": network.num_layers,
        "layers": log.layers if plan.listed else None,
        "weights_bytes": log.weights,
        "warnings": log.warnings[-KEPT_WARNINGS:],
        "timing_cache_used": used,
        "timing_cache_sha256": _keep_cache(config, cache_path),
    }
    return {**found, **here}


def parse(trt: Any, plan: Plan, network: Any, log: Any) -> None:
    """Read the ONNX file into the network. Raises Refused with the nodes that TensorRT does not take."""
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(plan.artifact):
        return
    nodes = [_refused_node(parser.get_error(index), plan.error_nodes) for index in range(parser.num_errors)]
    said = "; ".join(dict.fromkeys(node["why"] for node in nodes)) or "; ".join(log.errors) or "no reason is given"
    raise Refused(said, nodes)


def _refused_node(error: Any, names: bool) -> dict[str, Any]:
    found = {"index": error.node(), "code": str(error.code()), "why": " ".join(error.desc().split())}
    return {**found, "name": error.node_name(), "operator": error.node_operator()} if names else found


def configure(trt: Any, plan: Plan, config: Any) -> None:
    """Flags, the limit of the workspace, DLA, and the GPUs to build for."""
    for name in plan.builder_flags:
        config.set_flag(getattr(trt.BuilderFlag, name))
    for name in plan.cleared_flags:
        config.clear_flag(getattr(trt.BuilderFlag, name))
    if plan.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan.workspace_mib << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the engine can be read layer by layer
    if plan.dla is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = plan.dla
    if plan.targets:
        config.num_compute_capabilities = len(plan.targets)
        for index, name in enumerate(plan.targets):
            if not config.set_compute_capability(getattr(trt.ComputeCapability, name), index):
                raise Refused(f"the builder does not take {name} as its target")


def profile(builder: Any, plan: Plan, config: Any) -> None:
    """Set the sizes that a free batch may have."""
    if not plan.shapes:
        return
    wanted = builder.create_optimization_profile()
    for name, least, usual, most in plan.shapes:
        wanted.set_shape(name, tuple(least), tuple(usual), tuple(most))
    if config.add_optimization_profile(wanted) < 0:
        raise Refused("TensorRT does not take the sizes of the batch")


def make_logger(trt: Any) -> Any:
    """Return a logger that keeps TensorRT's warnings and errors, and what it tells of the engine.

    Warnings and errors go to stderr, too.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.warnings: list[str] = []
            self.errors: list[str] = []
            self.layers: str | None = None
            self.weights: int | None = None

        def log(self, severity: Any, msg: str) -> None:
            line = " ".join(msg.split())
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(line)
            elif severity == trt.ILogger.Severity.WARNING:
                self.warnings.append(line)
            else:
                self.weights = told_weights(msg) or self.weights
                self.layers = msg if msg.startswith(LISTING) else self.layers
                return
            print(line, file=sys.stderr, flush=True)

    return Log()


def told_weights(message: str) -> int | None:
    """Return how many bytes of an engine are weights, from the message that tells it; None from another."""
    found = re.match("Total Weights Memory: ([0-9]+) bytes", message)
    return int(found.group(1)) if found else None


def make_monitor(trt: Any, say: Say) -> Any:
    """Return what tells how far a build is; never stops it."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.within: dict[str, str | None] = {}
            self.told = 0.0

        def tell(self, phase: str, line: str) -> None:
            now = time.monotonic()
            if self.within.get(phase) is None or now - self.told >= INNER_SECONDS:
                self.told = now
                say(line)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name], self.within[phase_name] = num_steps, parent_phase
            self.tell(phase_name, phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self.steps.get(phase_name, 0)
            if steps and (10 * (step + 1)) // steps != (10 * step) // steps:  # there can be thousands
                self.tell(phase_name, f"{phase_name} {step + 1}/{steps}")
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def _cache_path(plan: Plan, here: dict[str, Any]) -> Path | None:
    """One cache for each release and GPU: TensorRT takes no other's."""
    if plan.timing_cache is None:
        return None
    words = [here[engines.TENSORRT], here["gpu"], here["compute_capability"]]
    name = "-".join("".join(c if c.isalnum() or c == "." else "_" for c in str(word)) for word in words)
    return Path(plan.timing_cache).expanduser() / (name + ".timing")


def _load_cache(config: Any, path: Path | None) -> bool:
    """Give the builder what earlier builds measured; whether there was something that it takes."""
    if path is None:
        return False
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    for content in (data, b"") if data else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):  # of another release or GPU: begin anew
            return bool(content)
    return False


def _keep_cache(config: Any, path: Path | None) -> str | None:
    """Keep what this build measured for later ones; its sha256, None where it is not kept: the engine is whole so."""
    cache = config.get_timing_cache() if path is not None else None
    if path is None or cache is None:
        return None
    data = bytes(cache.serialize())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(path.parent)) as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(data)
            draft.replace(path)
    except OSError as error:
        print(f"the timing cache is not kept: {error}", file=sys.stderr, flush=True)
        return None
    return hashlib.sha256(data).hexdigest()


def answer(text: str, say: Say) -> dict[str, Any]:
    """Return what goes back for a job."""
    try:
        return {"ok": _made(text, say)}
    except Refused as error:
        found = refusal(error)
        found["error"]["nodes"] = error.nodes
        return found
    except Exception as error:  # TensorRT raises what it likes
        return refusal(error)


def _made(text: str, say: Say) -> dict[str, Any]:
    raw = json.loads(text)
    mode = raw.pop("mode", None)
    if mode not in ("probe", "build"):
        raise ValueError("mode must be probe or build")
    names = {item.name for item in dataclasses.fields(Plan)}
    plan = None if mode == "probe" else Plan(**{key: value for key, value in raw.items() if key in names})
    product = raw.get("product", engines.TENSORRT)
    trt = engines.load(product)
    here = probe(trt, product)
    return here if plan is None else build(trt, plan, here, say)


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: answer(text, say))
