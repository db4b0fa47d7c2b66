"""Rows of a report: measurements joined with the accuracies of the same file. No disk, no clock, no device.

A row is one file under one set of run conditions (edgekit.records.conditions), of which the latest record counts. A
file that was only evaluated, or only measured, has a row too: what is not known is None, and `missing` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from edgekit.records import hosts
from edgekit.records.conditions import RunConditions, instructions, load, place, run_conditions, way
from edgekit.records.formats import PRECISIONS
from edgekit.records.manifest import Manifest
from edgekit.records.measurement import INVALID, Accuracy, Measurement
from edgekit.reporting.labels import labels, shorts
from edgekit.reporting.row_accuracy import accuracy_of
from edgekit.reporting.row_facts import provenance, quantiles
from edgekit.stats.latency import Latency, latency
from edgekit.stats.medians import Interval
from edgekit.stats.pareto import front
from edgekit.stats.sustained import sustained
from edgekit.util.formatting import counted

MAX_RESAMPLED = 500  # measurements: a report of more must not take minutes, and leaves resampled intervals out
TIMES = ("median_ms", "p90_ms", "first_ms", "load_ms")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the report. Accuracies are fractions of 1; bytes, MACs and parameters are integers."""

    label: str = ""  # unique in the report
    short: str  # the variant, without the network's name where the report is of one network
    variant: str
    model: str | None = None
    family: str | None = None
    alpha: float | None = None
    resolution: int | None = None
    format: str
    precision: str | None = None
    weights: str | None = None  # origin
    trained: bool | None = None
    device: str | None = None
    host: str | None = None  # which machine that is
    place: str | None = None  # the device in its power mode, with the host where several share its name
    power_mode: str | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    provider: str | None = None
    delegate: str | None = None
    sizes: str | None = None  # of inputs that are free in the file
    sustained_seconds: int | None = None  # of load without a pause; None: in bursts
    instructions: str | None = None  # of the processor that the latency is of, as far as int8 kernels look for them
    way: str | None = None  # the provider or delegate, for people
    threads: int | None = None
    batch: int | None = None
    macs: int | None = None
    params: int | None = None
    bytes: int | None = None
    top1: float | None = None
    top1_ci95: Interval | None = None
    top5: float | None = None
    top5_ci95: Interval | None = None
    images: int | None = None
    dataset: str | None = None  # the folder's name, which other images may share
    dataset_hash: str | None = None
    accuracy_instructions: str | None = None  # of the processor that answered
    median_ms: float | None = None
    ci95_ms: Interval | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    first_ms: float | None = None
    load_ms: float | None = None
    throughput_per_s: float | None = None
    samples: int | None = None
    processes: int | None = None
    quantiles_ms: tuple[float, ...] | None = None  # least, 10, 25, 50, 75, 90, 99 %, greatest
    peak_memory_bytes: int | None = None
    baseline_memory_bytes: int | None = None
    ideal_memory_bytes: int | None = None
    arena_memory_bytes: int | None = None
    memory_method: str | None = None
    parity: bool | None = None
    parity_error: float | None = None  # largest absolute error
    verdict: str
    reasons: tuple[str, ...] = ()
    front_macs: bool = False
    front_params: bool = False
    front_latency: bool = False
    created: str
    artifact: str  # the file's name
    path: str | None = None  # as it was named when it was measured or evaluated; None in older records
    sha256: str
    published: tuple[dict[str, Any], ...] = ()
    profile: dict[str, Any] | None = None  # by layer, where one was taken
    sustained: dict[str, Any] | None = None  # the windows of sustained load, and its first minute against its last
    missing: dict[str, str]  # field -> why it is None
    provenance: dict[str, dict[str, Any]]  # section -> what -> value

    @property
    def conditions(self) -> str | None:
        """What the rows of one front share: device, power mode, threads, batch. What runs a file there is a choice."""
        if self.median_ms is None or self.threads is None:
            return None
        known = f"{self.place}, {counted(self.threads, 'thread')}, batch {self.batch}"
        return ", ".join(filter(None, (known, self.sizes, load(self.sustained_seconds))))

    @property
    def setting(self) -> str | None:
        """The conditions, and the provider or delegate."""
        return self.conditions and ", ".join(filter(None, (self.conditions, self.way)))

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values, `conditions` and `setting` among them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"conditions": self.conditions, "setting": self.setting}


