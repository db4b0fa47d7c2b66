"""How a latency changes under load that lasts: the first minute against the last, and when it settled.

Pure functions of a measurement's windows, which are its processes. What the device did meanwhile stands beside: a
change that comes with heat is the device's own, one that comes with other processes is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Any

from edgekit.records.measurement import Measurement, ProcessRun, Sensed
from edgekit.stats import interference, ratio
from edgekit.stats.medians import NS_PER_MS
from edgekit.util.formatting import counted, span

LONGEST_PART = 60.0  # seconds at the beginning and at the end that are held against each other
UNSETTLED = 0.02  # as for warm-up (bench/ondevice/loop.py)
NEIGHBORS = 3  # windows whose median is looked at, so that a single one that was disturbed decides nothing

# What stands beside the latency, and how it is read of a window.
FACTS: Mapping[str, Callable[[Sensed], float | None]] = {
    "celsius": interference.hottest,
    "mhz": interference.clock,
    "gpu_celsius": interference.gpu_celsius,
    "gpu_mhz": interference.gpu_clock,
    "throttled": interference.is_throttled,
    "foreign_processors": interference.foreign_cores,
    "stolen": interference.stolen,
    "waited": interference.waited,
    "fixed_work_us": interference.sentinel_us,
}
COUNTED = ("throttled",)  # of these the share of windows counts, of the others the median


def part(seconds: float) -> float:
    """Return how many seconds at either end of so long a load are held against each other: a minute, or a third."""
    return min(LONGEST_PART, seconds / 3)


@dataclass(frozen=True)
class Window:
    """One process of a load: when it began, its median latency, and what the device did, by the keys of `FACTS`."""

    began_s: float
    median_ms: float
    facts: Mapping[str, float | None]


@dataclass(frozen=True)
class Sustained:
    """The first part of a load against the last. `facts` has for each key of `FACTS` its median at either end,
    or the share of windows. A load that was cut after `cut_s` seconds of its `seconds` counts until then.

    `change` is last over first. `settled_s` is when the window began from which on the latency stayed at the level of
    the last part; None: it still changed there. `measured_share` is the part of the time in which latencies of this
    file were taken; in the rest processes start, load and warm up, or other files run.
    """

    seconds: int
    part_seconds: float
    windows: tuple[Window, ...]
    first: tuple[float, ...]  # medians of its windows, ms
    last: tuple[float, ...]
    change: ratio.Ratio
    settled_s: float | None
    measured_share: float
    facts: Mapping[str, tuple[float | None, float | None]]
    cut_s: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the last part is slower than the first."""
        return ratio.decide(self.change)

    def to_json(self) -> dict[str, Any]:
        """Its numbers, with units in the keys; what the device does not tell is null."""
        return {
            "seconds": self.seconds,
            "cut_s": self.cut_s,
            "part_seconds": round(self.part_seconds, 3),
            "first_ms": median(self.first),
            "last_ms": median(self.last),
            "ratio": self.change.ratio,
            "ratio_ci95": list(self.change.ci95) if self.change.ci95 else None,
            "verdict": self.verdict,
            "settled_s": self.settled_s,
            "measured_share": round(self.measured_share, 4),
            "facts": {name: {"first": first, "last": last} for name, (first, last) in self.facts.items()},
            "windows": [{"began_s": one.began_s, "median_ms": one.median_ms, **one.facts} for one in self.windows],
            "words": self.words,
        }

    @property
    def words(self) -> str:
        """What a reader must know of it, in a sentence."""
        whole, ends = span(self.cut_s or self.seconds), span(self.part_seconds)
        interval = f" (95 % {self.change.ci95[0]:.3f} .. {self.change.ci95[1]:.3f})" if self.change.ci95 else ""
        told = f"in the last {ends} of {whole} it took {self.change.ratio:.3f} times as long as in the first{interval}"
        if self.change.ci95 is None:
            fewest = min(len(self.first), len(self.last))
            told += f", without an interval: {counted(fewest, 'window')} at one end, 4 are needed"
        if self.cut_s is not None:
            told += f"; the load was cut then, and {span(self.seconds)} were asked for"
        if self.settled_s is None:
            return f"{told}; it had not settled"
        return f"{told}; settled {f'after {span(self.settled_s)}' if self.settled_s else 'from the start'}"


