"""Which row of a report is the one to ship. Pure functions: no disk, no clock.

Of the rows that hold every limit, the most accurate one leads. Among those that its images cannot tell apart from it,
the quickest is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.choosing.limits import FAILS as LIMIT_FAILS
from edgekit.choosing.limits import HOLDS, Limits, checks, why_no_latency
from edgekit.choosing.result import CANNOT_DECIDE, CANNOT_TELL, CHOSEN, FAILS, FITS, NONE_FITS, Candidate
from edgekit.records.measurement import INVALID, SUSPECT
from edgekit.records.reasons import causes, in_words, pooled
from edgekit.reporting.rows import Row, has_latency
from edgekit.stats.accuracy import paired
from edgekit.stats.medians import MIN_PROCESSES, Interval
from edgekit.util.formatting import counted, fixed, some

FEW_PROCESSES = (
    f"a latency of fewer than {MIN_PROCESSES} processes has an interval of its own run only: "
    "another run may lie outside it"
)
AGAIN = (
    "run `edgekit bench` on these files again, or the sweep with --continue and its --preset, while the device does "
    "nothing else"
)
EVALUATE = "run `edgekit eval FILE... --data DIR` on labeled images"
MEASURE = "run `edgekit bench FILE...` on the device"
TRAINED = "export with --weights: which file is quickest, the table says"
ORDER = (FITS, CANNOT_TELL, FAILS)
Hits = Mapping[str, str]  # sha256 -> a character an image, as of edgekit.stats.accuracy


@dataclass(frozen=True)
class Decision:
    """The answer, why, and every other candidate in the order of its chances."""

    verdict: str
    reason: str
    chosen: Candidate | None
    others: tuple[Candidate, ...]

    @property
    def remedy(self) -> str | None:
        """What to do where no file is named, and that would help; else None."""
        undecided = [one for one in self.others if one.status == CANNOT_TELL]
        if self.chosen is not None or not undecided:
            return None
        if any(one.is_invalid for one in undecided):
            return AGAIN
        rows = [one.row for one in undecided]
        if all(row.top1 is None for row in rows):
            return TRAINED if all(row.trained is False for row in rows) else EVALUATE
        return MEASURE if all(row.median_ms is None for row in rows) else None


def decide(rows: Sequence[Row], hits: Hits, limits: Limits) -> Decision:
    """Choose among rows of one device and equal run conditions; `hits` tells which images each file got right."""
    images = _images(rows)
    judged = [_judged(row, limits, images) for row in rows]
    fits = sorted((one for one in judged if one.status == FITS), key=_rank)
    rest = sorted((one for one in judged if one.status != FITS), key=_rank)
    if not fits:
        return Decision(*_nothing(judged), None, tuple(rest))
    best = fits[0].row
    level = [_compared(one, best, hits) for one in fits]
    equal = [one for one in level if one.is_level]
    timed = sorted((one for one in equal if has_latency(one.row)), key=lambda one: one.row.median_ms or 0)
    if not timed and len(equal) > 1:
        return Decision(CANNOT_DECIDE, *_untimed(level, equal, rest))
    won = timed[0] if timed else equal[0]
    why = _why(won, best, equal, timed) if len(judged) > 1 else ("the only candidate",)
    chosen = replace(won, status=CHOSEN, reasons=why)
    others = tuple(replace(one, reasons=_passed_over(one, won)) for one in level if one is not won)
    return Decision(CHOSEN, "; ".join(chosen.reasons), chosen, (*others, *rest))


def _images(rows: Iterable[Row]) -> str | None:
    """The images that most files were evaluated on; of equally many, those of the latest record."""
    files = {row.sha256: row for row in rows if row.dataset_hash is not None}.values()
    counts = Counter(row.dataset_hash for row in files)
    return max(files, key=lambda row: (counts[row.dataset_hash], row.created)).dataset_hash if files else None


def _judged(row: Row, limits: Limits, images: str | None) -> Candidate:
    """The row against each limit. One limit that fails decides; else one that is open leaves the row open."""
    found = list(checks(row, limits))
    failed = tuple(check.reason for check in found if check.outcome == LIMIT_FAILS)
    if failed:
        return Candidate(row, FAILS, failed)
    open_checks = [check for check in found if check.outcome != HOLDS]
    reasons = [check.reason for check in open_checks]
    if row.top1 is None and limits.min_top1 is None:
        reasons.append(f"top-1 is unknown: {_why_no_top1(row)}")
    elif row.top1 is not None and row.dataset_hash != images:  # percentages of other images are other numbers
        reasons.append(f"evaluated on other images than most files ({row.images:,} of {row.dataset})")
    if row.median_ms is None and limits.max_latency_ms is None:  # whether it runs there at all is not known
        reasons.append(f"no latency: {why_no_latency(row)}")
    only_invalid = bool(reasons) and len(reasons) == sum(check.is_invalid for check in open_checks)
    return Candidate(row, CANNOT_TELL if reasons else FITS, tuple(reasons), is_invalid=only_invalid)


def _rank(one: Candidate) -> tuple[int, float, float]:
    latency = one.row.median_ms if has_latency(one.row) and one.row.median_ms is not None else float("inf")
    return ORDER.index(one.status), -(one.row.top1 or 0), latency


def _compared(one: Candidate, best: Row, hits: Hits) -> Candidate:
    """Add the difference from the best row's top-1: image by image, or by the intervals where hits are not known."""
    difference = (one.row.top1 or 0) - (best.top1 or 0)
    mine, theirs = hits.get(one.row.sha256, ""), hits.get(best.sha256, "")
    if mine and len(mine) == len(theirs):
        interval = paired(theirs, mine).ci95
        return replace(one, difference=difference, difference_ci95=interval, is_level=interval[1] >= 0)
    return replace(one, difference=difference, is_level=_overlap(one.row.top1_ci95, best.top1_ci95))


