"""What a report is of: all records of a store, or those that filters mean, read one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.summary import Summary
from edgekit.reporting.rows import MAX_RESAMPLED
from edgekit.storage import finding
from edgekit.storage.filters import Filters
from edgekit.storage.looking import of_kind
from edgekit.storage.store import Store


@dataclass(frozen=True)
class Records:
    """The records of a report; `latest` are the measurements that have a row, `resample` is as for rows()."""

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


def from_store(store: Store, wanted: Filters) -> Records:
    """Return the records of a store that are meant; which have a row is known before any is read.

    With each measurement comes the accuracy of its file, whenever it was evaluated. `latest` counts measurements; with
    it, a failure is told that is not older than the first of them.
    """
    kept: dict[object, str] = {}
    ids, files, oldest = [], set(), ""
    for one in finding.meant(store, wanted) if wanted else finding.all_of(store):
        kept[_key(one)] = one.id
        ids.append(one.id)
        files.add(one.sha256)
        oldest = oldest or one.created
    failures = replace(wanted, latest=None, since=oldest if wanted.latest else wanted.since)
    return Records(
        measurements=_Anew(lambda: store.each("measurements", Measurement, ids)),
        latest=_Anew(lambda: store.each("measurements", Measurement, list(kept.values()))),
        accuracies=_accuracies(store, wanted, sorted(files)) if wanted else store.each("accuracies", Accuracy),
        failures=store.failures([one.id for one in of_kind(store, "failures", failures)])
        if failures
        else store.failures(),
        resample=len(kept) <= MAX_RESAMPLED,
    )


def _accuracies(store: Store, wanted: Filters, files: Sequence[str]) -> Iterator[Accuracy]:
    """Those of the files, and where nothing is asked of measurements alone, those that are meant themselves."""
    yield from store.each("accuracies", Accuracy, files, "sha256")
    if wanted.device is None and wanted.latest is None and not store.is_missing:
        yield from store.accuracies([one.id for one in of_kind(store, "accuracies", wanted)])


def _key(one: Summary) -> tuple[object, ...]:
    return one.sha256, one.run_conditions
