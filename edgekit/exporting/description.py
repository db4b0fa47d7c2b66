"""What the manifest of an exported file says of it."""

from __future__ import annotations

import datetime
import importlib.metadata
import time
from dataclasses import asdict
from typing import Any

from edgekit.exporters import WriteJob, Written
from edgekit.exporters.int8.quantize import pair_cost
from edgekit.exporters.int8.tflite_constraints import padded_means
from edgekit.exporters.int8.weights_only import weight_facts
from edgekit.exporting.prepare import Prepared
from edgekit.exporting.task import ExportTask
from edgekit.ir.graph import Graph
from edgekit.ir.layer_costs import layer_costs
from edgekit.ir.memory import ideal_bytes
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.formats import FORMATS, tool_versions
from edgekit.records.manifest import Manifest, ParityRecord, VariantRecord
from edgekit.util.files import Content


def manifest_for(
    task: ExportTask,
    prepared: Prepared,
    written: Written,
    parity: ParityRecord,
    name: str,
    held: Content,
    details: dict[str, Any],
    started: float,
) -> Manifest:
    """Return the manifest of a file that was written, compared and hashed; `started` is a reading of perf_counter."""
    return Manifest(
        edgekit=importlib.metadata.version("edgekit"),
        file=name,
        sha256=held.sha256,
        bytes=held.bytes,
        format=task.format,
        precision=task.precision,
        variant=_variant_record(prepared),
        weights=prepared.weights,
        preprocessing=prepared.preprocessing,
        inputs=written.inputs,
        outputs=written.outputs,
        calibration=prepared.calibration_record(task.precision),
        parity=parity,
        macs=prepared.table.macs,
        params=prepared.table.params,
        activation_elements=prepared.table.activation_elements,
        remaining_batch_norms=prepared.remaining,
        operators=written.operators,
        tool_versions={"edgekit": importlib.metadata.version("edgekit"), **tool_versions()},
        seconds=time.perf_counter() - started,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        output=prepared.asked.output,
        labels=prepared.labels,
        notes=written.notes,
        source=prepared.point.spec.file,
        details=details,
    )


def nearness(parity: ParityRecord, quantized: QuantizedGraph) -> str:
    """For whoever exported int8w: how near rounded weights leave the network, and how many weights they are."""
    db = "no noise" if parity.snr_db is None else f"{parity.snr_db:.0f} dB of signal over noise"
    agrees = "" if parity.top1_agreement is None else f", top-1 agrees for {parity.top1_agreement:.0%} of {parity.n}"
    facts = weight_facts(quantized.graph, quantized)
    kinds = dict.fromkeys(facts["float"].values())
    left = f"; {1 - facts['share']:.0%} of the parameters stay in float ({', '.join(kinds)})" if kinds else ""
    return f"int8w against float32: {db}{agrees}{left}"


def details_of(written: Written, prepared: Prepared, task: ExportTask, job: WriteJob) -> dict[str, Any]:
    """Return the `details` of a file's manifest: what its writer told, and what is known of network and precision."""
    more: dict[str, Any] = {
        "published": [asdict(row) for row in prepared.point.published()],
        "ideal_memory_bytes": ideal_bytes(prepared.graph, task.precision),
        "layers": layer_costs(job.graph, _is_half(task), job.quantized if task.precision == "int8" else None),
    }
    if task.precision == "int8w":
        assert job.quantized is not None
        more["int8_weights"] = weight_facts(prepared.graph, job.quantized)
    if task.precision == "int8":
        more["float_islands"] = _in_float(prepared.quantized(task.format))
        more["layer_snr"] = prepared.layer_noise(task.format)
        assert job.quantized is not None
        more["weight_pairs"] = pair_cost(job.quantized)
        drop = prepared.drop(task.format)
        more |= {"accuracy_drop": drop.to_json()} if drop else {}
    return {**written.details, **more}


def _in_float(quantized: QuantizedGraph) -> dict[str, str]:
    """What an int8 file computes in float, each with the reason."""
    padded = padded_means(quantized.graph) if quantized.scheme == "tflite" else {}
    return {**padded, **quantized.islands}


def _classes(graph: Graph) -> int:
    """The last axis of the only output; 0 of several, or of one without axes."""
    shapes = [graph[name].shape for name in graph.outputs.values()]
    return shapes[0][-1] if len(shapes) == 1 and shapes[0] else 0


def _variant_record(prepared: Prepared) -> VariantRecord:
    point = prepared.point
    return VariantRecord(
        name=str(point),
        model=point.spec.name,
        family=point.spec.family,
        alpha=point.alpha,
        resolution=point.resolution,
        classes=_classes(prepared.graph) if point.classes == 0 else point.classes,
        input_shape=prepared.graph.inputs[0].shape,
        options=dict(point.options),
    )


def _is_half(task: ExportTask) -> bool:
    return task.precision == "fp16" and FORMATS[task.format].keeps_half