def _nothing(judged: Sequence[Candidate]) -> tuple[str, str]:
    """The verdict and its reason where no row fits for sure."""
    left_open = [one for one in judged if one.status == CANNOT_TELL]
    if not left_open:
        return NONE_FITS, f"none of {counted(len(judged), 'candidate')} holds every limit"
    if len(left_open) == len(judged) and all(one.row.top1 is None for one in judged):
        return CANNOT_DECIDE, f"no candidate has an accuracy: {_each_once(judged, _why_no_top1)}"
    if all(one.row.median_ms is None for one in judged):
        return CANNOT_DECIDE, f"no candidate has a latency: {_each_once(judged, why_no_latency)}"
    if all(one.is_invalid for one in left_open):
        every = "every latency is" if len(left_open) == len(judged) else "the latencies that count are"
        told = in_words(pooled(INVALID, [one.row.reasons for one in left_open]))
        return CANNOT_DECIDE, f"{every} invalid: {told}"
    number = f"{counted(len(left_open), 'candidate')} of {len(judged)}"
    return CANNOT_DECIDE, f"no candidate is known to hold every limit, and {number} cannot be told"


def _why_no_latencies(few: Sequence[Candidate]) -> str:
    """Why none of them has a latency that may be ranked, each reason once."""
    invalid, others = ([one for one in few if (one.row.verdict == INVALID) is asked] for asked in (True, False))
    told = in_words(pooled(INVALID, [one.row.reasons for one in invalid]))
    return "; ".join(
        [
            *([f"the measurement is invalid: {told}"] if told else []),
            *filter(None, [_each_once(others, why_no_latency)]),
        ]
    )


def _each_once(few: Iterable[Candidate], why: Callable[[Row], str]) -> str:
    """Each reason once, with the files whose reason it is."""
    files: dict[str, dict[str, None]] = {}
    for one in few:
        files.setdefault(why(one.row), {})[one.row.artifact] = None
    return "; ".join(f"{reason} ({some(list(names))})" for reason, names in files.items())


def _why_no_top1(row: Row) -> str:
    return row.missing.get("top1", "not evaluated")


def _untimed(
    level: Sequence[Candidate], equal: Sequence[Candidate], rest: Sequence[Candidate]
) -> tuple[str, None, tuple[Candidate, ...]]:
    """Several are equally accurate and none has a latency: each is open, and the others are passed over."""
    told = tuple(
        replace(
            one,
            status=CANNOT_TELL,
            reasons=(f"as accurate as the best, and {why_no_latency(one.row)}",),
            is_invalid=one.row.verdict == INVALID,
        )
        if one in equal
        else replace(one, status=FAILS, reasons=_less_accurate(one))
        for one in level
    )
    names = some(list(dict.fromkeys(one.row.artifact for one in equal)))
    reason = (
        f"{len(equal)} candidates are equally accurate ({names}), and none has a latency: {_why_no_latencies(equal)}"
    )
    return reason, None, (*told, *rest)


def _why(won: Candidate, best: Row, equal: Sequence[Candidate], timed: Sequence[Candidate]) -> tuple[str, ...]:
    if won.difference == 0 and len(equal) == 1:
        return ("the most accurate that fits, beyond what the images leave open",)
    accuracy = "the most accurate that fits" if won.difference == 0 else _against_best(won, best)
    quickest = f"the quickest of {len(timed)} whose accuracies the images cannot tell apart"
    untimed = len(equal) - len(timed)
    return (quickest, *([f"{untimed} more such files have no valid latency"] if untimed else []), accuracy)


def _against_best(one: Candidate, best: Row) -> str:
    return f"top-1 {_points(one)} against {best.label}, the most accurate that fits"


def _less_accurate(one: Candidate) -> tuple[str, ...]:
    return (f"less accurate: top-1 {_points(one)} against the most accurate that fits",)


def _points(one: Candidate) -> str:
    """The difference in points, with its interval where there is one."""
    told = f"{fixed(100 * (one.difference or 0), 2, '+')} points"
    if one.difference_ci95 is None:
        return told
    low, high = (fixed(100 * bound, 2, "+") for bound in one.difference_ci95)
    return f"{told} (95 % {low} .. {high})"


def remarks(chosen: Row) -> list[str]:
    """What the numbers of a chosen file must be read with."""
    said = []
    if chosen.verdict in (SUSPECT, INVALID):
        said.append(f"the latency of the chosen file is {chosen.verdict}: {causes(chosen.verdict, chosen.reasons)}")
    if chosen.processes is not None and chosen.processes < MIN_PROCESSES:
        said.append(FEW_PROCESSES)
    return said


def _passed_over(one: Candidate, won: Candidate) -> tuple[str, ...]:
    """Why a candidate that fits was not chosen."""
    if not one.is_level:
        return _less_accurate(one)
    if not has_latency(one.row):
        return (f"as accurate as the images can tell, but {why_no_latency(one.row)}",)
    mine, best = one.row.median_ms or 0, won.row.median_ms or 0
    told = f"slower: {mine:.3g} ms against {best:.3g} ms, at a top-1 that the images cannot tell apart"
    return (
        (f"{told}; the intervals of the latencies overlap",) if _overlap(one.row.ci95_ms, won.row.ci95_ms) else (told,)
    )


def _overlap(one: Interval | None, two: Interval | None) -> bool:
    """Whether two intervals have a value in common; an unknown one may hold any."""
    return one is None or two is None or (one[0] <= two[1] and two[0] <= one[1])
