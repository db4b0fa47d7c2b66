"""Which row of a report is the one to ship. Pure functions: no disk, no clock.

Of the rows that hold every limit, the most accurate one leads. Among those that its images cannot tell apart from it,
the quickest is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgekit.choosing import undecided
from edgekit.choosing.gaps import OTHER_IMAGES
from edgekit.choosing.level import Hits, compared, overlap
from edgekit.choosing.limits import FAILS as LIMIT_FAILS
from edgekit.choosing.limits import HOLDS, Limits, checks, gap_of_latency, no_accuracy, why_no_latency, why_no_top1
from edgekit.choosing.result import CANNOT_DECIDE, CANNOT_TELL, CHOSEN, FAILS, FITS, NONE_FITS, Candidate
from edgekit.records.measurement import INVALID, SUSPECT
from edgekit.records.reasons import causes
from edgekit.reporting.rows import Row, has_latency
from edgekit.stats.losses import Losses
from edgekit.stats.medians import MIN_PROCESSES
from edgekit.util.formatting import counted, fixed, some

FEW_PROCESSES = (
    f"a latency of fewer than {MIN_PROCESSES} processes has an interval of its own run only: "
    "another run may lie outside it"
)
ORDER = (FITS, CANNOT_TELL, FAILS)


@dataclass(frozen=True)
class Decision:
    """The answer, why, and every other candidate in the order of its chances.

    `provisional`, where no file is chosen: the one of `others` that is likely, and would be if its gaps were closed.
    """

    verdict: str
    reason: str
    chosen: Candidate | None
    others: tuple[Candidate, ...]
    provisional: Candidate | None = None
    first_remedy: str | None = None  # where another one than that of the candidates comes first

    @property
    def remedy(self) -> str | None:
        """What to do where no file is named, and that would help; else None."""
        if self.chosen is not None:
            return None
        return self.first_remedy or undecided.remedy(self.others, self.provisional)

    @property
    def beside_best(self) -> str | None:
        """The accuracy of the likely file beside the best one's, in words, where that is another file; else None."""
        return undecided.beside_best(self.provisional, self.others)


def decide(rows: Sequence[Row], hits: Hits, limits: Limits, lost: Losses) -> Decision:
    """Choose among rows of one device and equal run conditions; `hits` tells which images each file got right.

    `lost` tells what each file lost against its own float file, as of edgekit.stats.losses.
    """
    images = _images(rows)
    judged = [_judged(row, limits, images, lost) for row in rows]
    fits = sorted((one for one in judged if one.status == FITS), key=_rank)
    rest = sorted((one for one in judged if one.status != FITS), key=_rank)
    if not fits:
        return _left_open(*undecided.nothing(judged), rest, undecided.provisional(rest, hits, limits))
    best = fits[0].row
    level = [compared(one, best, hits) for one in fits]
    equal = [one for one in level if one.is_level]
    timed = sorted((one for one in equal if has_latency(one.row)), key=lambda one: one.row.median_ms or 0)
    if not timed and len(equal) > 1:
        return _untimed(level, equal, rest, hits, limits)
    won = timed[0] if timed else equal[0]
    why = _why(won, best, equal, timed)
    if len(fits) == 1:
        why = ("the only candidate",) if len(judged) == 1 else ("the only one that is known to hold every limit",)
    chosen = replace(won, status=CHOSEN, reasons=why)
    others = tuple(replace(one, reasons=_passed_over(one, won)) for one in level if one is not won)
    return Decision(CHOSEN, "; ".join(chosen.reasons), chosen, (*others, *rest))


def unmeasured(reason: str, remedy: str, rows: Sequence[Row], hits: Hits, limits: Limits, lost: Losses) -> Decision:
    """Return the decision for a device on which nothing was measured: none, unless a limit excludes every file."""
    found = decide(rows, hits, limits, lost)
    if found.verdict == NONE_FITS and rows:
        return found
    return replace(found, verdict=CANNOT_DECIDE, reason=reason, first_remedy=remedy)


def _left_open(verdict: str, reason: str, others: Sequence[Candidate], likely: Candidate | None) -> Decision:
    """No choice; the likely one stands first."""
    ordered = sorted(others, key=lambda one: one is not likely)
    return Decision(verdict, reason, None, tuple(ordered), likely)


def _images(rows: Iterable[Row]) -> str | None:
    """The images that most files were evaluated on; of equally many, those of the latest record."""
    files = {row.sha256: row for row in rows if row.dataset_hash is not None}.values()
    counts = Counter(row.dataset_hash for row in files)
    return max(files, key=lambda row: (counts[row.dataset_hash], row.created)).dataset_hash if files else None


def _judged(row: Row, limits: Limits, images: str | None, lost: Losses) -> Candidate:
    """The row against each limit. One limit that fails decides; else one that is open leaves the row open."""
    found = list(checks(row, limits, lost))
    failed = tuple(check.reason for check in found if check.outcome == LIMIT_FAILS)
    loss = None if row.top1 is None else lost.get(row.sha256)
    if failed:
        return Candidate(row, FAILS, failed, loss=loss)
    left_open = [(check.gap, check.reason) for check in found if check.outcome != HOLDS and check.gap is not None]
    if row.top1 is None and limits.min_top1 is None and limits.max_drop is None:
        left_open.append((no_accuracy(row), f"top-1 is unknown: {why_no_top1(row)}"))
    elif row.top1 is not None and row.dataset_hash != images:  # percentages of other images are other numbers
        told = f"evaluated on other images than most files ({row.images:,} of {row.dataset})"
        left_open.append((OTHER_IMAGES, told))
    if row.median_ms is None and limits.max_latency_ms is None:  # whether it runs there at all is not known
        left_open.append((gap_of_latency(row), f"no latency: {why_no_latency(row)}"))
    if not left_open:
        return Candidate(row, FITS, (), loss=loss)
    reasons = tuple(reason for _, reason in left_open)
    return Candidate(row, CANNOT_TELL, reasons, gaps=tuple(gap for gap, _ in left_open), loss=loss)


def _rank(one: Candidate) -> tuple[int, float, float]:
    latency = one.row.median_ms if has_latency(one.row) and one.row.median_ms is not None else float("inf")
    return ORDER.index(one.status), -(one.row.top1 or 0), latency


def _untimed(
    level: Sequence[Candidate], equal: Sequence[Candidate], rest: Sequence[Candidate], hits: Hits, limits: Limits
) -> Decision:
    """The images cannot tell several apart and none has a latency: each is open, and the others are passed over."""
    images = counted(max(one.row.images or 0 for one in equal), "image")
    told = [
        replace(
            one,
            status=CANNOT_TELL,
            reasons=(f"{images} cannot tell its top-1 from the best one's, and {why_no_latency(one.row)}",),
            gaps=(gap_of_latency(one.row),),
        )
        if one in equal
        else replace(one, status=FAILS, reasons=_less_accurate(one))
        for one in level
    ]
    names = some(list(dict.fromkeys(one.row.artifact for one in equal)))
    why = undecided.why_no_latencies(equal)
    reason = f"{images} cannot tell {len(equal)} candidates apart ({names}), and none has a latency: {why}"
    return _left_open(CANNOT_DECIDE, reason, [*told, *rest], undecided.provisional(told, hits, limits))


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
    """Return what the numbers of a chosen file must be read with."""
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
        (f"{told}; the intervals of the latencies overlap",) if overlap(one.row.ci95_ms, won.row.ci95_ms) else (told,)
    )
