"""The remark on an accuracy that a guess would reach: then something else is wrong than the file's arithmetic."""

from __future__ import annotations

from edgekit.records.measurement import Accuracy
from edgekit.stats.proportions import is_at_chance


def at_chance(record: Accuracy, classes: int) -> str | None:
    """Return what to check where a file is no better than a guess among `classes`; 0 classes: not known."""
    if not is_at_chance(record.correct1, record.n, classes):
        return None
    return (
        f"{record.artifact}: its top-1 is not above chance, 1 of {classes} classes; check its weights, resolution, "
        "preprocessing and labels"
    )


def told_by_manifest(record: Accuracy) -> str | None:
    """Return the same, with the classes that the file's manifest tells."""
    known = record.manifest
    return None if known is None else at_chance(record, known.variant.classes - known.preprocessing.class_offset)
