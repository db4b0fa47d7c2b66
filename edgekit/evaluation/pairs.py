"""Which file each further one is compared with, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.records.measurement import Accuracy
from edgekit.util.formatting import fixed


def bases(records: Sequence[Accuracy], against: int | None = None) -> list[int | None]:
    """Return for each record the place of the one that it is compared with, or None.

    That is the one at `against`. Without, it is the record's own fp32 file: the same variant, weights and source, in
    the same format where there is one. What has none is compared with the first record that has none.
    """
    if against is not None:
        return [None if place == against else against for place in range(len(records))]
    found = [_own_float(one, records) for one in records]
    first = next((place for place, base in enumerate(found) if base is None), None)
    return [first if base is None and place != first else base for place, base in enumerate(found)]


def _own_float(one: Accuracy, records: Sequence[Accuracy]) -> int | None:
    if one.manifest is None or one.manifest.precision == "fp32":
        return None
    fits = [
        place
        for place, other in enumerate(records)
        if other.manifest is not None and other.manifest.precision == "fp32" and _network(other) == _network(one)
    ]
    return next((place for place in fits if records[place].format == one.format), next(iter(fits), None))


def _network(record: Accuracy) -> object:
    known = record.manifest
    return known and (known.variant, known.weights.id, known.source and known.source.sha256)


def in_words(pair: Mapping[str, Any]) -> str:
    """Return a difference, as the JSON of an evaluation has it, in one line."""
    low, high = (fixed(100 * bound, 2, "+") for bound in pair["ci95"])
    names = {key: str(pair[key]).rpartition("/")[2] for key in ("artifact", "base")}
    points = fixed(100 * pair["top1_difference"], 2, "+")
    return f"{names['artifact']}: {points} points (95 % paired {low} .. {high}) against {names['base']}"