def rows(
    measurements: Iterable[Measurement], accuracies: Iterable[Accuracy], resample: bool | None = None
) -> tuple[Row, ...]:
    """Return every row, sorted by network, then from more to fewer MACs, then by precision, format and run conditions.

    Each record is let go as soon as its row is made, where it is told whether to `resample`; else they are counted.
    """
    if resample is None:
        measurements = list(measurements)
        resample = len({_key(record) for record in measurements}) <= MAX_RESAMPLED
    evaluated = _latest((record.sha256, record.created, record) for record in accuracies)
    measured = _latest(
        (_key(record), record.created, _measured_row(record, evaluated.get(record.sha256), resample))
        for record in measurements
    )
    found = _placed(list(measured.values()))
    seen = {row.sha256 for row in found}
    found += [_evaluated_row(record) for sha256, record in evaluated.items() if sha256 not in seen]
    found.sort(key=_order)
    fronts = _fronts(found)
    return tuple(
        replace(
            row,
            label=label,
            short=short,
            front_macs=index in fronts["macs"],
            front_params=index in fronts["params"],
            front_latency=index in fronts["latency"],
        )
        for index, (row, label, short) in enumerate(zip(found, labels(found), shorts(found), strict=True))
    )


def _key(record: Measurement) -> tuple[str, RunConditions]:
    return record.sha256, run_conditions(record)


def _latest(records: Iterable[tuple[Any, str, T]]) -> dict[Any, T]:
    """What was created last under each key; of two at the same time, the later."""
    kept: dict[Any, tuple[str, T]] = {}
    for key, created, record in records:
        if key not in kept or created >= kept[key][0]:
            kept[key] = created, record
    return {key: record for key, (_, record) in kept.items()}


def _placed(found: list[Row]) -> list[Row]:
    """The rows with their device's place: which names mean several machines is known when all are there."""
    ambiguous = hosts.shared((row.device, row.host) for row in found)
    return [replace(row, place=place(row.device, row.host, row.power_mode, ambiguous)) for row in found]


def _measured_row(record: Measurement, evaluated: Accuracy | None, resample: bool) -> Row:
    missing: dict[str, str] = {}
    time, lasting = latency(record.runs, run_conditions(record).batch, resample), sustained(record)
    if time is None:
        missing |= dict.fromkeys(TIMES, "no sample was taken")
    if record.memory.peak_bytes is None:
        missing["peak_memory_bytes"] = record.memory.reason or "not measured"
    if record.memory.baseline_bytes is None:
        missing["baseline_memory_bytes"] = record.memory.baseline_reason or "not recorded why"
    if record.memory.ideal_bytes is None:
        missing["ideal_memory_bytes"] = "only files that edgekit made tell it"
    return Row(
        **_identity(record, missing),
        **_conditions(record),
        **accuracy_of(record.manifest, evaluated, missing),
        **_times(time, missing),
        quantiles_ms=quantiles(record.runs),
        peak_memory_bytes=record.memory.peak_bytes,
        baseline_memory_bytes=record.memory.baseline_bytes,
        ideal_memory_bytes=record.memory.ideal_bytes,
        arena_memory_bytes=record.memory.arena_bytes,
        memory_method=record.memory.method,
        verdict=record.verdict,
        reasons=(*record.reasons, lasting.words) if lasting else record.reasons,
        created=max(record.created, evaluated.created) if evaluated else record.created,
        profile=record.profile.to_json() if record.profile else None,
        sustained=lasting.to_json() if lasting else None,
        missing=missing,
        provenance=provenance(record, evaluated),
    )


def _evaluated_row(record: Accuracy) -> Row:
    missing = dict.fromkeys(
        (*TIMES, "peak_memory_bytes", "baseline_memory_bytes", "ideal_memory_bytes"),
        "not measured with `edgekit bench`",
    )
    return Row(
        **_identity(record, missing),
        **accuracy_of(record.manifest, record, missing),
        verdict="not measured",
        created=record.created,
        missing=missing,
        provenance=provenance(None, record),
    )


