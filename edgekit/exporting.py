"""`edgekit export`: from a network and its weights to files that are proved to answer like it.

Everything that can be known to fail is said before the first long step. Each (format, precision) is a cell of its
own: one that fails does not hide the others.
"""

from __future__ import annotations

import datetime
import fcntl
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact, Manifest, VariantRecord, file_sha256, manifest_path, seal
from edgekit.errors import BackendMissing, EdgekitError, GateFailed, UsageError, nearest
from edgekit.export_result import ExportResult, Failure
from edgekit.exporters import FORMATS, WriteJob, Writer, Written
from edgekit.files import drafting, environment, make_folder, publish
from edgekit.latency_gate import latency_within
from edgekit.memory import ideal_bytes
from edgekit.parity import compare
from edgekit.preparation import Prepared, Request, prepare

SUFFIX = {"onnx": ".onnx", "tflite": ".tflite"}
PRECISIONS = ("fp32", "fp16", "int8")
_PRECISION_ALIASES = {"half": "fp16", "float16": "fp16", "float32": "fp32", "full": "fp32"}
Progress = Callable[[str], None]


def export(
    model: str,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    input: tuple[int, ...] | None = None,
    options: Mapping[str, str] | None = None,
    format: Sequence[str] = ("onnx", "tflite"),
    precision: Sequence[str] = ("fp32",),
    weights: str | None = None,
    data: str | Path | None = None,
    preprocess: str | Path | None = None,
    synthetic_calibration: bool = False,
    ranges: str = "data",
    int8_effort: str = "default",
    max_drop: float | None = None,
    io: str = "float32",
    opset: int | None = None,
    dynamic_batch: bool = False,
    max_bytes: int | None = None,
    max_latency: float | None = None,
    out: str | Path = "artifacts",
    progress: Progress | None = None,
) -> ExportResult:
    """Export one variant to every asked format and precision; each file is re-opened, run and compared.

    `model` is a network of the zoo or `FILE.py:function` (then `input` is its shape). `weights` is "random" (the
    default for the zoo), "pretrained", a file, or None for what the user's function builds. `data` is a folder of
    images: int8 takes its ranges from it, and parity its real inputs. Raises EdgekitError where nothing
    at all can be exported; what fails for one format or precision only is in the result's `failed`.
    """
    say = progress or (lambda stage: None)
    formats = _each(format, FORMATS.canonical)
    precisions = _each(precision, _precision)
    writers = {name: _writer(name) for name in formats}
    request = Request(
        model=model,
        alpha=alpha,
        resolution=res,
        classes=classes,
        input=input,
        options=options or {},
        weights=weights,
        data=Path(data) if data is not None else None,
        preprocess=Path(preprocess) if preprocess is not None else None,
        synthetic=synthetic_calibration,
        ranges=ranges,
        effort=int8_effort,
        max_drop=max_drop,
        int8="int8" in precisions,
    )
    _check(request, formats, precisions, io, opset, max_drop, max_latency)
    make_folder(Path(out))
    prepared = prepare(request, say)
    folder = make_folder(Path(out) / str(prepared.point))
    artifacts, failed = [], []
    for name in formats:
        for wanted in precisions:
            say(f"{name} {wanted}")
            cell = Cell(name, wanted, writers[name], io, opset, dynamic_batch, max_bytes, max_latency)
            try:
                artifacts.append(_export_cell(cell, prepared, folder))
            except EdgekitError as error:
                failed.append(Failure(name, wanted, error))
    return ExportResult(tuple(artifacts), tuple(failed), prepared.notes)


@dataclass(frozen=True)
class Cell:
    """One file to be made."""

    format: str
    precision: str
    write: Writer
    io: str
    opset: int | None
    dynamic_batch: bool
    max_bytes: int | None
    max_latency: float | None


def _export_cell(cell: Cell, prepared: Prepared, folder: Path) -> Artifact:
    started = time.perf_counter()
    target = folder / f"{prepared.point}_{prepared.weights.id}_{cell.precision}{SUFFIX[cell.format]}"
    quantized = prepared.quantized(cell.format) if cell.precision == "int8" else None
    job = WriteJob(
        graph=quantized.graph if quantized else prepared.graph,
        precision=cell.precision,
        quantized=quantized,
        io=cell.io,
        dynamic_batch=cell.dynamic_batch,
        opset=cell.opset if cell.format == "onnx" else None,
        description=f"{prepared.point} {cell.precision}, weights {prepared.weights.origin}",
    )
    with drafting(folder, target.name) as draft:
        with environment(target):
            written = cell.write(job, draft)
        if cell.max_bytes is not None and draft.stat().st_size > cell.max_bytes:
            raise GateFailed(
                f"{target.name} has {draft.stat().st_size} bytes, more than --max-bytes {cell.max_bytes}",
                "choose int8, a smaller alpha, or a larger limit",
            )
        parity = compare(
            draft, written.inputs, written.outputs, cell.precision, prepared.reference(), cell.dynamic_batch
        )
        if not parity.passed:
            rejected = target.with_name(target.name + ".rejected")
            publish(draft, rejected)
            raise GateFailed(
                f"parity failed for {cell.format} {cell.precision}: {'; '.join(parity.reasons)}",
                f"the file is kept for study as {rejected}",
            )
        timed = latency_within(draft, cell.max_latency) if cell.max_latency is not None else None
        digest, size = file_sha256(draft), draft.stat().st_size
        manifest = Manifest(
            edgekit=importlib.metadata.version("edgekit"),
            file=target.name,
            sha256=digest,
            bytes=size,
            format=cell.format,
            precision=cell.precision,
            variant=_variant_record(prepared),
            weights=prepared.weights,
            preprocessing=prepared.preprocessing,
            inputs=written.inputs,
            outputs=written.outputs,
            calibration=prepared.calibration_record if quantized else None,
            parity=parity,
            macs=prepared.table.macs,
            params=prepared.table.params,
            activation_elements=prepared.table.activation_elements,
            remaining_batch_norms=prepared.remaining,
            operators=written.operators,
            tool_versions=_versions(),
            seconds=time.perf_counter() - started,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            notes=written.notes,
            details=_details(written, prepared, quantized, cell) | ({"latency_gate": timed} if timed else {}),
        )
        return _release(draft, target, manifest)


