"""What disturbed one process while it was measured, as numbers: pure functions of what the device side read.

None where the device does not tell it. What a number means is decided in edgekit.measure.verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.records.measurement import Sensed


def foreign_cores(sensed: Sensed) -> float | None:
    """Processors that others kept busy during the measured loop: all busy time less the runner's own."""
    busy, own, wall = _since(sensed, "busy_s"), _since(sensed, "own_cpu_ns"), _since(sensed, "time_ns")
    if busy is None or own is None or not wall:
        return None
    return max(0.0, (busy - own / 1e9) / (wall / 1e9))


def foreign_share(sensed: Sensed) -> float | None:
    """Return the same over the number of processors."""
    cores, there = foreign_cores(sensed), sensed.after.all_cpus or sensed.after.cpus
    return None if cores is None or not there else cores / there


def stolen(sensed: Sensed) -> float | None:
    """Return the fraction of processor time that the hypervisor gave to other machines."""
    steal, total = _since(sensed, "steal_s"), _since(sensed, "total_s")
    return None if steal is None or not total else steal / total


def waited(sensed: Sensed) -> float | None:
    """Return the fraction of the loop in which a thread of the runner could run and had no processor."""
    return _over_wall(sensed, "own_waiting_ns", 1)


def pressure(sensed: Sensed) -> float | None:
    """Return the fraction of the loop in which any task of the device waited for a processor (PSI)."""
    return _over_wall(sensed, "pressure_us", 1000)


def switches(sensed: Sensed) -> float | None:
    """Involuntary context switches of the runner in a second."""
    return _over_wall(sensed, "involuntary_switches", 1e9)


def slowed(sensed: Sensed) -> float | None:
    """By how much longer the sentinel took after the loop than before it, as a fraction; negative where quicker."""
    if sensed.sentinel_ns is None or min(sensed.sentinel_ns) <= 0:
        return None
    return sensed.sentinel_ns[1] / sensed.sentinel_ns[0] - 1


def clock_lost(sensed: Sensed) -> float | None:
    """Return the fraction by which the fastest processor's clock fell during the loop."""
    before, after = sensed.before.mhz, sensed.after.mhz
    return max(0.0, 1 - max(after) / max(before)) if before and after and max(before) > 0 else None


def throttled(sensed: Sensed) -> float | None:
    """Return how often processors were slowed for heat during the loop, or how far they are."""
    counted, cooling = _since(sensed, "throttle_count"), sensed.after.cooling
    return None if counted is None and cooling is None else float((counted or 0) + (cooling or 0))


def gpu_clock_lost(sensed: Sensed) -> float | None:
    """Return the fraction by which the clock of a chip's own GPU fell during the loop."""
    before, after = sensed.before.gpu_mhz, sensed.after.gpu_mhz
    return max(0.0, 1 - after / before) if before and after is not None else None


def card(gpus: Sequence[Mapping[str, Any]] | None) -> Mapping[str, Any]:
    """Return what nvidia-smi told of the GPU that was used; empty where it is not known which of several that was."""
    return next((one for one in gpus or () if one.get("used", len(gpus or ()) == 1)), {})


def gpu_held(sensed: Sensed) -> float | None:
    """For how many reasons of power and heat the GPU was slower than it can be, right after the loop."""
    held = card(sensed.gpus[1]).get("held_down_by")
    return None if held is None else float(len(held))


def gpu_others(sensed: Sensed) -> float | None:
    """Return how many other processes computed on the GPU when the runner began to."""
    return None if sensed.gpu_others is None else float(sensed.gpu_others)


def gpu_busy(sensed: Sensed) -> float | None:
    """Return the fraction of the time in which the GPU was busy before the runner used it."""
    percent = card(sensed.gpus[0]).get("utilization.gpu")
    return percent / 100 if isinstance(percent, (int, float)) else None


def overdrawn(sensed: Sensed) -> float | None:
    """Return how often the chip was slowed for drawing too much current during the loop."""
    return _since(sensed, "power_events")


def junction(sensed: Sensed) -> float | None:
    """Return the hottest place of a Tegra chip in degrees Celsius, the warmer of before and after the loop."""
    zones = [{**(one.celsius or {})} for one in (sensed.before, sensed.after)]
    known = [celsius for zone in zones for name, celsius in zone.items() if name.split(" ", 1)[-1].startswith("tj")]
    return max(known, default=None)


def thermal_status(sensed: Sensed) -> float | None:
    """Return the worse of a phone's own thermal status before and after the loop."""
    known = [one.thermal_status for one in (sensed.before, sensed.after) if one.thermal_status is not None]
    return float(max(known)) if known else None


def surface(sensed: Sensed) -> float | None:
    """Return a phone's skin or battery in degrees Celsius, the warmer of before and after the loop."""
    known = [one.surface_celsius for one in (sensed.before, sensed.after) if one.surface_celsius is not None]
    return max(known, default=None)


def _since(sensed: Sensed, name: str) -> float | None:
    before, after = getattr(sensed.before, name), getattr(sensed.after, name)
    return None if before is None or after is None else float(after - before)


def _over_wall(sensed: Sensed, name: str, ns: float) -> float | None:
    amount, wall = _since(sensed, name), _since(sensed, "time_ns")
    return None if amount is None or not wall else max(0.0, amount * ns / wall)


# Levels, which say how a device stands when a loop has ended


def hottest(sensed: Sensed) -> float | None:
    """The temperature that a device slows down by, in degrees Celsius: a phone's surface, else its hottest zone."""
    after = sensed.after
    # A Jetson's PMIC shows a constant.
    zones = [celsius for name, celsius in (after.celsius or {}).items() if "PMIC" not in name]
    return max(zones, default=None) if after.surface_celsius is None else after.surface_celsius


def clock(sensed: Sensed) -> float | None:
    """Return the clock of the fastest processor in MHz; on a phone, what it may reach."""
    return max(sensed.after.mhz) if sensed.after.mhz else None


def gpu_clock(sensed: Sensed) -> float | None:
    """Return the clock of the GPU that was used, in MHz."""
    return sensed.after.gpu_mhz if sensed.after.gpu_mhz is not None else _of_card(sensed, "clocks.sm")


def gpu_celsius(sensed: Sensed) -> float | None:
    """Return the temperature of the GPU that was used, in degrees Celsius."""
    return _of_card(sensed, "temperature.gpu")


def is_throttled(sensed: Sensed) -> float | None:
    """1 where heat or power slowed the device during the loop, 0 where not."""
    told = [fact(sensed) for fact in (throttled, overdrawn, gpu_held, thermal_status)]
    known = [value for value in told if value is not None]
    return float(any(known)) if known else None


def sentinel_us(sensed: Sensed) -> float | None:
    """Return how long the small fixed work took after the loop, in microseconds."""
    return None if sensed.sentinel_ns is None else sensed.sentinel_ns[1] / 1000


def _of_card(sensed: Sensed, field: str) -> float | None:
    value = card(sensed.gpus[1]).get(field)
    return float(value) if isinstance(value, (int, float)) else None
