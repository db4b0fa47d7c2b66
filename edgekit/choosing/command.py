"""The verb `choose`: which of the stored files to ship to a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgekit.choosing.decide import decide, remarks, unmeasured
from edgekit.choosing.limits import limits
from edgekit.choosing.result import ChooseResult
from edgekit.choosing.unmeasured import Unmeasured, elsewhere, of_device
from edgekit.errors import UsageError, nearest
from edgekit.records import hosts
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.summary import Summary
from edgekit.reporting.cautions import instructions_apart
from edgekit.reporting.rows import Row, rows
from edgekit.stats.losses import losses
from edgekit.storage import finding
from edgekit.storage.filters import NAMED, Names, filters
from edgekit.storage.looking import check_is_there
from edgekit.storage.store import Store, open_store
from edgekit.util.quantity import Quantity


def choose(
    device: str | None = None,
    *,
    max_latency: Quantity = None,
    min_top1: Quantity = None,
    max_bytes: Quantity = None,
    max_memory: Quantity = None,
    max_drop: Quantity = None,
    model: Names = None,
    format: Names = None,
    precision: Names = None,
    runtime: Names = None,
    threads: int | None = None,
    batch: int | None = None,
    store: Store | str | None = None,
) -> ChooseResult:
    """Choose the file to ship to `device` from what a store holds.

    Of the files that hold every limit, the most accurate one leads; among those that its images cannot tell apart from
    it, the quickest is chosen. Limits are numbers (milliseconds, percent, bytes) or texts such as "10ms", "70%", "5MB".
    `max_drop` is the most points of top-1 that a file may lose against the fp32 file of the same network and weights,
    image by image. A limit that lies inside an interval cannot be told: such a file is neither passed nor failed, and
    never chosen. Of a file under the same run conditions the latest measurement counts, of its accuracies the latest.

    `device` may be left out where the store knows one only. `model` names networks or variants; `format`, `precision`
    and `runtime` leave files and latencies of these only. `threads` and `batch` are needed where the device was
    measured under several. Where all that was to be measured on the device failed, the result says why, and names no
    file. Raises UsageError for an empty store, an unknown name, a wrong limit, or latencies that must not be ranked
    together.
    """
    wanted = limits(max_latency, min_top1, max_bytes, max_memory, max_drop)
    only = filters(None, None, None, None, format, precision, runtime)
    source = store if isinstance(store, Store) else open_store(store)
    place, measured, away = _measured(device, threads, batch, source)
    accuracies = sorted(source.accuracies(), key=lambda record: record.created)
    found = _of_model(_rows(source, measured, accuracies), model)
    for field in NAMED:
        found = _only(found, field, getattr(only, field))
    hits = {record.sha256: record.hits for record in accuracies}
    lost = losses(accuracies, wanted.max_drop)
    if away is None:
        decision = decide(found, hits, wanted, lost)
    else:
        decision = unmeasured(f"{place} was not measured: {away.why}", away.remedy, found, hits, wanted, lost)
    notes = (*instructions_apart(found), *(remarks(decision.chosen.row) if decision.chosen else ()))
    return ChooseResult(
        place,
        wanted,
        decision.verdict,
        decision.reason,
        decision.chosen,
        decision.others,
        notes,
        decision.remedy,
        decision.provisional,
        decision.beside_best,
    )


def _measured(
    device: str | None, threads: int | None, batch: int | None, store: Store
) -> tuple[str, list[Summary], Unmeasured | None]:
    """The place that is meant, what was measured there and may be ranked together, and why there is nothing of it."""
    # What a device does under sustained load is another number, and not ranked with these.
    summaries = [one for one in finding.all_of(store) if one.sustained_seconds is None]
    away = _away(device, summaries, store)
    if away is not None:
        return away.device, [], away
    place, found = _on_device(summaries, device, store)
    return place, _alike(found, threads, batch), None


def _away(device: str | None, summaries: Sequence[Summary], store: Store) -> Unmeasured | None:
    """What failed on a device that has no measurement; without a name, on the first where nothing has any."""
    if device is None:
        return None if summaries else next(iter(elsewhere(store.failures(), set())), None)
    return None if _is_known(device, summaries) else of_device(device, store.failures())


def _is_known(device: str, summaries: Sequence[Summary]) -> bool:
    ambiguous = hosts.shared((one.device, one.host) for one in summaries)
    return any(device in (one.device, one.run_conditions.place(ambiguous)) for one in summaries)


def _on_device(summaries: Sequence[Summary], device: str | None, store: Store) -> tuple[str, list[Summary]]:
    """The place that `device` means, and what was measured there."""
    if not summaries:
        check_is_there(store)
        raise UsageError(
            f"the store {store.shown} holds no measurement", "run `edgekit bench` on the files first, or give --store"
        )
    ambiguous = hosts.shared((one.device, one.host) for one in summaries)
    by_place: dict[str, list[Summary]] = {}
    for one in summaries:
        by_place.setdefault(one.run_conditions.place(ambiguous), []).append(one)
    names = [name for name, some in by_place.items() if device in (None, name, some[0].device)]
    if not names:
        known = ", ".join(by_place)
        hint = nearest(device or "", by_place)
        raise UsageError(
            f"nothing was measured on '{device}'{hint}", f"choose one of: {known}, or give another --store"
        )
    if len(names) > 1:
        what = f"'{device}' means" if device else "the store has measurements of"
        raise UsageError(
            f"{what} several: {', '.join(names)}", f"give one, say --device '{names[0]}'; a report answers for each"
        )
    return names[0], by_place[names[0]]


def _alike(found: list[Summary], threads: int | None, batch: int | None) -> list[Summary]:
    """Those whose latencies may be ranked together: of one number of threads, and one batch."""
    for option, asked in (("threads", threads), ("batch", batch)):
        there = sorted({int(getattr(one, option)) for one in found})
        told = ", ".join(map(str, there))
        if asked is None and len(there) > 1:
            raise UsageError(
                f"the latencies are of several --{option}: {told}", f"say which counts, as in --{option} {there[0]}"
            )
        if asked is not None and asked not in there:
            raise UsageError(f"nothing was measured there with --{option} {asked}", f"there is --{option} {told}")
        found = [one for one in found if asked is None or getattr(one, option) == asked]
    return found


def _rows(store: Store, measured: Iterable[Summary], accuracies: Sequence[Accuracy]) -> tuple[Row, ...]:
    """The rows of the latest measurement of each file under its run conditions, and of what was only evaluated."""
    latest = {(one.sha256, one.run_conditions): one.id for one in measured}
    records = store.each("measurements", Measurement, list(latest.values()))
    return rows(records, accuracies, resample=True)


def _of_model(found: tuple[Row, ...], model: Names) -> tuple[Row, ...]:
    if model is None:
        return found
    words = [model] if isinstance(model, str) else list(model)
    known = dict.fromkeys(name for row in found for name in (row.model, row.variant) if name)
    for word in words:
        if word not in known:
            raise UsageError(f"the store has no '{word}'{nearest(word, known)}", f"choose of: {', '.join(known)}")
    return tuple(row for row in found if row.model in words or row.variant in words)


def _only(found: tuple[Row, ...], field: str, names: Sequence[str]) -> tuple[Row, ...]:
    """The rows whose field has one of the names, if there are any. Raises UsageError for one that none of them has."""
    known = dict.fromkeys(value for row in found if (value := getattr(row, field)))
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        remedy = f"choose of: {', '.join(known)}" if known else f"leave --{field} out"
        raise UsageError(f"no such file here has --{field} {missing}", remedy)
    return tuple(row for row in found if getattr(row, field) in names) if names else found
