"""Energy counters of packages, in folders as kernels lay them out (Documentation/power/powercap)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.ondevice.sensors import powercap

# Zones of real machines: the folder, its name, its counter in microjoules and where that ends.
LAPTOP = (
    ("intel-rapl:0", "package-0", 41_927_803_456, 262_143_328_850),
    ("intel-rapl:0:0", "core", 30_100_200_300, 262_143_328_850),
    ("intel-rapl:0:1", "uncore", 1_100_200_300, 262_143_328_850),
    ("intel-rapl:1", "psys", 91_927_803_456, 262_143_328_850),
    ("intel-rapl-mmio:0", "package-0", 41_927_803_400, 262_143_328_850),
)
SERVER = (
    ("intel-rapl:0", "package-0", 1_000_000, 262_143_328_850),
    ("intel-rapl:0:0", "dram", 500_000, 65_712_999_613),
    ("intel-rapl:1", "package-1", 2_000_000, 262_143_328_850),
    ("intel-rapl:1:0", "dram", 600_000, 65_712_999_613),
)
AMD = (("intel-rapl:0", "package-0", 123_456_789, 65_532_610_987), ("intel-rapl:0:0", "core", 23_456, 65_532_610_987))


def zones(root: Path, *found: tuple[str, str, Any, Any]) -> Path:
    for folder, name, energy, most in found:
        zone = root / "class/powercap" / folder
        zone.mkdir(parents=True, exist_ok=True)
        for file, text in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", most), ("enabled", 1)):
            if text is not None:
                (zone / file).write_text(f"{text}\n")
    (root / "class/powercap/intel-rapl").mkdir(parents=True, exist_ok=True)  # the driver itself
    return root


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (LAPTOP, {"package-0": [41_927_803_456, 262_143_328_850]}),
        (SERVER, {"package-0": [1_000_000, 262_143_328_850], "package-1": [2_000_000, 262_143_328_850]}),
        (AMD, {"package-0": [123_456_789, 65_532_610_987]}),
        ((("intel-rapl:0", "package-0-die-1", 5, 10),), {"package-0-die-1": [5, 10]}),
    ],
)
def test_whole_packages_are_counted_once(machine: Any, told: Any, tmp_path: Path) -> None:
    root = zones(tmp_path, *machine)
    assert powercap.counters(root) == told and powercap.reason(root) is None
    assert powercap.added({"time_ns": 1}, root) == {"time_ns": 1, "package_uj": told}


@pytest.mark.parametrize(
    "machine",
    [
        (),
        (("intel-rapl:0", "psys", 1, 2),),
        (("intel-rapl:0", "package-0", None, 2),),
        (("intel-rapl:0", "package-0", "", 2),),
        (("intel-rapl:0", "package-0", "-5", 2),),
        (("intel-rapl:0", "package-0", 1, None),),
        (("intel-rapl:0", "package-0", 1, 0),),
        (("intel-rapl:0", "package-0", 1, 2), ("intel-rapl:1", "package-1", "x", 2)),  # half of it is no whole
    ],
)
def test_what_does_not_tell_has_a_reason(machine: Any, tmp_path: Path) -> None:
    root = zones(tmp_path, *machine)
    assert powercap.counters(root) is None and powercap.reason(root)


def test_a_counter_for_root_alone_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    root = zones(tmp_path, *AMD)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    told = powercap.reason(root)
    assert told and "root only" in told and "chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj" in told
