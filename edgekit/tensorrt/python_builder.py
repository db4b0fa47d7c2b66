"""Building with the Python package of TensorRT or of TensorRT for RTX (bench/ondevice/build_tensorrt.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.bench.links.base import Link
from edgekit.bench.links.progress import Say, ask_told
from edgekit.bench.ondevice.engines import RTX, TENSORRT, runs_on, targets_in_words
from edgekit.errors import BackendMissing, EdgekitError
from edgekit.tensorrt.capabilities import capabilities
from edgekit.tensorrt.orders import BUILD_SECONDS, Built, Missing, Order, Refused, caches, on, pull, release, remedy

# What an engine of TensorRT for RTX does not belong to, and of a build that measures nothing is no fact of it.
OF_THE_GPU = (
    *("gpu", "compute_capability", "gpu_memory_bytes", "cuda_driver", "no_gpu"),
    *("timing_cache_used", "timing_cache_sha256"),
)
PROBE_SECONDS = 120.0


def probe(link: Link, product: str = TENSORRT) -> dict[str, Any]:
    """Return a product's version, the GPU and the Jetson's release, as an engine that is built there belongs to them.

    Raises Missing where Python has it not, BackendMissing where there is no GPU and it needs one.
    """
    try:
        return _ask(link, {"mode": "probe", "product": product}, PROBE_SECONDS, lambda stage: None)
    except Refused as error:
        raise BackendMissing(f"no engine can be built{on(link)}: {error.message}", remedy(link)) from error


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
            pull(self.link, str(found["engine"]), order.engine, say)
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
            "timing_cache": None if self.product == RTX else caches(self.link),  # RTX times no kernels
            "dla": order.dla,
            "targets": [f"SM{target.replace('.', '')}" for target in self.targets],
            "progress": row.progress,
            "error_nodes": row.error_nodes,
            "listed": self.product == RTX,
            "shapes": order.shapes,
        }


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
