"""The energy counters of processor packages in /sys/class/powercap (RAPL), Intel's and AMD's alike.

A package is a whole chip: its cores, caches, memory controller and, where it has one, its GPU, with all that runs on
them. Main memory and the rest of the machine are not in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .kernel_files import number, text

SYS = Path("/sys")
ZONES = "class/powercap/intel-rapl:*"  # AMD's too. What begins with intel-rapl-mmio is the same counter again.
PACKAGE = re.compile(r"package-[0-9]{1,4}(-die-[0-9]{1,4})?", re.ASCII)  # not core, uncore, dram or psys


def counters(root: Path = SYS) -> dict[str, list[int]] | None:
    """Microjoules by package, each with the most that its counter holds before it begins at 0 again.

    None where there is no package, or one that does not answer: the others would be taken for the whole.
    """
    found = {}
    for name, zone in packages(root).items():
        energy, most = number(zone / "energy_uj"), number(zone / "max_energy_range_uj")
        if energy is None or most is None or energy < 0 or most <= 0:
            return None
        found[name] = [energy, most]
    return found or None


def added(snapshot: dict[str, Any], root: Path = SYS) -> dict[str, Any]:
    """Return a snapshot with the counters at this moment."""
    return {**snapshot, "package_uj": counters(root)}


def reason(root: Path = SYS) -> str | None:
    """Return why `counters` is None, and what to do about it; None where it is not."""
    zones = packages(root)
    if not zones:
        return "this machine has no energy counter of a processor package (/sys/class/powercap/intel-rapl:*)"
    for zone in zones.values():
        try:
            (zone / "energy_uj").read_bytes()
        except PermissionError:
            path = "/sys/class/powercap/" + zone.name + "/energy_uj"
            return f"{path} may be read by root only (since Linux 5.10): `sudo chmod a+r {path}` until the next boot"
        except OSError as error:
            return f"{zone.name} does not answer: {error.strerror}"
    return None if counters(root) else "the energy counters hold no numbers"


def packages(root: Path = SYS) -> dict[str, Path]:
    """Return the zones of whole packages by name."""
    found = {}
    for zone in sorted(root.glob(ZONES)):
        name = text(zone / "name")
        if name and PACKAGE.fullmatch(name) and zone.name.count(":") == 1:
            found[name] = zone
    return found
