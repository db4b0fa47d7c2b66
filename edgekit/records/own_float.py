"""Which evaluated file is the float file that another one comes from."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.records.measurement import Accuracy

FLOAT = "fp32"


def is_float(record: Accuracy) -> bool:
    """Whether a file is known to hold float32 numbers."""
    return record.manifest is not None and record.manifest.precision == FLOAT


def own_float(one: Accuracy, among: Iterable[Accuracy]) -> Accuracy | None:
    """Return the fp32 file of the same variant, weights and source: of the same format, where there is one.

    None of a float file, and of a file that does not tell what it was made from.
    """
    if one.manifest is None or is_float(one):
        return None
    fits = [other for other in among if is_float(other) and _network(other) == _network(one)]
    return min(fits, key=lambda other: other.format != one.format, default=None)


def _network(record: Accuracy) -> object:
    known = record.manifest
    return known and (known.variant, known.weights.id, known.source and known.source.sha256)
