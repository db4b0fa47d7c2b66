"""Building with trtexec, where a device has no Python package of TensorRT."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.bench.links.base import Link
from edgekit.bench.links.progress import Say, ask_told
from edgekit.bench.ondevice.engines import TENSORRT
from edgekit.errors import BackendMissing
from edgekit.records.runtime import TRTEXEC
from edgekit.tensorrt import trtexec, trtexec_exports
from edgekit.tensorrt.capabilities import Capabilities, capabilities
from edgekit.tensorrt.orders import BUILD_SECONDS, Built, Order, caches, on, pull, release, release_of, remedy
from edgekit.util.formatting import shape_text

BUILT, LAYERS = "built.engine", "layers.json"


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
        cache = f"{caches(self.link)}/trtexec-{self.version}.timing"
        engine = str(order.engine.resolve()) if is_here else BUILT
        flags = _build_flags(row, order, self.link.place(order.onnx), engine, cache)
        job = {"argv": [self.program, *flags], "files": [LAYERS], "kept": cache, "keep": not is_here}
        done = run_trtexec(self.link, job, BUILD_SECONDS, say)
        if not is_here:
            pull(self.link, f"{done['folder']}/{BUILT}", order.engine, say)
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
    """Return what `run_trtexec` there says of a run that counts.

    Raises what trtexec.failure makes of one that does not.
    """
    answer = ask_told(link, "run_trtexec", job, seconds, say, "trtexec")
    if "error" in answer:
        raise BackendMissing(f"trtexec did not run{on(link)}: {answer['error']['message']}", remedy(link))
    done: dict[str, Any] = answer["ok"]
    failed = trtexec.failure(done["code"], trtexec.parse_log(done["log"]), done["log"])
    if failed is not None:
        raise failed if not on(link) else type(failed)(f"{link.name}: {failed.message}", failed.remedy)
    return done


def _build_flags(row: Capabilities, order: Order, onnx: str, engine: str, cache: str) -> list[str]:
    flags = trtexec.build_flags(row, order.precision, onnx, engine, order.workspace_mib, cache, order.dla)
    return [*flags, *_shape_flags(order.shapes), f"--exportLayerInfo={LAYERS}"]


def _shape_flags(shapes: Sequence[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]) -> Iterator[str]:
    for index, flag in enumerate(("minShapes", "optShapes", "maxShapes")):
        sizes = [f"{name}:{shape_text(each[index])}" for name, *each in shapes]
        if sizes:
            yield f"--{flag}={','.join(sizes)}"
