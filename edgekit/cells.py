"""One file of an export: written as a draft, proved, held against its gates, and only then put in its place."""

from __future__ import annotations

import datetime
import fcntl
import importlib.metadata
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact, Manifest, ParityRecord, VariantRecord, file_sha256, manifest_path, seal
from edgekit.errors import GateFailed
from edgekit.exporters import WriteJob, Writer, Written
from edgekit.files import drafting, environment, publish
from edgekit.layers_cost import layer_costs
from edgekit.memory import ideal_bytes
from edgekit.mixed import float_cost
from edgekit.parity import compare
from edgekit.preparation import Prepared

SUFFIX = {"onnx": ".onnx", "tflite": ".tflite", "tensorrt": ".engine"}


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


def export_cell(cell: Cell, prepared: Prepared, folder: Path) -> Artifact:
    """Make one file in `folder`. Raises GateFailed, UsageError or BackendMissing; then no finished file is there."""
    started = time.perf_counter()
    target = folder / f"{prepared.point}_{prepared.weights.id}_{cell.precision}{SUFFIX[cell.format]}"
    job = _job(cell, prepared)
    with drafting(folder, target.name) as draft:
        with environment(target):
            written = cell.write(job, draft)
        parity = compare(
            draft,
            written.inputs,
            written.outputs,
            cell.precision,
            prepared.reference(),
            job.dynamic_batch,
            prepared.preprocessing,
        )
        if not parity.passed:
            _reject(draft, target, cell, parity)
        details = _details(written, prepared, cell, job) | _gates(cell, draft, target) | _cost(cell, prepared, job, draft)
        manifest = _manifest(cell, prepared, written, parity, target.name, draft, details, started)
        return _release(draft, target, manifest)


def _job(cell: Cell, prepared: Prepared) -> WriteJob:
    quantized = prepared.quantized(cell.format) if cell.precision == "int8" else None
    return WriteJob(
        graph=quantized.graph if quantized else prepared.graph,
        precision=cell.precision,
        quantized=quantized,
        io=cell.io,
        dynamic_batch=cell.dynamic_batch,
        opset=cell.opset if cell.format == "onnx" else None,
        description=f"{prepared.point} {cell.precision}, weights {prepared.weights.origin}",
    )


def _reject(draft: Path, target: Path, cell: Cell, parity: ParityRecord) -> None:
    rejected = target.with_name(target.name + ".rejected")
    publish(draft, rejected)
    raise GateFailed(
        f"parity failed for {cell.format} {cell.precision}: {'; '.join(parity.reasons)}",
        f"the file is kept for study as {rejected}",
    )


def _gates(cell: Cell, draft: Path, target: Path) -> dict[str, Any]:
    """What the gates measured; one that is not passed raises GateFailed."""
    size = draft.stat().st_size
    if cell.max_bytes is not None and size > cell.max_bytes:
        raise GateFailed(
            f"{target.name} has {size} bytes, more than --max-bytes {cell.max_bytes}",
            "choose int8, a smaller alpha, or a larger limit",
        )
    if cell.max_latency is None:
        return {}
    from edgekit.latency_gate import latency_within  # brings everything that measures; most exports time nothing

    return {"latency_gate": latency_within(draft, cell.max_latency)}


def _cost(cell: Cell, prepared: Prepared, job: WriteJob, draft: Path) -> dict[str, Any]:
    """What the layers that --max-drop kept in float cost in time, against the same network all in int8."""
    plain = prepared.all_int8(cell.format) if cell.precision == "int8" else None
    if plain is None:
        return {}
    other = draft.with_name("plain" + draft.suffix)
    cell.write(replace(job, graph=plain.graph, quantized=plain), other)
    cost = float_cost(other, draft)
    prepared.notes += (cost.note(cell.format),)
    return {"float_layers": asdict(cost)}


def _manifest(
    cell: Cell,
    prepared: Prepared,
    written: Written,
    parity: ParityRecord,
    name: str,
    draft: Path,
    details: dict[str, Any],
    started: float,
) -> Manifest:
    return Manifest(
        edgekit=importlib.metadata.version("edgekit"),
        file=name,
        sha256=file_sha256(draft),
        bytes=draft.stat().st_size,
        format=cell.format,
        precision=cell.precision,
        variant=_variant_record(prepared),
        weights=prepared.weights,
        preprocessing=prepared.preprocessing,
        inputs=written.inputs,
        outputs=written.outputs,
        calibration=prepared.calibration_record if cell.precision == "int8" else None,
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
        details=details,
    )


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


def _details(written: Written, prepared: Prepared, cell: Cell, job: WriteJob) -> dict[str, Any]:
    more: dict[str, Any] = {
        "published": [asdict(row) for row in prepared.point.published()],
        "ideal_memory_bytes": ideal_bytes(prepared.graph, cell.precision),
        "layers": layer_costs(job.graph, cell.precision, cell.format, job.quantized),
    }
    if cell.precision == "int8":
        more["float_islands"] = dict(prepared.quantized(cell.format).islands)
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


def _versions() -> dict[str, str]:
    """Versions of the packages that shape a file, as installed."""
    found = {}
    for package in ("edgekit", "torch", "numpy", "onnx", "onnxruntime", "ai-edge-litert"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
