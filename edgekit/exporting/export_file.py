"""One file of an export: written as a draft, proved, held against its gates, and only then put in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.data.labels import without_ids
from edgekit.errors import GateFailed
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.free_batch import moved
from edgekit.exporters.head import with_head
from edgekit.exporting.description import details_of, manifest_for, nearness
from edgekit.exporting.first_fault import file_fault, in_float
from edgekit.exporting.head_proof import check_head
from edgekit.exporting.inner_values import SHOWING
from edgekit.exporting.inputs import MADE_FROM
from edgekit.exporting.mixed_precision import float_cost
from edgekit.exporting.not_run import not_run
from edgekit.exporting.parity import compare, is_a_step_beside
from edgekit.exporting.prepare import Prepared
from edgekit.exporting.reference import Array, Reference
from edgekit.exporting.task import ExportTask
from edgekit.exporting.thresholds import rounding_note
from edgekit.ir.graph import Graph
from edgekit.records.artifact import Artifact
from edgekit.records.formats import FORMATS, LOGITS, REJECTED
from edgekit.records.manifest import ParityRecord
from edgekit.records.release import release
from edgekit.util.files import Content, content, drafting, environment

# What LiteRT tells of the file's operators, and what int8 kernels the processor has.
DELEGATION = ("delegate", "nodes", "nodes_delegated", "undelegated", "instructions")
SIMULATION_NEAR = 40.0  # dB: nearer to its simulation no wrong layer brings a file
FAULT_MARGIN = 6.0  # dB over the simulation's own signal-to-noise, from which on a wrong layer changes too little
FAULT_INPUTS = 3  # that the layers of a file are looked at on


def export_file(task: ExportTask, prepared: Prepared, folder: Path, say: Callable[[str], None]) -> Artifact:
    """Make one file in `folder`. Raises GateFailed, UsageError, BackendMissing or what a device fails with.

    Then no finished file is there.
    """
    started = time.perf_counter()
    target = folder / task.target(prepared)
    job = _job(task, prepared, say)
    beyond = prepared.beyond_half if task.precision == "fp16" else None
    with drafting(folder, target.name) as draft:
        with environment(target):
            job, plain, written = _write(task, prepared, job, draft)
        if task.last and job.quantized is None:
            prepared.drop_weights()
            job = replace(job, graph=job.graph.to("meta"))
        say("prove")
        with ThreadPoolExecutor(1) as other:  # a large file's hash takes as long as proving it
            held = other.submit(content, draft)
            parity, proof = _verified(task, prepared, plain, written, draft)
        for said in filter(None, (rounding_note(parity, task.precision, prepared.reference()), beyond)):
            prepared.note(said)
        if task.precision == "int8w" and job.quantized is not None:
            prepared.note(nearness(parity, job.quantized))
        rejected = target.with_name(target.name + REJECTED) if parity.passed is False else None
        details = details_of(written, prepared, task, job) | {"proof": proof}
        details |= {MADE_FROM: task.made_from} if task.made_from else {}
        if rejected is None:
            details |= _gates(task, held.result(), draft, target) | _cost(task, prepared, job, draft)
        place = rejected or target
        noted = replace(written, notes=(*written.notes, beyond)) if beyond else written
        manifest = manifest_for(task, prepared, noted, parity, place.name, held.result(), details, started)
        made = release(draft, place, manifest, job.labels)
        if rejected is not None:
            raise _rejection(rejected, task, parity, job.graph)
        return made


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
    with ExitStack() as opened:
        runtime, session, found, *_ = task.site.open(_plain_file(draft, head), task.format, opened)
        against = partial(
            compare,
            session,
            plain.inputs,
            plain.outputs,
            task.precision,
            reference,
            task.together,
            prepared.preprocessing,
        )
        parity = _compared(task, prepared, against)
        parity = _right(task, prepared, plain, _plain_file(draft, head), parity)
        prepared.notes += _undecided(task, parity)
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


def _compared(
    task: ExportTask, prepared: Prepared, against: Callable[[Sequence[Array] | None], ParityRecord]
) -> ParityRecord:
    """The comparison. An int8 file that is refused on the first examples is judged by the simulation of all of them.

    Of few outputs, as a classifier of ten classes has, chance decides whose rounding is nearer to the float network.
    """
    first = prepared.simulated(task.format, task.precision)
    found = against(first)
    if found.passed or first is None or len(first[0]) == prepared.reference().n:
        return found
    return against(prepared.simulated(task.format, task.precision, prepared.reference().n))


def _undecided(task: ExportTask, parity: ParityRecord) -> tuple[str, ...]:
    """What is to be said where not all of an output could be judged."""
    if parity.by_layer:
        return (
            f"{task.format} {task.precision}: rounding decides what the network answers, so each layer was compared on "
            "what the file itself gives to it",
        )
    if parity.undecided is None:
        return ()
    return (
        f"{task.format} {task.precision}: rounding decides {parity.undecided:.1%} of the elements of an output, where "
        "the network chooses among values that nearly tie: they are not judged",
    )


def _right(task: ExportTask, prepared: Prepared, written: Written, path: Path, parity: ParityRecord) -> ParityRecord:
    """The record, with the first wrong layer of an int8 file that does not answer as its simulation does.

    One that is a step beside it is right where each of its layers is.
    """
    if task.precision == "fp32":
        return _by_layer(task, prepared.reference(), written, path, parity)
    near = parity.simulated_snr_db is None or parity.simulated_snr_db >= SIMULATION_NEAR
    if task.precision != "int8" or (near and parity.passed):
        return parity
    quantized, count = prepared.quantized(task.format), FAULT_INPUTS if prepared.graph.takes_several else 1
    xs = [x[:count] for x in prepared.reference().inputs]
    how = task.asked.io, task.asked.layout
    fault = file_fault(path, quantized, written.inputs, xs, prepared.preprocessing, how)
    if parity.passed and not _tells(parity):
        return parity
    if fault is not None:
        return parity.model_copy(update={"passed": False, "reasons": (*parity.reasons, str(fault))})
    return _passed_by_layer(parity) if _tells_all(task, path) and is_a_step_beside(parity) else parity


def _tells_all(task: ExportTask, path: Path) -> bool:
    """Whether a file's layers can stand for its answers: it shows them, and nothing is asked of several examples."""
    return path.suffix in SHOWING and not task.together


