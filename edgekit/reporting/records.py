"""What a report is of: all records of a store or its last ones, read one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.summary import Summary
from edgekit.reporting.rows import MAX_RESAMPLED
from edgekit.storage import finding
from edgekit.storage.store import FailedCell, Store


@dataclass(frozen=True)
class Records:
    """The records of a report; `latest` are the measurements that have a row, `resample`: as of report_rows.rows."""

    measurements: Iterable[Measurement]
    latest: Iterable[Measurement]
    accuracies: Iterable[Accuracy]
    failures: Sequence[FailedCell]
    resample: bool | None = None


@dataclass(frozen=True)
class _Anew:
    """What is read from the beginning whenever it is gone through."""

    read: Callable[[], Iterator[Measurement]]

    def __iter__(self) -> Iterator[Measurement]:
        return self.read()


def from_store(store: Store, last: int | None) -> Records:
    """The records of a store, or of its last measurements; which have a row is known before any is read."""
    chosen = finding.all_of(store) if last is None else iter(finding.last(store, last))
    kept: dict[object, str] = {}
    ids, files, oldest = [], set(), ""
    for one in chosen:
        kept[_key(one)] = one.id
        ids.append(one.id)
        files.add(one.sha256)
        oldest = oldest or one.created
    return Records(
        measurements=_Anew(lambda: store.each("measurements", Measurement, ids)),
        latest=_Anew(lambda: store.each("measurements", Measurement, list(kept.values()))),
        accuracies=store.each("accuracies", Accuracy, None if last is None else sorted(files), "sha256"),
        failures=[one for one in store.failures() if last is None or one.created >= oldest],
        resample=len(kept) <= MAX_RESAMPLED,
    )


def _key(one: Summary) -> tuple[object, ...]:
    return one.sha256, one.run_conditions
