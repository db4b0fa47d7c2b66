"""Building a TensorRT engine where its GPU is: here, or on a device over its link.

With TensorRT's Python package (bench/ondevice/build_tensorrt.py, in a process of its own), else with trtexec, else with
the package of TensorRT for RTX, which wants no GPU to build.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.progress import Say, ask_told
from edgekit.bench.ondevice.engines import RTX, TENSORRT, TITLES, runs_on, targets_in_words
from edgekit.bench.ondevice.sensors import jetson_tools
from edgekit.errors import BackendMissing, EdgekitError
from edgekit.records.runtime import TRTEXEC
from edgekit.tensorrt import trtexec, trtexec_exports
from edgekit.tensorrt.capabilities import Capabilities, capabilities
from edgekit.util.files import cache_folder

BUILT, LAYERS = "built.engine", "layers.json"
# What an engine of TensorRT for RTX does not belong to, and of a build that measures nothing is no fact of it.
OF_THE_GPU = (
    *("gpu", "compute_capability", "gpu_memory_bytes", "cuda_driver", "no_gpu"),
    *("timing_cache_used", "timing_cache_sha256"),
)
PROBE_SECONDS, BUILD_SECONDS = 120.0, 7200.0  # a build that measures every kernel on a small board takes an hour
HERE = (
    "pip install 'edgekit[tensorrt]' on a machine with an NVIDIA GPU, put trtexec on its PATH, or build on the device "
    "that will run it, with --device NAME; for GeForce and RTX GPUs pip install 'edgekit[tensorrt-rtx]' builds anywhere"
)
HERE_RTX = "pip install 'edgekit[tensorrt-rtx]'"
THERE_RTX = "`{} -m pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings` there"
THERE = "install TensorRT there for the Python that devices.yaml names ({}), or put trtexec into /usr/src/tensorrt/bin"


@dataclass(frozen=True)
class Order:
    """What to build from an ONNX file. `shapes` are (name, least, usual, most) of inputs with a free batch."""

    onnx: Path
    engine: Path
    precision: str
    workspace_mib: int | None = None
    dla: int | None = None
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Built:
    """What an engine belongs to, for its manifest; `warnings` are TensorRT's own, `layers` its list of the layers."""

    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    layers: str | None = None


@dataclass(frozen=True)
class Refused(Exception):
    """TensorRT does not take the network; `nodes` are those that it names."""

    message: str
    nodes: tuple[Mapping[str, Any], ...] = field(default=())


class Builder(Protocol):
    """What builds engines in one place."""

    @property
    def version(self) -> str: ...
    @property
    def runtime(self) -> str:
        """The runtime that can run there what is built."""

    @property
    def product(self) -> str:
        """Which of NVIDIA's products it is, a name of engines.TITLES."""

    @property
    def not_run(self) -> str | None:
        """Why nothing there can run what is built; None where it can."""

    def build(self, order: Order, say: Say) -> Built:
        """Raises Refused for a network that is not taken, else an EdgekitError."""


def find(link: Link | None = None, runtimes: Sequence[str] | None = None, targets: tuple[str, ...] = ()) -> Builder:
    """What builds engines on a device (None: here) that has these `runtimes` (None: any).

    TensorRT, with its Python package or trtexec, goes before TensorRT for RTX, which alone builds for `targets`, the
    compute capabilities of other GPUs. Raises BackendMissing where nothing does that edgekit knows.
    """
    link, missing = link or LocalLink(), list[str]()
    for product in _products(runtimes, targets):
        try:
            return _known(WithPython(link, probe(link, product), product, targets))
        except Missing as error:
            missing.append(f"{TITLES[product]} is not installed{on(link)}: {error}")
        program = trtexec_on(link) if product == TENSORRT else None
        if program is not None:
            return _known(WithTrtexec(link, *program))
    if targets:
        raise BackendMissing(f"--target-gpu builds with TensorRT for RTX: {missing[0]}", _get_rtx(link))
    raise BackendMissing(f"{missing[0]}, and no trtexec", _get(link))


def named(builder: Builder) -> str:
    """A builder's product and version, as a person knows them."""
    return f"{TITLES[builder.product]} {builder.version}"


