"""Which file each further one is compared with, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.records.measurement import Accuracy
from edgekit.records.own_float import own_float
from edgekit.util.formatting import fixed


def bases(records: Sequence[Accuracy], against: int | None = None) -> list[int | None]:
    """Return for each record the place of the one that it is compared with, or None.

    That is the one at `against`. Without, it is the record's own fp32 file: the same variant, weights and source, in
    the same format where there is one. What has none is compared with the first record that has none.
    """
    if against is not None:
        return [None if place == against else against for place in range(len(records))]
    places = {id(record): place for place, record in enumerate(records)}
    floats = [own_float(one, records) for one in records]
    found = [None if base is None else places[id(base)] for base in floats]
    first = next((place for place, base in enumerate(found) if base is None), None)
    return [first if base is None and place != first else base for place, base in enumerate(found)]


def in_words(pair: Mapping[str, Any]) -> str:
    """Return a difference, as the JSON of an evaluation has it, in one line."""
    low, high = (fixed(100 * bound, 2, "+") for bound in pair["ci95"])
    names = {key: str(pair[key]).rpartition("/")[2] for key in ("artifact", "base")}
    points = fixed(100 * pair["top1_difference"], 2, "+")
    return f"{names['artifact']}: {points} points (95 % paired {low} .. {high}) against {names['base']}"
