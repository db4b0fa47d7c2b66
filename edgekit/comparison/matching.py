"""Which measurement of the new side belongs to which of the base: nothing is left out, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edgekit.comparison.selection import Selection
from edgekit.errors import UsageError
from edgekit.records.conditions import run_conditions
from edgekit.records.measurement import Measurement
from edgekit.records.summary import name, subject

Alike = Callable[[Measurement, Measurement], bool]
ONE_BY_ONE = "compare them one by one: give their paths, or their ids from `edgekit bench --json`"


def pairs(base: Selection, new: Selection) -> dict[str, Measurement]:
    """The new side's measurement of each id of the base that has one.

    A measurement under other run conditions is matched only when nothing fits better. Of several files of one subject,
    those of the same bytes are matched first, then those of the same name and weights, then what is left when that is
    one on each side.
    Raises UsageError where several are left.
    """
    found: dict[str, Measurement] = {}
    left, others = list(base.measurements), list(new.measurements)
    same_subject: Alike = _any if base.is_file and new.is_file else _same_subject
    for near in (_same_conditions, _perhaps_same_conditions, _any):
        for alike in (_same_bytes, _same_name, _any):
            for one in tuple(left):
                fits = [two for two in others if _all(one, two, same_subject, near, alike)]
                rivals = [rival for rival in left if any(_all(rival, two, same_subject, near, alike) for two in fits)]
                if fits and (near is _any or len(fits) == len(rivals) == 1):  # other conditions are no match anyway
                    found[one.id] = fits[0]
                    left.remove(one)
                    others.remove(fits[0])
                elif fits and alike is _any:
                    raise _ambiguous(rivals, fits)
    return found


def _all(one: Measurement, two: Measurement, *alike: Alike) -> bool:
    return all(test(one, two) for test in alike)


def _any(one: Measurement, two: Measurement) -> bool:
    return True


def _same_subject(one: Measurement, two: Measurement) -> bool:
    return subject(one) == subject(two)


def _same_conditions(one: Measurement, two: Measurement) -> bool:
    return run_conditions(one) == run_conditions(two)


def _perhaps_same_conditions(one: Measurement, two: Measurement) -> bool:
    """Of older records, which tell no machine."""
    a, b = run_conditions(one), run_conditions(two)
    return None in (a.host, b.host) and replace(a, host=None) == replace(b, host=None)


def _same_bytes(one: Measurement, two: Measurement) -> bool:
    return one.sha256 == two.sha256


def _same_name(one: Measurement, two: Measurement) -> bool:
    return name(one) == name(two)


def _ambiguous(base: Sequence[Measurement], new: Sequence[Measurement]) -> UsageError:
    sides = (", ".join(f"{one.artifact} ({one.id})" for one in side) for side in (base, new))
    return UsageError("cannot tell which of {} belongs to which of {}".format(*sides), ONE_BY_ONE)
