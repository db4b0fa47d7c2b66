"""One file of an export: written as a draft, proved, held against its gates, and only then put in its place."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgekit.errors import GateFailed
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.free_batch import moved
from edgekit.exporters.head import with_head
from edgekit.exporters.int8.quantize import pair_cost
from edgekit.exporting.first_fault import first_fault
from edgekit.exporting.head_proof import check_head
from edgekit.exporting.inner_values import inner_values
from edgekit.exporting.mixed_precision import float_cost
from edgekit.exporting.not_run import not_run
from edgekit.exporting.options import ExportOptions
from edgekit.exporting.parity import compare
from edgekit.exporting.prepare import Prepared
from edgekit.exporting.site import Site
from edgekit.ir.graph import Graph
from edgekit.ir.layer_costs import layer_costs
from edgekit.ir.memory import ideal_bytes
from edgekit.records.formats import FORMATS, LOGITS, tool_versions
from edgekit.records.manifest import Artifact, Manifest, ParityRecord, VariantRecord
from edgekit.records.release import release
from edgekit.tensorrt.capabilities import targets
from edgekit.util.files import Content, content, drafting, environment, publish

# What LiteRT tells of the file's operators, and what int8 kernels the processor has.
DELEGATION = ("delegate", "nodes", "nodes_delegated", "undelegated", "instructions")
SIMULATION_NEAR = 40.0  # dB: nearer to its simulation no wrong layer brings a file
FAULT_MARGIN = 6.0  # dB over the simulation's own signal-to-noise, from which on a wrong layer changes too little
FAULT_INPUTS = 3  # that the layers of a file are looked at on
TOGETHER = 7  # inputs at once, where the batch is free; no size that a kernel is made for


@dataclass(frozen=True)
class ExportTask:
    """One file to be made; `asked` holds the options that it heeds."""

    format: str
    precision: str
    asked: ExportOptions
    site: Site
    last: bool = False  # of its export: nobody needs the weights after it

    def target(self, prepared: Prepared) -> str:
        """The file's name. An engine belongs to its device or its GPUs; other files are the same for all of them."""
        format = FORMATS[self.format]
        device = f"_{_plain(self.site.name)}" if format.is_built and self.site.name != "local" else ""
        gpus = targets(self.asked.target_gpu) if self.asked.target_gpu else ()
        ahead = "".join(f"_sm{one.replace('.', '')}" for one in gpus)
        return f"{prepared.point}_{prepared.weights.id}_{self.precision}{device}{ahead}{format.suffix}"

    @property
    def together(self) -> int | None:
        """How many inputs go through at once, to prove a free batch."""
        return min(TOGETHER, self.asked.max_batch or TOGETHER) if self.asked.dynamic_batch else None


def export_file(task: ExportTask, prepared: Prepared, folder: Path, say: Callable[[str], None]) -> Artifact:
    """Make one file in `folder`. Raises GateFailed, UsageError, BackendMissing or what a device fails with.

    Then no finished file is there.
    """
    started = time.perf_counter()
    target = folder / task.target(prepared)
    job = _job(task, prepared, say)
    with drafting(folder, target.name) as draft:
        with environment(target):
            job, plain, written = _write(task, prepared, job, draft)
        if task.last and task.precision != "int8":
            prepared.drop_weights()
            job = replace(job, graph=job.graph.to("meta"))
        say("prove")
        with ThreadPoolExecutor(1) as other:  # a large file's hash takes as long as proving it
            held = other.submit(content, draft)
            parity, proof = _verified(task, prepared, plain, written, draft)
        if parity.passed is False:
            _reject(draft, target, task, parity, job.graph)
        details = _details(written, prepared, task, job) | _gates(task, held.result(), draft, target)
        details |= _cost(task, prepared, job, draft) | {"proof": proof}
        manifest = _manifest(task, prepared, written, parity, target.name, held.result(), details, started)
        return release(draft, target, manifest)