def sustained(record: Measurement) -> Sustained | None:
    """Return what became of the latency of a measurement under sustained load; None of any other."""
    seconds = record.protocol.sustained_seconds
    runs = [run for run in record.runs if run.began_s is not None and run.samples_ns]
    if seconds is None or not runs:
        return None
    windows = [_window(run) for run in runs]
    cut_s = _cut_s(record, seconds)
    lasted = cut_s or seconds
    first, last = ends(windows, lasted)
    wall = max((run.began_s or 0) + run.wall_ns / 1e9 for run in runs)
    return Sustained(
        seconds=seconds,
        part_seconds=part(lasted),
        windows=tuple(windows),
        first=tuple(one.median_ms for one in first),
        last=tuple(one.median_ms for one in last),
        change=ratio.unpaired([one.median_ms for one in first], [one.median_ms for one in last]),
        settled_s=settled_s(windows, len(last)),
        measured_share=min(1.0, sum(run.wall_ns for run in runs) / 1e9 / wall),
        facts={name: (_typical(first, name), _typical(last, name)) for name in FACTS},
        cut_s=cut_s,
    )


def _cut_s(record: Measurement, asked: float) -> float | None:
    """After how many of the seconds that were asked for the load was cut; None of a whole one."""
    cut = record.found.get("cut")
    at = cut.get("seconds") if isinstance(cut, Mapping) else None
    return float(at) if isinstance(at, (int, float)) and 0 < at < asked else None


def _window(run: ProcessRun) -> Window:
    facts = {name: None if run.sensed is None else read(run.sensed) for name, read in FACTS.items()}
    return Window(run.began_s or 0.0, median(run.samples_ns) / NS_PER_MS, facts)


def ends(windows: Sequence[Window], seconds: float) -> tuple[Sequence[Window], Sequence[Window]]:
    """Return the windows that began in the first and in the last part of a load; at least one each."""
    start, stop = part(seconds), seconds - part(seconds)
    first = [one for one in windows if one.began_s < start]
    last = [one for one in windows if one.began_s >= stop]
    return first or windows[:1], last or windows[-1:]


def settled_s(windows: Sequence[Window], in_last: int) -> float | None:
    """When the window began from which on latencies stay at the level of the last part; None where they do not.

    Medians of three neighbors may differ from it by 2 %, or by twice what neighbors of the last part differ by: that
    is scatter, which a slow drift does not add to. `in_last` is how many windows the last part has.
    """
    times = [one.median_ms for one in windows]
    last, count = times[-in_last:], min(NEIGHBORS, len(times))
    level = median(last)
    scatter = median([abs(b / a - 1) for a, b in pairwise(last)]) if in_last > 1 else 0.0
    places = [max(0, min(index - count // 2, len(times) - count)) for index in range(len(times))]
    limit = max(UNSETTLED, 2 * scatter)
    is_away = [abs(median(times[at : at + count]) / level - 1) > limit for at in places]
    after = len(times) - is_away[::-1].index(True) if any(is_away) else 0
    return None if after > len(times) - in_last else windows[after].began_s


def _typical(windows: Sequence[Window], name: str) -> float | None:
    known = [value for value in (one.facts[name] for one in windows) if value is not None]
    if not known:
        return None
    return sum(known) / len(known) if name in COUNTED else median(known)


@dataclass(frozen=True)
class Change:
    """Two files whose order is another one in the last part of a load than in the first; ratios are b over a.

    `is_sure`: both intervals lie wholly on their side of 1.
    """

    a: str
    b: str
    first: ratio.Ratio
    last: ratio.Ratio

    @property
    def is_sure(self) -> bool:
        """Whether the intervals at both ends tell the two files apart."""
        return (
            self.first.ci95 is not None
            and self.last.ci95 is not None
            and not any(interval[0] <= 1 <= interval[1] for interval in (self.first.ci95, self.last.ci95))
        )

    @property
    def words(self) -> str:
        """The change in a sentence."""
        quicker, slower = (self.a, self.b) if self.first.ratio > 1 else (self.b, self.a)
        sure = "" if self.is_sure else ", but the intervals do not tell the two apart at both ends"
        return f"{quicker} was quicker than {slower} at first, and slower in the end{sure}"

    def to_json(self) -> dict[str, Any]:
        """Both ratios with their intervals."""
        told = {"a": self.a, "b": self.b, "is_sure": self.is_sure, "words": self.words}
        for name, found in (("first", self.first), ("last", self.last)):
            told |= {f"{name}_ratio": found.ratio, f"{name}_ci95": list(found.ci95) if found.ci95 else None}
        return told


def ranking(files: Sequence[tuple[str, Sustained]]) -> dict[str, Any]:
    """The files from quick to slow in the first and in the last part of a load, and the pairs that change places."""
    changes = []
    for (a, one), (b, two) in combinations(files, 2):
        first, last = (ratio.unpaired(getattr(one, end), getattr(two, end)) for end in ("first", "last"))
        if (first.ratio - 1) * (last.ratio - 1) < 0:
            changes.append(Change(a, b, first, last).to_json())
    orders = {end: sorted(files, key=lambda file: median(getattr(file[1], end))) for end in ("first", "last")}
    return {**{end: [name for name, _ in order] for end, order in orders.items()}, "changes": changes}
