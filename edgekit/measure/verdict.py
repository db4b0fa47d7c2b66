"""The verdict on a measurement: valid, suspect or invalid, from what the device did meanwhile.

A pure function of recorded facts. Each check has two limits; it speaks of the measurement when it holds in at least
half of the processes, and an invalid one in fewer of them still makes the measurement suspect; so does one process that
began hot. Nothing is dropped.
Limits and where they come from: docs/measuring.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from edgekit.records.measurement import INVALID, SUSPECT, VALID, ProcessRun, Sensed
from edgekit.stats import interference
from edgekit.stats.stability import Stability, stability

QUIET = "stop what else runs there, and measure again"
COOL = "let the device cool, improve its cooling or lower its clock, and measure again"
LESS = "take a lower power mode or a stronger supply, and measure again"
LONGER = "measure again with --preset rigorous"
ALONE = "though nothing else ran here"
NEIGHBORS = f"{ALONE}: this is a virtual machine, and neighbors on the same processor slow it unseen"
ELSEWHERE = "measure at another time, compare with --versus, or use a machine of your own"
FIXED_CLOCK = "fix the processor's clock, or measure again with --preset rigorous"


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against a measurement, and what to do about it."""

    level: str  # suspect or invalid
    cause: str
    advice: str

    def __str__(self) -> str:
        return f"{self.level}: {self.cause}; {self.advice}"


PHONE = "this is an emulator of a phone"
PROCESSOR = "this processor is emulated by {}"