def _write(task: ExportTask, prepared: Prepared, job: WriteJob, draft: Path) -> tuple[WriteJob, Written, Written]:
    """Write the file; a head's file after the same without it. The job, and what stands in the plain file and in it."""
    head = prepared.asked.output
    plain = FORMATS[task.format].write(job, _plain_file(draft, head))
    if head == LOGITS:
        return job, plain, plain
    job = with_head(job, head)
    return job, plain, FORMATS[task.format].write(job, draft)


def _plain_file(draft: Path, head: str) -> Path:
    """Where the file without a head is."""
    return draft if head == LOGITS else draft.with_name("logits" + draft.suffix)


def _verified(
    task: ExportTask, prepared: Prepared, plain: Written, written: Written, draft: Path
) -> tuple[ParityRecord, dict[str, Any]]:
    """The comparison of what the network gives, without a head, and where the file ran for it."""
    reference, head = prepared.reference(), prepared.asked.output
    simulated = prepared.simulated(task.format) if task.precision == "int8" else None
    with ExitStack() as opened:
        runtime, session, found, *_ = task.site.open(_plain_file(draft, head), task.format, opened)
        parity = compare(
            session,
            plain.inputs,
            plain.outputs,
            task.precision,
            reference,
            task.together,
            prepared.preprocessing,
            simulated,
        )
        parity = _right(task, prepared, plain, _plain_file(draft, head), parity)
        if head != LOGITS and parity.passed:
            runtime, headed, found, *_ = task.site.open(draft, task.format, opened)
            sides = (session, plain.outputs[0]), (headed, written.outputs[0])
            check_head(head, *sides, plain.inputs[0], task.precision, reference)
    delegation = {name: found[name] for name in DELEGATION if found.get(name) is not None}
    proof = {
        "device": task.site.verifier.name,
        "runtime": runtime,
        "version": found.get("runtime_version"),
        **delegation,
    }
    reason = task.site.not_run(task.format)
    return (parity, proof) if reason is None else not_run(reason, parity, proof)


def _right(task: ExportTask, prepared: Prepared, written: Written, path: Path, parity: ParityRecord) -> ParityRecord:
    """The record, with the first wrong layer of an int8 file that does not answer as its simulation does."""
    near = parity.simulated_snr_db is None or parity.simulated_snr_db >= SIMULATION_NEAR
    if task.precision != "int8" or (near and parity.passed) or prepared.simulated(task.format) is None:
        return parity
    quantized, count = prepared.quantized(task.format), FAULT_INPUTS if prepared.graph.takes_several else 1
    xs = [x[:count] for x in prepared.reference().inputs]
    how = task.asked.io, task.asked.layout
    found = inner_values(path, quantized, written.inputs, xs, prepared.preprocessing, how)
    fault = first_fault(quantized, found, *map(torch.from_numpy, xs))
    if parity.passed and not _tells(parity):
        return parity
    return (
        parity
        if fault is None
        else parity.model_copy(update={"passed": False, "reasons": (*parity.reasons, str(fault))})
    )


def _tells(parity: ParityRecord) -> bool:
    """Whether a file is so far from its simulation that a wrong layer counts beside what rounding costs anyway."""
    file, simulation = parity.simulated_snr_db, parity.simulation_snr_db
    return file is not None and (simulation is None or file < simulation + FAULT_MARGIN)