def _release(draft: Path, target: Path, manifest: Manifest) -> Artifact:
    """Put file and manifest in their place: the old manifest goes first and the new one comes last."""
    with _locked(target.parent), environment(target):
        manifest_path(target).unlink(missing_ok=True)
        publish(draft, target)
        return seal(target, manifest)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One export at a time puts its files into a folder."""
    with environment(folder), (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _details(written: Written, prepared: Prepared, quantized: Any, cell: Cell) -> dict[str, Any]:
    more: dict[str, Any] = {
        "published": [asdict(row) for row in prepared.point.published()],
        "ideal_memory_bytes": ideal_bytes(prepared.graph, cell.precision),
    }
    if quantized is not None:
        more["float_islands"] = dict(quantized.islands)
        more["layer_snr"] = prepared.layer_noise(cell.format)
    return {**written.details, **more}


def _variant_record(prepared: Prepared) -> VariantRecord:
    point = prepared.point
    return VariantRecord(
        name=str(point),
        model=point.spec.name,
        family=point.spec.family,
        alpha=point.alpha,
        resolution=point.resolution,
        classes=prepared.graph[prepared.graph.output].shape[-1] if point.classes == 0 else point.classes,
        input_shape=prepared.graph.input.shape,
        options=dict(point.options),
    )


# Checks that cost nothing


def _check(
    request: Request,
    formats: Sequence[str],
    precisions: Sequence[str],
    io: str,
    opset: int | None,
    max_drop: float | None,
    max_latency: float | None,
) -> None:
    if io not in ("float32", "uint8", "int8"):
        raise UsageError(f"--io cannot be '{io}'", "choose float32, uint8 or int8")
    if io != "float32" and ("tflite" not in formats or set(precisions) != {"int8"} or "onnx" in formats):
        raise UsageError(f"--io {io} is for int8 TFLite files", "add --format tflite --precision int8")
    if request.ranges not in ("data", "file"):
        raise UsageError(f"--ranges cannot be '{request.ranges}'", "choose data or file")
    if request.effort not in ("fast", "default", "best"):
        raise UsageError(f"--int8-effort cannot be '{request.effort}'", "choose fast, default or best")
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise UsageError(f"--max-drop is in points of top-1, 0 to 100, not {max_drop:g}", "write, say, --max-drop 1.0")
    if opset is not None:
        _check_opset(opset, formats)
    if max_latency is not None and not 0 < max_latency < float("inf"):
        raise UsageError(f"--max-latency is in milliseconds above 0, not {max_latency:g}", "write, say, 10")


def _check_opset(opset: int, formats: Sequence[str]) -> None:
    if "onnx" not in formats:
        raise UsageError("--opset is for ONNX files", "leave it out, or add --format onnx")
    from edgekit.exporters.onnx import IR_VERSIONS

    if opset not in IR_VERSIONS:
        raise UsageError(
            f"ONNX opset {opset} is not supported", f"choose {min(IR_VERSIONS)} to {max(IR_VERSIONS)}, or leave it out"
        )


def _each(names: Sequence[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
    """The canonical names, each once, in the order given."""
    found = tuple(dict.fromkeys(canonical(name.strip()) for name in names if name.strip()))
    if not found:
        raise UsageError("nothing to export was named", "give at least one format and one precision")
    return found


def _precision(name: str) -> str:
    name = _PRECISION_ALIASES.get(name, name)
    if name not in PRECISIONS:
        raise UsageError(
            f"unknown precision '{name}'{nearest(name, PRECISIONS)}", f"choose one of: {', '.join(PRECISIONS)}"
        )
    return name


def _writer(name: str) -> Writer:
    try:
        return FORMATS[name]
    except ImportError as error:
        raise BackendMissing(
            f"{name} export needs the package {error.name}", "pip install 'edgekit[export]'"
        ) from error


def _versions() -> dict[str, str]:
    """Versions of the packages that shape a file, as installed."""
    found = {}
    for package in ("edgekit", "torch", "numpy", "onnx", "onnxruntime", "ai-edge-litert"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