@dataclass(frozen=True)
class Verdict:
    """What a measurement is worth. `unknown` names what the device does not tell: not fine, but not known."""

    word: str
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line for each finding, and one for what is unknown."""
        lines = [str(finding) for finding in self.findings]
        if self.unknown:
            lines.append(f"unknown on this device: {', '.join(self.unknown)}")
        return tuple(lines)


def assess(
    runs: Sequence[ProcessRun],
    threads: int = 1,
    virtual: bool | None = None,
    emulated: str | None = None,
    sustained: bool = False,
    cut: str | None = None,
) -> Verdict:
    """Return the verdict on the runs of a measurement that asked for `threads`, on a machine that is `virtual` or not.

    `emulated` says what is not there: an emulator keeps no device's time, however quiet it was. Under `sustained` load
    heat, and how the latency changes with it, is what is measured and speaks against nothing. `cut` tells of a load
    that ended before its time.
    """
    background, unknown = list(_background(runs, threads)), tuple(_unknown(runs))
    restless = [*_fixed_work(runs), *_statistics(stability(runs), sustained)]
    if not sustained:
        restless = [*_heat(runs), *_warmth(runs), *restless]
    is_alone = not background and "background load" not in unknown and "other processes" not in unknown
    if is_alone:
        why, advice = (f"{NEIGHBORS}{_slowest(runs)}", ELSEWHERE) if virtual else (ALONE, FIXED_CLOCK)
        restless = list(_explained(restless, why, advice))
    findings = [*_emulated(emulated), *_cut(cut), *background, *restless]
    if {"background load", "speed"} & set(unknown):
        findings.append(Finding(SUSPECT, "nothing tells whether the device was disturbed", "measure where /proc is"))
    levels = {finding.level for finding in findings}
    word = INVALID if INVALID in levels else SUSPECT if SUSPECT in levels else VALID
    # What makes a measurement invalid also makes its times restless: that would only be said twice.
    told = [finding for finding in findings if word == SUSPECT or finding.level == INVALID]
    return Verdict(word, tuple(told), unknown)


def _emulated(what: str | None) -> Iterator[Finding]:
    if what is not None:
        yield Finding(INVALID, f"{what}, whose times are those of the computer that runs it", "measure on a real one")


def _cut(what: str | None) -> Iterator[Finding]:
    if what is not None:
        yield Finding(INVALID, what, "measure again")


# The checks


@dataclass(frozen=True)
class Check:
    """A fact, the values from which on it makes a measurement suspect and invalid, and how to tell it."""

    fact: Callable[[Sensed], float | None]
    suspect: float
    invalid: float
    cause: str
    advice: str = QUIET


CORES = Check(interference.foreign_cores, 0.10, math.inf, "other processes kept {:.2f} processors busy")
SHARE = Check(interference.foreign_share, math.inf, 0.25, "other processes kept {:.0%} of all processors busy")
STEAL = Check(
    interference.stolen, 0.01, 0.05, "the hypervisor took {:.1%} of the processors' time", "measure at another time"
)
WAITED = Check(interference.waited, 0.01, 0.05, "the runner waited {:.1%} of the time for a processor")
SWITCHES = Check(interference.switches, 50, 500, "the runner lost its processor {:.0f} times a second")
PRESSURE = Check(interference.pressure, 0.02, math.inf, "tasks waited {:.1%} of the time for a processor")
SENTINEL_SUSPECT, SENTINEL_INVALID = 0.03, 0.25
OUTLIERS, FEWEST_OUTLIERS = 0.10, 3  # of ten samples, one lies outside by chance
CLOCK = Check(interference.clock_lost, 0.05, 0.25, "the clock fell by {:.0%}", COOL)
THROTTLED = Check(interference.throttled, math.inf, 1, "processors were slowed for heat ({:.0f})", COOL)
STATUS = Check(interference.thermal_status, 1, 2, "the phone's thermal status was {:.0f}", COOL)
JUNCTION = Check(interference.junction, 95, math.inf, "the chip was at {:.0f} degrees", COOL)
OVERDRAWN = Check(interference.overdrawn, 1, math.inf, "the chip drew too much and was slowed ({:.0f} times)", LESS)
GPU_CLOCK = Check(interference.gpu_clock_lost, 0.05, 0.25, "the GPU's clock fell by {:.0%}", COOL)
GPU_HELD = Check(interference.gpu_held, 1, math.inf, "power or heat held the GPU's clock down ({:.0f})", COOL)
GPU_OTHERS = Check(interference.gpu_others, 1, math.inf, "other processes computed on the GPU ({:.0f})")
GPU_BUSY = Check(interference.gpu_busy, 0.05, math.inf, "the GPU was {:.0%} busy before the measurement began")
SURFACE = Check(interference.surface, 45, math.inf, "its skin or battery was at {:.0f} degrees", COOL)


def _background(runs: Sequence[ProcessRun], threads: int) -> Iterator[Finding]:
    crowded = any(sensed.after.cpus is not None and sensed.after.cpus < threads for sensed in _sensed(runs))
    # Threads that wait for each other say nothing of other processes.
    checks = [SHARE, CORES, STEAL, GPU_OTHERS, GPU_BUSY, *([] if crowded else [WAITED, SWITCHES, PRESSURE])]
    found = [finding for check in checks for finding in _checked(check, runs)]
    if crowded:
        advice = "use no more threads than processors"
        found.append(Finding(SUSPECT, f"{threads} threads share fewer processors", advice))
    invalid = [finding for finding in found if finding.level == INVALID]
    # The same interference shows in several facts; the one that weighs most is enough where it decides.
    yield from invalid[:1] or found


def _heat(runs: Sequence[ProcessRun]) -> Iterator[Finding]:
    for check in (THROTTLED, OVERDRAWN, STATUS, SURFACE, JUNCTION, CLOCK, GPU_CLOCK, GPU_HELD):
        yield from _checked(check, runs)


def _fixed_work(runs: Sequence[ProcessRun]) -> Iterator[Finding]:
    changes = [change for change in map(interference.slowed, _sensed(runs)) if change is not None]
    if not changes:
        return
    typical = median(changes)  # one process's change is mostly chance, and then goes either way
    if abs(typical) >= SENTINEL_SUSPECT:
        level = INVALID if abs(typical) >= SENTINEL_INVALID else SUSPECT
        yield Finding(level, f"the time of a small fixed work changed by {typical:+.1%} over the loop", QUIET)


def _warmth(runs: Sequence[ProcessRun]) -> Iterator[Finding]:
    restless = sum(run.settled is False for run in runs)
    if 2 * restless >= len(runs) > 0:
        cause = f"times had not settled when warm-up ended{_in(restless, len(runs))}"
        yield Finding(SUSPECT, cause, LONGER)
    hot = sum(run.hot is True for run in runs)
    if hot:  # one is enough: the pause for cooling is spent then, and what follows begins no cooler
        yield Finding(SUSPECT, f"the device was still hot at the start{_in(hot, len(runs))}", COOL)


def _statistics(found: Stability | None, sustained: bool) -> Iterator[Finding]:
    if found is None:
        yield Finding(INVALID, "no sample was taken", "measure again")
        return
    if found.spread > 0.05:
        yield Finding(SUSPECT, f"samples scatter by {found.spread:.1%} around their median", QUIET)
    if found.drift is not None and abs(found.drift) > 0.02:
        advice = COOL if found.drift > 0 else LONGER
        yield Finding(SUSPECT, f"the second half differs by {found.drift:+.1%} from the first", advice)
    if not sustained and found.between_processes is not None and found.between_processes > 0.05:
        cause = f"the processes' medians differ by {found.between_processes:.1%}"
        yield Finding(SUSPECT, cause, f"{QUIET}, or {LONGER}")
    if found.autocorrelation is not None and found.wander is not None and found.wander > 0.05:
        if found.autocorrelation < -0.5:
            yield Finding(SUSPECT, "times alternate between two levels", QUIET)
        if found.autocorrelation > 0.5:
            yield Finding(SUSPECT, f"times wander by {found.wander:.1%}", QUIET)
    outliers = found.mild + found.severe
    if outliers / found.n > OUTLIERS and outliers >= FEWEST_OUTLIERS:
        yield Finding(SUSPECT, f"{outliers / found.n:.0%} of the samples are outliers", QUIET)


def _explained(restless: Sequence[Finding], why: str, advice: str) -> Iterator[Finding]:
    """Restless times of a machine that did nothing else: one cause, of which each finding is a sign."""
    signs = [finding for finding in restless if finding.advice.startswith(QUIET)]
    yield from (finding for finding in restless if finding not in signs)
    for level in dict.fromkeys(finding.level for finding in signs):
        told = ", ".join(finding.cause for finding in signs if finding.level == level)
        yield Finding(level, f"{told}, {why}", advice)


def _slowest(runs: Sequence[ProcessRun]) -> str:
    """Whether neighbors slowed the processor itself, or only the caches and the memory that it shares with them."""
    took = [ns for one in _sensed(runs) for ns in one.sentinel_ns or () if ns > 0]
    if not took:
        return ""
    times = max(took) / min(took)
    if times < 1 + SENTINEL_SUSPECT:
        return " (in shared caches and memory: a small fixed work in the core's own cache kept its time)"
    return f" (a small fixed work took up to {times:.2f} times as long)"


def _checked(check: Check, runs: Sequence[ProcessRun]) -> Iterator[Finding]:
    values = sorted((v for v in map(check.fact, _sensed(runs)) if v is not None), reverse=True)
    over, far_over = ([value for value in values if value >= limit] for limit in (check.suspect, check.invalid))
    # The larger half's least value: at least half of the processes saw as much.
    if 2 * len(far_over) >= len(values) > 0:
        level, seen = INVALID, far_over
    elif far_over or 2 * len(over) >= len(values) > 0:
        level, seen = SUSPECT, over or far_over
    else:
        return
    typical = seen[len(seen) // 2]
    yield Finding(level, f"{check.cause.format(typical)}{_in(len(seen), len(values))}", check.advice)


def _unknown(runs: Sequence[ProcessRun]) -> Iterator[str]:
    """What no process of the measurement could tell."""
    sensed = _sensed(runs)

    def silent(*facts: Callable[[Sensed], object]) -> bool:
        return all(fact(one) is None for one in sensed for fact in facts)

    if silent(interference.foreign_cores, interference.waited, interference.pressure):
        yield "background load"
    elif silent(interference.foreign_cores):
        yield "other processes"
    if silent(interference.stolen):
        yield "time taken by a hypervisor"
    if silent(lambda one: one.after.mhz):
        yield "clock frequency"
    if silent(lambda one: one.after.celsius):
        yield "temperature"
    if silent(interference.throttled, interference.thermal_status):
        yield "throttling"
    if any(cards and not interference.card(cards) for one in sensed for cards in one.gpus):
        yield "which GPU was used"
    if silent(interference.slowed, interference.clock_lost, interference.throttled, interference.thermal_status):
        yield "speed"


def _sensed(runs: Sequence[ProcessRun]) -> list[Sensed]:
    return [run.sensed for run in runs if run.sensed is not None]


def _in(count: int, total: int) -> str:
    return "" if total == 1 else f" in {count} of {total} processes"
