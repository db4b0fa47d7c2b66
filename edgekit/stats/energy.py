"""Energy per inference from what a device counts while it measures: processor packages, or a phone's battery.

Pure functions of a measurement's processes. What is counted is the whole package or the whole phone, with all that runs
there; nothing here takes the share of others off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from edgekit.records.measurement import ProcessRun, Sensed, Snapshot

PACKAGE_METHOD = "RAPL counters of the processor's packages around the measured loops: all that runs on the processor"
GAUGE_METHOD = "the battery's charge counter and voltage over the whole load: all of the phone, pauses included"
SHORTEST = 1.0  # seconds: the counters of packages move once in a millisecond
FEWEST_STEPS = 20  # of a battery's counter, which moves in steps: one may be missing or too many at either end
LEAST_MW = 50  # of a phone that computes: less means that its counter is not in microampere-hours
MJ_PER_UAH_MV = 3.6e-3  # 1 uAh at 1 mV is 3.6e-6 J
Energy = dict[str, Any]
Pause = tuple[Snapshot, Snapshot]


def of_runs(runs: Sequence[ProcessRun], untold: str | None, idle: Pause | None = None) -> Energy:
    """`gross_mj` and `net_mj` of an inference of the whole batch, and how they were found; null with a `reason`.

    `untold` is why the device counts no energy, as far as it says; `idle` are snapshots around a pause.
    """
    sensed = [run.sensed for run in runs if run.sensed is not None and run.samples_ns]
    if sensed and all(one.before.package_uj and one.after.package_uj for one in sensed):
        return _of_packages(runs, sensed, idle)
    if any(one.after.charge_uah is not None for one in sensed):
        return _of_battery(runs, sensed)
    return unknown(untold or "this device tells no energy")


def unknown(reason: str) -> Energy:
    """No energy, and why."""
    return {"gross_mj": None, "net_mj": None, "reason": reason}


def _of_packages(runs: Sequence[ProcessRun], sensed: Sequence[Sensed], idle: Pause | None) -> Energy:
    if any(run.turns is not None for run in runs):
        return unknown("the files took turns in one process, whose energy is not told apart")
    used = [spent_uj(one.before, one.after) for one in sensed]
    seconds = sum(one.after.time_ns - one.before.time_ns for one in sensed) / 1e9
    if None in used:
        return unknown("the processor's packages changed meanwhile")
    joules, count = sum(value for value in used if value is not None) / 1e6, inferences(runs)
    if seconds < SHORTEST:
        return unknown(f"the measured loops took {seconds:.2f} s in all: too short for the counters of energy")
    if joules <= 0:
        return unknown("the counters of energy stand still")
    idle_mw = power_mw(*idle) if idle else None
    gross, each = 1000 * joules / count, seconds / count
    return {
        "gross_mj": gross,
        "net_mj": None if idle_mw is None else gross - idle_mw * each,
        "busy_mw": 1000 * joules / seconds,
        "idle_mw": idle_mw,
        "seconds": round(seconds, 3),
        "inferences": count,
        "rails": sorted(sensed[0].before.package_uj or ()),
        "method": PACKAGE_METHOD,
    }


def spent_uj(before: Snapshot, after: Snapshot) -> int | None:
    """Return the microjoules that all packages took between two snapshots; None where they are not the same packages.

    A counter that is lower afterwards has begun at 0 again, once: it lasts for minutes at the most that a chip draws.
    """
    first, last = before.package_uj or {}, after.package_uj or {}
    if not first or first.keys() != last.keys():
        return None
    return sum((last[name][0] - start) % (most + 1) for name, (start, most) in first.items())


def power_mw(before: Snapshot, after: Snapshot) -> float | None:
    """Return the mean power of all packages between two snapshots."""
    spent, seconds = spent_uj(before, after), (after.time_ns - before.time_ns) / 1e9
    return None if spent is None or seconds <= 0 else spent / 1000 / seconds


def inferences(runs: Sequence[ProcessRun]) -> int:
    """Return how many the measured loops made."""
    return sum(len(run.samples_ns) * run.inferences_per_sample for run in runs)


def _of_battery(runs: Sequence[ProcessRun], sensed: Sequence[Sensed]) -> Energy:
    looks = [look for one in sensed for look in (one.before, one.after)]
    if any(look.on_cable for look in looks):
        return unknown("the phone was charging: connect adb over Wi-Fi, and unplug it")
    charges = [look.charge_uah for look in looks if look.charge_uah is not None]
    volts = [look.battery_mv for look in looks if look.battery_mv]
    steps = [abs(a - b) for a, b in pairwise(charges) if a != b]
    drawn, seconds = charges[0] - charges[-1], (looks[-1].time_ns - looks[0].time_ns) / 1e9
    if not volts:
        return unknown("the battery tells no voltage")
    if not steps or drawn < FEWEST_STEPS * min(steps):
        moved = drawn // min(steps) if steps else 0
        return unknown(
            f"the battery's counter moved by {max(0, moved)} steps in {seconds:.0f} s, and {FEWEST_STEPS} are needed: "
            "measure longer with --sustained"
        )
    count, mj = inferences(runs), drawn * MJ_PER_UAH_MV * sum(volts) / len(volts)
    if mj / seconds < LEAST_MW:
        return unknown(
            f"the battery's counter tells {mj / seconds:.1f} mW, which no phone draws: its unit is another one"
        )
    return {
        "gross_mj": mj / count,
        "net_mj": None,
        "net_reason": "what the phone draws besides was not measured",
        "busy_mw": mj / seconds,
        "seconds": round(seconds, 3),
        "inferences": count,
        "steps": drawn // min(steps),
        "method": GAUGE_METHOD,
    }


def from_answer(answer: Mapping[str, Any]) -> Pause:
    """Return the snapshots of an answer of bench/ondevice/idle.py."""
    return Snapshot(**answer["before"]), Snapshot(**answer["after"])
