"""The accuracies of a side: of the files that were measured, and of those that were evaluated alone."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.comparison.selection import Selection
from edgekit.records.measurement import Accuracy
from edgekit.records.summary import name, subject


def accuracies(side: Selection) -> tuple[Accuracy, ...]:
    """Return the last accuracy of each file of a side for each set of images, device and runtime.

    Of a whole store these are the files that count as measured there; of a subject that was never measured, the last
    that was evaluated under each name.
    """
    files = {one.sha256 for one in side.measurements} | ({side.sha256} if side.sha256 else set())
    if side.is_store:
        found: Iterable[Accuracy] = side.store.accuracies()
    else:
        found = side.store.each("accuracies", Accuracy, sorted(files), "sha256")
    measured = {subject(one) for one in side.measurements}
    last: dict[object, Accuracy] = {}
    for record in sorted(found, key=lambda one: one.created):
        if record.sha256 in files:
            last[record.sha256, conditions(record)] = record
        elif side.is_store and subject(record) not in measured:
            last[name(record), subject(record), conditions(record)] = record
    return tuple(last.values())


def conditions(record: Accuracy) -> tuple[str, str, str]:
    """Return what two accuracies must share to be compared image by image."""
    return record.dataset_hash, record.device, record.runtime


def differences(base: Accuracy, new: Accuracy) -> str:
    """Return why two accuracies must not be compared; an empty string where they may."""
    if base.dataset_hash != new.dataset_hash:
        return f"other images: {base.n:,} of {base.dataset} and {new.n:,} of {new.dataset}"
    words = (("device", base.device, new.device), ("runtime", base.runtime, new.runtime))
    return "; ".join(f"{word} {one} and {two}" for word, one, two in words if one != two)
