"""Where no file is known to hold every limit: why, which one would be shipped nevertheless, and what would tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgekit.choosing.gaps import INVALID_LATENCY, OTHER_IMAGES, UNEVALUATED, UNTRAINED, Gap
from edgekit.choosing.level import Hits, compared
from edgekit.choosing.limits import Limits, why_no_latency, why_no_top1
from edgekit.choosing.result import CANNOT_DECIDE, CANNOT_TELL, NONE_FITS, Candidate
from edgekit.records.measurement import INVALID
from edgekit.records.reasons import in_words, pooled
from edgekit.reporting.rows import Row
from edgekit.util.formatting import counted, percent, some

NOT_RANKED = {OTHER_IMAGES, UNEVALUATED, UNTRAINED}  # nothing says how accurate such a file is beside the others
MOST_REMEDIES = 2


def nothing(judged: Sequence[Candidate]) -> tuple[str, str]:
    """Return the verdict and its reason where no candidate fits for sure."""
    left_open = _open(judged)
    if not left_open:
        return NONE_FITS, f"none of {counted(len(judged), 'candidate')} holds every limit"
    if len(left_open) == len(judged) and all(one.row.top1 is None for one in judged):
        return CANNOT_DECIDE, f"no candidate has an accuracy: {_each_once(judged, why_no_top1)}"
    if all(one.row.median_ms is None for one in judged):
        return CANNOT_DECIDE, f"no candidate has a latency: {_each_once(judged, why_no_latency)}"
    if all(one.is_invalid for one in left_open):
        every = "every latency is" if len(left_open) == len(judged) else "the latencies that count are"
        return CANNOT_DECIDE, f"{every} invalid: {_why_invalid(left_open)}"
    number = f"{counted(len(left_open), 'candidate')} of {len(judged)}"
    told = "; ".join(_told(gap, whose) for gap, whose in _by_gap(left_open).items())
    return CANNOT_DECIDE, f"no candidate is known to hold every limit, and {number} cannot be told: {told}"


def provisional(candidates: Iterable[Candidate], hits: Hits, limits: Limits) -> Candidate | None:
    """Return the candidate that would be shipped if what leaves it open turned out well; None where none is likely.

    It is chosen as others are: the quickest of the most accurate ones, by latencies as they were measured, valid or
    not. One whose latency as measured is above the limit gives way to those below it.
    """
    ranked = [one for one in _open(candidates) if not NOT_RANKED & set(one.gaps)]
    likely = [one for one in ranked if _is_below(one.row.median_ms, limits.max_latency_ms)] or ranked
    if not likely:
        return None
    best = max(likely, key=lambda one: one.row.top1 or 0).row
    level = [one for one in likely if compared(one, best, hits).is_level]
    return min(level, key=lambda one: float("inf") if one.row.median_ms is None else one.row.median_ms)


def beside_best(likely: Candidate | None, others: Iterable[Candidate]) -> str | None:
    """Return the likely file's top-1 beside that of the most accurate open one; None where it is that one."""
    if likely is None or likely.row.top1 is None:
        return None
    same = [one.row for one in _open(others) if one.row.dataset_hash == likely.row.dataset_hash]
    best = max(same, key=lambda row: row.top1 or 0, default=likely.row)
    if best.top1 is None or best.top1 <= likely.row.top1:
        return None
    return (
        f"its top-1 is {percent(likely.row.top1)} %, and {percent(best.top1)} % that of {best.artifact}, "
        "the most accurate that is open"
    )


def _is_below(latency: float | None, limit: float | None) -> bool:
    return latency is None or limit is None or latency <= limit


def remedy(others: Sequence[Candidate], first: Candidate | None) -> str | None:
    """Return what would tell which file to ship, `first` before others; None where every file fails."""
    ordered = [*([first] if first else []), *_open(others)]
    found = dict.fromkeys(gap.remedy for one in ordered for gap in one.gaps)
    return "; ".join(list(found)[:MOST_REMEDIES]) or None


def why_no_latencies(few: Sequence[Candidate]) -> str:
    """Return why none of them has a latency that may be ranked, each reason once."""
    invalid, others = ([one for one in few if (one.row.verdict == INVALID) is asked] for asked in (True, False))
    told = _why_invalid(invalid)
    return "; ".join(
        [
            *([f"the measurement is invalid: {told}"] if told else []),
            *filter(None, [_each_once(others, why_no_latency)]),
        ]
    )


def _open(judged: Iterable[Candidate]) -> list[Candidate]:
    return [one for one in judged if one.status == CANNOT_TELL]


def _by_gap(left_open: Iterable[Candidate]) -> dict[Gap, list[Candidate]]:
    found: dict[Gap, list[Candidate]] = {}
    for one in left_open:
        for gap in dict.fromkeys(one.gaps):
            found.setdefault(gap, []).append(one)
    return found


def _told(gap: Gap, whose: Sequence[Candidate]) -> str:
    """How many have the gap, and why: an invalid latency has its causes, and the others the files' names."""
    names = some(list(dict.fromkeys(one.row.artifact for one in whose)))
    return f"{len(whose)} with {gap.kind} ({_why_invalid(whose) if gap is INVALID_LATENCY else names})"


def _why_invalid(whose: Iterable[Candidate]) -> str:
    return in_words(pooled(INVALID, [one.row.reasons for one in whose]))


def _each_once(few: Iterable[Candidate], why: Callable[[Row], str]) -> str:
    """Each reason once, with the files whose reason it is."""
    files: dict[str, dict[str, None]] = {}
    for one in few:
        files.setdefault(why(one.row), {})[one.row.artifact] = None
    return "; ".join(f"{reason} ({some(list(names))})" for reason, names in files.items())