def _identity(record: Measurement | Accuracy, missing: dict[str, str]) -> dict[str, Any]:
    """What the file is, from its manifest where there is one; label and fronts are given later."""
    known = record.manifest
    found: dict[str, Any] = {"format": record.format, "artifact": record.artifact, "sha256": record.sha256}
    found |= {"path": record.found.get("path")} | ({"bytes": record.bytes} if isinstance(record, Measurement) else {})
    if known is None:
        foreign = "a foreign file: it has no manifest that would say so"
        missing |= dict.fromkeys(("precision", "weights", "macs", "params", "parity"), foreign)
        if "bytes" not in found:
            missing["bytes"] = "not recorded when this foreign file was evaluated"
        return found | {"short": record.artifact, "variant": record.artifact}
    point = known.variant
    return {"bytes": known.bytes, **found} | {
        "short": point.name,
        "variant": point.name,
        "model": point.model,
        "family": point.family,
        "alpha": point.alpha,
        "resolution": point.resolution,
        "precision": known.precision,
        "weights": known.weights.origin,
        "trained": known.weights.trained,
        "macs": known.macs,
        "params": known.params,
        "parity": known.parity.passed,
        "parity_error": known.parity.max_abs_error,
        "published": _published(known),
    }


def _published(known: Manifest) -> tuple[dict[str, Any], ...]:
    """The published rows of this point, which an export may leave in the manifest's details."""
    rows = known.details.get("published", ())
    return tuple(row for row in rows if isinstance(row, dict) and isinstance(row.get("top1"), float))


def _conditions(record: Measurement) -> dict[str, Any]:
    """How it was taken; the place is given later."""
    told = {"runtime_version": record.found.get("runtime_version"), "way": way(record), "place": None}
    told["instructions"] = instructions(record)
    return {**asdict(run_conditions(record)), **told}


def _times(time: Latency | None, missing: dict[str, str]) -> dict[str, Any]:
    if time is None:
        return {}
    for name, word in (("ci95_ms", "interval"), ("p90_ms", "p90"), ("p99_ms", "p99")):
        reason = next((reason for reason in time.reasons if reason.startswith(f"no {word}")), None)
        missing |= {name: reason} if reason else {}
    names = (*TIMES, "ci95_ms", "p99_ms", "throughput_per_s", "processes")
    return {name: getattr(time, name) for name in names} | {"samples": time.n}


def _order(row: Row) -> tuple[Any, ...]:
    place = [*PRECISIONS, row.precision].index(row.precision)  # another one comes last
    network = (row.model is None, row.model or "", -(row.macs or 0), row.variant, place, row.format, row.weights or "")
    where = (row.place or "", row.runtime or "", row.way or "", row.threads or 0, row.batch or 0)
    return (*network, *where, row.sustained_seconds or 0, row.sha256)


def _fronts(found: Sequence[Row]) -> dict[str, set[int]]:
    """The indices of rows that no other row beats: in MACs and in parameters among all files, in latency under
    the same conditions."""
    groups: dict[str | None, list[int]] = {}
    for index, row in enumerate(found):
        if counts_for_latency(row):
            groups.setdefault(row.conditions, []).append(index)
    fastest = (
        _unbeaten(group, [(found[i].median_ms or 0, found[i].top1 or 0) for i in group]) for group in groups.values()
    )
    return {cost: _cheapest(found, cost) for cost in ("macs", "params")} | {"latency": set().union(*fastest)}


def _cheapest(found: Sequence[Row], cost: str) -> set[int]:
    counted = [index for index, row in enumerate(found) if row.top1 is not None and getattr(row, cost) is not None]
    return _unbeaten(counted, [(getattr(found[i], cost), found[i].top1 or 0) for i in counted])


def _unbeaten(chosen: Sequence[int], points: Sequence[tuple[float, float]]) -> set[int]:
    return {index for index, kept in zip(chosen, front(points), strict=True) if kept}


def counts_for_latency(row: Row) -> bool:
    """Whether a row may stand on the latency front: evaluated, and with a latency of its own."""
    return row.top1 is not None and has_latency(row)


def has_latency(row: Row) -> bool:
    """Whether a latency may be ranked: measured, not judged invalid, and not of the runtime that runs nothing."""
    return row.median_ms is not None and row.verdict != INVALID and row.runtime != "null"
