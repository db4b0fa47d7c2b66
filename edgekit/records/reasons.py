"""The reasons of a verdict in short: those of many measurements said once, with what they have in common.

A reason is stored as "level: cause; advice" (edgekit.measure.verdict), once for each measurement and with its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LEVELS = ("invalid", "suspect")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w.]*\d)")
NO_REASON = "no reason was recorded"


@dataclass(frozen=True)
class Reason:
    """A cause, what to do about it, and the places in the list of those whose reason it is."""

    cause: str
    advice: str
    places: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.cause, self.advice)))


def pooled(verdict: str, reasons: Sequence[Sequence[str]]) -> tuple[Reason, ...]:
    """Return the reasons why several measurements have one verdict, each once, with the places of those that have it.

    Causes that differ in their numbers alone are one, which tells the least and the greatest of each number. Reasons of
    another level, and what is only unknown, are left out where there are reasons of the verdict itself.
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for place, some in enumerate(reasons):
        for reason in _decisive(verdict, some) or (NO_REASON,):
            cause, advice = _split(reason)
            found.setdefault((_NUMBER.sub("#", cause), advice), []).append((place, cause))
    return tuple(
        Reason(_ranged([cause for _, cause in causes]), advice, tuple(dict.fromkeys(place for place, _ in causes)))
        for (_, advice), causes in found.items()
    )


def each_once(measured: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield what is to be said of measurements, each with its verdict and reasons, and the places of those it is of.

    First why they are invalid, then why they are suspect, each with that word; then what is not known of their devices.
    """
    for level in LEVELS:
        concerned = [place for place, (verdict, _) in enumerate(measured) if verdict == level]
        for one in pooled(level, [measured[place][1] for place in concerned]):
            yield f"{level}: {one}", tuple(concerned[place] for place in one.places)
    others: dict[str, list[int]] = {}
    for place, (verdict, reasons) in enumerate(measured):
        said = _decisive(verdict, reasons) if verdict in LEVELS else ()
        for reason in (one for one in reasons if one not in said and not _has_level(one)):
            others.setdefault(reason, []).append(place)
    yield from ((reason, tuple(places)) for reason, places in others.items())


def in_words(reasons: Iterable[Reason]) -> str:
    """Return reasons as one text, each advice once behind its causes."""
    by_advice: dict[str, list[str]] = {}
    for one in reasons:
        by_advice.setdefault(one.advice, []).append(one.cause)
    return "; ".join("; ".join(filter(None, (", ".join(some), advice))) for advice, some in by_advice.items())


def causes(verdict: str, reasons: Sequence[str]) -> str:
    """Return why one measurement has its verdict, without the verdict's word: it stands before it already."""
    return in_words(pooled(verdict, [reasons]))


def _decisive(verdict: str, reasons: Sequence[str]) -> Sequence[str]:
    """The reasons of the verdict itself; all of them where none says its level."""
    own = [one for one in reasons if one.startswith(f"{verdict}: ")]
    return own or [one for one in reasons if not _has_level(one)]


def _has_level(reason: str) -> bool:
    return reason.startswith(tuple(f"{level}: " for level in LEVELS))


def _split(reason: str) -> tuple[str, str]:
    """The cause and the advice of a reason."""
    level, colon, rest = reason.partition(": ")
    told = rest if colon and level in LEVELS else reason
    cause, mark, advice = told.rpartition("; ")
    return (cause, advice) if mark else (advice, "")


def _ranged(told: Sequence[str]) -> str:
    """One text for texts that differ in numbers alone: "0.4 to 0.9 processors"."""
    columns = zip(*map(_NUMBER.findall, told), strict=True)
    return _NUMBER.sub(lambda _: _range(next(columns)), told[0])


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(numbers, key=lambda one: float(one.replace(",", "")))
    low, high = ordered[0], ordered[-1]
    return low if float(low.replace(",", "")) == float(high.replace(",", "")) else f"{low} to {high}"