def _products(runtimes: Sequence[str] | None, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The products to look for, in this order."""
    if targets:
        return (RTX,)
    return tuple(name for name in TITLES if runtimes is None or name in runtimes) or (TENSORRT,)


def _known(builder: Builder) -> Builder:
    capabilities(builder.version, builder.product)  # one that edgekit does not know is told now
    return builder


def probe(link: Link, product: str = TENSORRT) -> dict[str, Any]:
    """A product's version, the GPU and the Jetson's release, as an engine that is built there belongs to them.

    Raises Missing where Python has it not, BackendMissing where there is no GPU and it needs one.
    """
    try:
        return _ask(link, {"mode": "probe", "product": product}, PROBE_SECONDS, lambda stage: None)
    except Refused as error:
        raise BackendMissing(f"no engine can be built{on(link)}: {error.message}", _get(link)) from error


def trtexec_on(link: Link) -> tuple[str, str] | None:
    """trtexec on a device and its version: it prints that in its banner, whatever it is asked."""
    names = [name for name in TRTEXEC if not link.is_local or shutil.which(name)]
    if not names:
        return None
    answers = link.look({"commands": [{"argv": [name, "--version"]} for name in names]})["commands"]
    for name, answer in zip(names, answers, strict=True):
        found = trtexec.version(answer["out"] + "\n" + answer["err"]) if answer else None
        if found is not None:
            return name, found
    return None


@dataclass(frozen=True)
class WithPython:
    """The Python package of a product; `here` is what it said of itself and the GPU."""

    link: Link
    here: Mapping[str, Any]
    product: str = TENSORRT
    targets: tuple[str, ...] = ()

    @property
    def runtime(self) -> str:
        """The runtime of the same product."""
        return self.product

    @property
    def version(self) -> str:
        """The product's version."""
        return str(self.here[self.product])

    @property
    def not_run(self) -> str | None:
        """Why nothing there can run what is built."""
        if "no_gpu" in self.here:
            return f"there is no GPU{on(self.link)} ({self.here['no_gpu']})"
        capability = str(self.here["compute_capability"])
        if self.product != RTX or runs_on(self.targets, capability):
            return None
        own = f"{targets_in_words(self.targets)}, and{on(self.link)} is compute capability {capability}"
        return f"the engine is for {own}"

    def build(self, order: Order, say: Say) -> Built:
        """Build in a process that does nothing else, and bring the engine here."""
        is_here = self.link.is_local
        job = self._job(order)
        found = _ask(self.link, job, BUILD_SECONDS, say)
        if not is_here:
            _pull(self.link, str(found["engine"]), order.engine, say)
        names = ("network_flags", "builder_flags", "cleared_flags", "workspace_mib", "dla")
        made = {name: job[name] for name in names}
        apart = ("engine", "warnings", "jetson_release", "layers", *(OF_THE_GPU if self.product == RTX else ()))
        kept = {key: value for key, value in found.items() if key not in apart}
        facts = {"builder": "python", **kept, **release(found.get("jetson_release")), "build_flags": made}
        if self.product == RTX:
            facts["target_gpus"] = list(self.targets)
        return Built(facts, tuple(found["warnings"]), found["layers"])

    def _job(self, order: Order) -> dict[str, Any]:
        row, dla = capabilities(self.version, self.product), order.dla is not None
        return {
            "mode": "build",
            "product": self.product,
            "artifact": self.link.place(order.onnx),
            "engine": str(order.engine.resolve()) if self.link.is_local else "",
            "network_flags": row.network_flags(order.precision, dla),
            "builder_flags": row.builder_flags(order.precision, dla),
            "cleared_flags": row.cleared_flags(order.precision),
            "workspace_mib": order.workspace_mib,
            "timing_cache": None if self.product == RTX else _caches(self.link),  # RTX times no kernels
            "dla": order.dla,
            "targets": [f"SM{target.replace('.', '')}" for target in self.targets],
            "progress": row.progress,
            "error_nodes": row.error_nodes,
            "listed": self.product == RTX,
            "shapes": order.shapes,
        }


@dataclass(frozen=True)
class WithTrtexec:
    """The trtexec program of a device, by the version that its banner shows."""

    link: Link
    program: str
    version: str
    runtime = "trtexec"
    product = TENSORRT
    not_run = None

    def build(self, order: Order, say: Say) -> Built:
        """Build, and believe it only with exit code 0, the verdict PASSED and an engine."""
        row, is_here = capabilities(self.version), self.link.is_local
        cache = f"{_caches(self.link)}/trtexec-{self.version}.timing"
        engine = str(order.engine.resolve()) if is_here else BUILT
        flags = _build_flags(row, order, self.link.place(order.onnx), engine, cache)
        job = {"argv": [self.program, *flags], "files": [LAYERS], "kept": cache, "keep": not is_here}
        done = run_trtexec(self.link, job, BUILD_SECONDS, say)
        if not is_here:
            _pull(self.link, f"{done['folder']}/{BUILT}", order.engine, say)
        if not order.engine.is_file() or not order.engine.stat().st_size:
            raise BackendMissing("trtexec said PASSED and wrote no engine", "see its log")
        log, layers = trtexec.parse_log(done["log"]), done["files"][LAYERS]
        facts = {
            "builder": "trtexec",
            "tensorrt": self.version,
            "gpu": log.gpu,
            "compute_capability": log.compute_capability,
            "build_seconds": log.build_seconds,
            "layer_kinds": trtexec_exports.parse_layers(layers) if layers else None,
            "timing_cache_sha256": done["kept_sha256"],
            "build_flags": {"trtexec": [flag for flag in flags if "/" not in flag], "dla": order.dla},
            **release(release_of(self.link)),
        }
        return Built(facts, log.warnings)


def run_trtexec(link: Link, job: Mapping[str, Any], seconds: float, say: Say = lambda stage: None) -> dict[str, Any]:
    """What `run_trtexec` there says of a run that counts. Raises what trtexec.failure makes of one that does not."""
    answer = ask_told(link, "run_trtexec", job, seconds, say, "trtexec")
    if "error" in answer:
        raise BackendMissing(f"trtexec did not run{on(link)}: {answer['error']['message']}", _get(link))
    done: dict[str, Any] = answer["ok"]
    failed = trtexec.failure(done["code"], trtexec.parse_log(done["log"]), done["log"])
    if failed is not None:
        raise failed if not on(link) else type(failed)(f"{link.name}: {failed.message}", failed.remedy)
    return done


def release_of(link: Link) -> str | None:
    """The file in which a Jetson names its L4T release; None elsewhere."""
    files = link.look({"files": ["/etc/nv_tegra_release"]})["files"]
    found = files.get("/etc/nv_tegra_release")
    return None if found is None else str(found)


def release(text: str | None) -> dict[str, Any]:
    """L4T and JetPack, as they stand in a manifest."""
    found = jetson_tools.release(text) if text else None
    return {"l4t": found["l4t"], "jetpack": found["jetpack"]} if found else {}


def on(link: Link) -> str:
    """Where: ` on NAME`, or ` here`."""
    return " here" if link.is_local else f" on {link.name}"


class Missing(Exception):
    """The device has no Python package of TensorRT."""


def _build_flags(row: Capabilities, order: Order, onnx: str, engine: str, cache: str) -> list[str]:
    flags = trtexec.build_flags(row, order.precision, onnx, engine, order.workspace_mib, cache, order.dla)
    return [*flags, *_shape_flags(order.shapes), f"--exportLayerInfo={LAYERS}"]


def _shape_flags(shapes: Sequence[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]) -> Iterator[str]:
    for index, flag in enumerate(("minShapes", "optShapes", "maxShapes")):
        sizes = [f"{name}:{'x'.join(map(str, each[index]))}" for name, *each in shapes]
        if sizes:
            yield f"--{flag}={','.join(sizes)}"


def _caches(link: Link) -> str:
    """The folder of timing caches; on a device it lies beside the device side, in edgekit's own folder there."""
    is_here = link.is_local
    return str(cache_folder() / "tensorrt" if is_here else PurePosixPath(link.tools()).parents[1] / "tensorrt")


def _pull(link: Link, there: str, here: Path, say: Say) -> None:
    pull = getattr(link, "pull", None)
    if pull is None:
        raise BackendMissing(f"no file can be brought here from {link.name}", "build over an ssh link")
    say(f"bring it here from {link.name}")
    pull(there, here)


def _ask(link: Link, job: Mapping[str, Any], seconds: float, say: Say) -> dict[str, Any]:
    """What the building script answers. Raises Missing, Refused, or what the process died of."""
    try:
        answer = ask_told(link, "build_tensorrt", job, seconds, say, "tensorrt")
    except EdgekitError as death:
        raise type(death)(death.message.replace("process running", "process building with"), death.remedy) from None
    if "error" not in answer:
        done: dict[str, Any] = answer["ok"]
        return done
    error = answer["error"]
    if error["kind"] == "missing":
        raise Missing(error["message"])
    raise Refused(error["message"], tuple(error.get("nodes", ())))


def _get_rtx(link: Link) -> str:
    return HERE_RTX if link.is_local else THERE_RTX.format(link.python)


def _get(link: Link) -> str:
    return HERE if link.is_local else THERE.format(link.python)
