"""What `make gpu-check` runs with torch, onnxruntime and engines: each file is written, opened and judged.

What cannot be made or opened here is left out; what then breaks while it answers is wrong.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.gpu_check import Report

TORCH = {"cuda": "torch eager", "cuda-graph": "torch CUDA graph"}
PROVIDERS = {"cuda": "onnxruntime CUDA", "tensorrt": "onnxruntime TensorRT"}
IMAGES = 2  # of noise, for the ranges of int8


@dataclass(frozen=True)
class Case:
    """A network, folded, with an input and what it answers to it on the processor; a folder for files.

    `judge` times an open file on the input, and holds its answer against another: (row, session, want).
    """

    name: str
    graph: Any
    x: Any
    want: Any
    scratch: Path
    judge: Callable[[dict[str, Any], Any, Any], None]


def with_torch(report: Report, case: Case) -> None:
    """The written archive with torch, operator by operator and as one CUDA graph, each asserted to be what ran."""
    exporters = importlib.import_module("edgekit.exporters")
    for precision in ("fp32", "fp16"):
        path = case.scratch / f"{case.name}_{precision}.pt2"
        try:
            exporters.FORMATS["pt2"].write(exporters.WriteJob(case.graph, precision), path)
        except Exception as error:  # a release of torch that was never run here
            report.leave(f"torch {precision}: {_plain(error)}")
            continue
        for provider, how in TORCH.items():
            what = f"{case.name} {precision}: {how}"
            report.attempt(what, partial(_with_torch, report, case, str(path), precision, provider))


def _with_torch(report: Report, case: Case, path: str, precision: str, provider: str) -> None:
    session = _bench("runtimes.torch").open_session(path, {"provider": provider, "batch": 1})
    case.judge({"network": case.name, "how": TORCH[provider], "precision": precision}, session, case.want)
    report.facts["TF32"] = str(session.found.get("tf32"))
    if session.found.get("cuda_graph", False) != (provider == "cuda-graph"):
        report.wrong.append(f"{case.name} {precision}: {TORCH[provider]} was asked for and did not run")


def with_onnxruntime(report: Report, case: Case) -> None:
    """The written ONNX file on onnxruntime's providers for the GPU, each asserted to be what runs it."""
    missing = _missing("onnx", "onnxruntime")
    for provider, how in PROVIDERS.items():
        if missing:
            report.leave(f"{how}: {missing}")
            continue
        for precision in ("fp32", "fp16"):
            what = f"{case.name} {precision}: {how}"
            report.attempt(what, partial(_with_provider, report, case, provider, precision))


def _with_provider(report: Report, case: Case, provider: str, precision: str) -> None:
    path, exporters = case.scratch / f"{case.name}_{precision}.onnx", importlib.import_module("edgekit.exporters")
    importlib.import_module("edgekit.exporters.onnx.writer").write(exporters.WriteJob(case.graph, precision), path)
    try:
        session = _bench("runtimes.onnxruntime").open_session(str(path), {"provider": provider, "batch": 1})
    except (RuntimeError, ImportError) as error:  # this onnxruntime lacks it
        report.leave(f"{PROVIDERS[provider]}: {_plain(error)}")
        return
    row = {"network": case.name, "how": PROVIDERS[provider], "precision": precision}
    case.judge(row | {"note": f"nodes {session.found['nodes_by_provider']}"}, session, case.want)


def with_engines(report: Report, case: Case) -> None:
    """Engines of each product, built here, opened again and run, in three precisions."""
    engines = _bench("engines")
    for product, title in engines.TITLES.items():
        found = [name for name in engines.MODULES[product] if importlib.util.find_spec(name) is not None]
        missing = _missing("onnx") or ("" if found else "not installed")
        if missing:
            report.leave(f"{title}: {missing}")
            continue
        for precision in ("fp32", "fp16", "int8"):
            what = f"{case.name} {precision}: {title}"
            report.attempt(what, partial(_with_engine, report, case, product, precision))


def _with_engine(report: Report, case: Case, product: str, precision: str) -> None:
    int8, title = _quantized(case) if precision == "int8" else None, _bench("engines").TITLES[product]
    try:
        kinds, session = _built(case, product, precision, int8)
    except Exception as error:  # whatever a library that was never run here may raise belongs on the page
        report.leave(f"{title} {precision}: {_plain(error)}")
        return
    row = {"network": case.name, "how": title, "precision": precision, "note": f"computes in {kinds}" if kinds else ""}
    case.judge(row, session, _simulated(case, int8) if int8 else case.want)


def _built(case: Case, product: str, precision: str, int8: Any) -> tuple[str, Any]:
    """What an engine computes in, and the engine, opened."""
    path = case.scratch / f"{case.name}_{precision}_{product}.engine"
    builder = importlib.import_module("edgekit.tensorrt.builder").find(runtimes=(product,))
    if builder.not_run is not None:
        raise RuntimeError(builder.not_run)
    exporters = importlib.import_module("edgekit.exporters")
    job = exporters.WriteJob(int8.graph if int8 else case.graph, precision, int8, options={"builder": builder})
    written = exporters.FORMATS["tensorrt"].write(job, path)
    kinds = ", ".join(f"{count} {kind}" for kind, count in written.details.get("computed_in", {}).items())
    return kinds, _bench(f"runtimes.{product}").open_session(str(path), {"batch": 1})


def _quantized(case: Case) -> Any:
    """The network in int8, from noise."""
    int8 = importlib.import_module("edgekit.exporters.int8.quantize")
    ranges = importlib.import_module("edgekit.exporters.int8.ranges")
    how = importlib.import_module("edgekit.records.preprocessing").Preprocessing()
    images = importlib.import_module("edgekit.data.calibration").synthetic(case.x.shape, how, IMAGES, 0)
    return int8.quantize(case.graph, ranges.record(case.graph, images), "tensorrt", "fast")


def _simulated(case: Case, quantized: Any) -> Any:
    """What its integers answer on the processor."""
    simulate = importlib.import_module("edgekit.exporters.int8.simulate")
    reference = importlib.import_module("edgekit.exporting.reference")
    return reference.run_all(case.graph, [case.x], simulate.runner(quantized))[0]


def _missing(*packages: str) -> str:
    names = [package for package in packages if importlib.util.find_spec(package) is None]
    return f"{' and '.join(names)} not installed" if names else ""


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _bench(stem: str) -> Any:
    return importlib.import_module(f"edgekit.bench.ondevice.{stem}")