def _plain(name: str) -> str:
    """A device's name as part of a file's: what had to be changed makes it another name."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _job(task: ExportTask, prepared: Prepared, say: Callable[[str], None]) -> WriteJob:
    quantized = prepared.quantized(task.format) if task.precision == "int8" else None
    return WriteJob(
        graph=quantized.graph if quantized else prepared.graph,
        precision=task.precision,
        quantized=quantized,
        io=task.asked.io,
        dynamic_batch=task.asked.dynamic_batch,
        opset=task.asked.opset,
        layout=task.asked.layout,
        description=f"{prepared.point} {task.precision}, weights {prepared.weights.origin}",
        preprocessing=prepared.preprocessing,
        labels=prepared.labels,
        options=_building(task, say) if FORMATS[task.format].is_built else {},
    )


def _building(task: ExportTask, say: Callable[[str], None]) -> dict[str, Any]:
    """How an engine is to be built; what concerns the device stands in devices.yaml."""
    found: dict[str, Any] = {"builder": task.site.builder, "say": say, "max_batch": task.asked.max_batch}
    found["keep_source"] = task.site.not_run(task.format) is not None
    return found | task.site.target.building()


def _reject(draft: Path, target: Path, task: ExportTask, parity: ParityRecord, graph: Graph) -> None:
    rejected = target.with_name(target.name + ".rejected")
    publish(draft, rejected)
    reasons, remedy = parity.reasons, f"the file is kept for study as {rejected}"
    if any(reason.startswith("at batch ") for reason in reasons):
        place = moved(graph)
        reasons += (f"layer {place} moves the batch from the first place",) if place else ()
        remedy = f"leave --dynamic-batch out; {remedy}"
    raise GateFailed(f"parity failed for {task.format} {task.precision}: {'; '.join(reasons)}", remedy)


def _gates(task: ExportTask, held: Content, draft: Path, target: Path) -> dict[str, Any]:
    """What the gates measured; one that is not passed raises GateFailed."""
    if task.asked.max_bytes is not None and held.bytes > task.asked.max_bytes:
        raise GateFailed(
            f"{target.name} has {held.bytes} bytes, more than --max-bytes {task.asked.max_bytes}",
            "choose int8, a smaller alpha, or a larger limit",
        )
    if task.asked.max_latency is None:
        return {}
    from edgekit.exporting.latency_gate import (
        latency_within,  # brings everything that measures; most exports time nothing
    )

    return {
        "latency_gate": latency_within(draft, task.asked.max_latency, task.site.target, task.site.runtime(task.format))
    }


def _cost(task: ExportTask, prepared: Prepared, job: WriteJob, draft: Path) -> dict[str, Any]:
    """What the layers that --max-drop kept in float cost in time, against the same network all in int8."""
    plain = prepared.all_int8(task.format) if task.precision == "int8" else None
    if plain is None or task.site.not_run(task.format) is not None:
        return {}
    other = draft.with_name("plain" + draft.suffix)
    FORMATS[task.format].write(replace(job, graph=plain.graph, quantized=plain), other)
    with ExitStack() as opened:
        cost = float_cost(*(task.site.open(file, task.format, opened).session for file in (other, draft)))
    prepared.notes += (cost.note(task.format),)
    return {"float_layers": asdict(cost)}


def _manifest(
    task: ExportTask,
    prepared: Prepared,
    written: Written,
    parity: ParityRecord,
    name: str,
    held: Content,
    details: dict[str, Any],
    started: float,
) -> Manifest:
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
        calibration=prepared.calibration_record if task.precision == "int8" else None,
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
        source=prepared.point.spec.source.record if prepared.point.spec.source else None,
        details=details,
    )


def _details(written: Written, prepared: Prepared, task: ExportTask, job: WriteJob) -> dict[str, Any]:
    more: dict[str, Any] = {
        "published": [asdict(row) for row in prepared.point.published()],
        "ideal_memory_bytes": ideal_bytes(prepared.graph, task.precision),
        "layers": layer_costs(job.graph, _is_half(task), job.quantized),
    }
    if task.precision == "int8":
        more["float_islands"] = dict(prepared.quantized(task.format).islands)
        more["layer_snr"] = prepared.layer_noise(task.format)
        assert job.quantized is not None
        more["weight_pairs"] = pair_cost(job.quantized)
        drop = prepared.drop(task.format)
        more |= {"accuracy_drop": drop.to_json()} if drop else {}
    return {**written.details, **more}


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