def _passed_by_layer(parity: ParityRecord) -> ParityRecord:
    return parity.model_copy(update={"passed": True, "reasons": (), "by_layer": True})


def _by_layer(
    task: ExportTask, reference: Reference, written: Written, path: Path, parity: ParityRecord
) -> ParityRecord:
    """The record of an fp32 file. Where rounding decides what the network answers, its layers are judged one by one."""
    graph = None if parity.passed or not _tells_all(task, path) else reference.open_graph()
    if graph is None:
        return parity
    given, how = in_float(graph), (task.asked.io, task.asked.layout)
    for index in range(min(reference.n, FAULT_INPUTS)):
        fault = file_fault(path, given, written.inputs, reference.example(index), None, how)
        if fault is not None:
            return parity.model_copy(update={"reasons": (*parity.reasons, str(fault))})
    return _passed_by_layer(parity)


def _tells(parity: ParityRecord) -> bool:
    """Whether a file is so far from its simulation that a wrong layer counts beside what rounding costs anyway."""
    file, simulation = parity.simulated_snr_db, parity.simulation_snr_db
    return file is not None and (simulation is None or file < simulation + FAULT_MARGIN)


def _job(task: ExportTask, prepared: Prepared, say: Callable[[str], None]) -> WriteJob:
    quantized = prepared.integers(task.format, task.precision)
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
        labels=without_ids(prepared.labels),
        options=_building(task, say) if FORMATS[task.format].is_built else {},
    )


def _building(task: ExportTask, say: Callable[[str], None]) -> dict[str, Any]:
    """How an engine is to be built; what concerns the device stands in devices.yaml."""
    found: dict[str, Any] = {"builder": task.site.builder, "say": say, "max_batch": task.asked.max_batch}
    found["keep_source"] = task.site.not_run(task.format) is not None
    return found | task.site.target.building()


def _rejection(rejected: Path, task: ExportTask, parity: ParityRecord, graph: Graph) -> GateFailed:
    """Why a file that is kept for study may not be used."""
    reasons, remedy = parity.reasons, f"the file is kept for study: edgekit inspect {rejected}"
    if any(reason.startswith("at batch ") for reason in reasons):
        place = moved(graph)
        reasons += (f"layer {place} moves the batch from the first place",) if place else ()
        remedy = f"leave --dynamic-batch out; {remedy}"
    return GateFailed(f"parity failed for {task.format} {task.precision}: {'; '.join(reasons)}", remedy)


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
