"""Which record of the new side belongs to which of the base: nothing is left out, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from edgekit.comparison.evaluated import conditions
from edgekit.errors import UsageError
from edgekit.records.conditions import run_conditions
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.summary import name, subject

Record = TypeVar("Record", Measurement, Accuracy)
Pairs = Sequence[tuple[Record, Record | None]]  # of the base, and what belongs to it
Alike = Callable[[Any, Any], bool]
ONE_BY_ONE = "compare them one by one: give their paths, or their ids from `edgekit bench --json`"


def pairs(base: Sequence[Record], new: Sequence[Record], same_subject: bool = True) -> Pairs[Record]:
    """Return each record of the base, with that of the new side which belongs to it, or None.

    A record under other conditions is matched only when nothing fits better. Of several files of one subject, those of
    the same bytes are matched first, then those of the same name and weights, then what is left when that is one on
    each side. Files of other subjects are matched only without `same_subject`, as two files that were named are.
    Raises UsageError where several are left.
    """
    found: dict[str, Record] = {}
    left, others = list(base), list(new)
    subjects: Alike = _same_subject if same_subject else _any
    for near in (_same_conditions, _perhaps_same_conditions, _any):
        for alike in (_same_bytes, _same_name, _any):
            for one in tuple(left):
                fits = [two for two in others if _all(one, two, subjects, near, alike)]
                rivals = [rival for rival in left if any(_all(rival, two, subjects, near, alike) for two in fits)]
                if fits and (near is _any or len(fits) == len(rivals) == 1):  # other conditions are no match anyway
                    found[one.id] = fits[0]
                    left.remove(one)
                    others.remove(fits[0])
                elif fits and alike is _any:
                    raise _ambiguous(rivals, fits)
    return [(one, found.get(one.id)) for one in base]


def _all(one: Any, two: Any, *alike: Alike) -> bool:
    return all(test(one, two) for test in alike)


def _any(one: Any, two: Any) -> bool:
    return True


def _same_subject(one: Any, two: Any) -> bool:
    return subject(one) == subject(two)


def _same_conditions(one: Record, two: Record) -> bool:
    if isinstance(one, Measurement) and isinstance(two, Measurement):
        return run_conditions(one) == run_conditions(two)
    return isinstance(one, Accuracy) and isinstance(two, Accuracy) and conditions(one) == conditions(two)


def _perhaps_same_conditions(one: Any, two: Any) -> bool:
    """Of older measurements, which tell no machine."""
    if isinstance(one, Accuracy):
        return False
    a, b = run_conditions(one), run_conditions(two)
    return None in (a.host, b.host) and replace(a, host=None) == replace(b, host=None)


def _same_bytes(one: Any, two: Any) -> bool:
    return bool(one.sha256 == two.sha256)


def _same_name(one: Any, two: Any) -> bool:
    return name(one) == name(two)


def _ambiguous(base: Sequence[Record], new: Sequence[Record]) -> UsageError:
    sides = (", ".join(f"{one.artifact} ({one.id})" for one in side) for side in (base, new))
    return UsageError("cannot tell which of {} belongs to which of {}".format(*sides), ONE_BY_ONE)
