"""What a Tegra's kernel tells of its GPU and of throttling, from files as it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.ondevice.sensors import linux, tegra
from edgekit.records.measurement import Snapshot
from tests.bench.ondevice.sensors.test_power_rails import write


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tegra, "SYS", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["57000000.gpu", "17000000.gp10b", "17000000.gv11b", "17000000.ga10b", "gpu-gpc-0"])
def test_the_clock_of_the_gpu(sysfs: Path, name: str) -> None:
    write(sysfs / "class/devfreq/15340000.vic", cur_freq=115200000)
    assert tegra.gpu_mhz() is None
    write(sysfs / "class/devfreq" / name, cur_freq=624750000)
    assert tegra.gpu_mhz() == 624.75


def test_what_slows_the_chip(sysfs: Path) -> None:
    assert tegra.power_events() is None and tegra.throttling() is None
    write(sysfs / "class/hwmon/hwmon0", oc1_event_cnt=2, oc3_event_cnt=5)
    write(sysfs / "class/thermal/cooling_device0", type="pwm-fan", cur_state=3)
    assert tegra.power_events() == 7 and tegra.throttling() is None
    write(sysfs / "class/thermal/cooling_device1", type="cpu-throttle-alert", cur_state=0)
    write(sysfs / "class/thermal/cooling_device2", type="gpu-balanced", cur_state=2)
    assert tegra.throttling() == 2


@pytest.mark.parametrize("gpu", [True, False])
def test_a_snapshot_with_it(sysfs: Path, gpu: bool) -> None:
    write(sysfs / "class/devfreq/17000000.gpu", cur_freq=306000000)
    write(sysfs / "class/hwmon/hwmon0", oc1_event_cnt=1)
    found: dict[str, Any] = tegra.added(linux.snapshot(), gpu)
    read = Snapshot(**found)
    assert (read.gpu_mhz, read.power_events) == (306.0 if gpu else None, 1)


def test_nonsense_is_nothing(sysfs: Path) -> None:
    write(sysfs / "class/devfreq/17000000.gpu", cur_freq="306,000")
    write(sysfs / "class/hwmon/hwmon0", oc1_event_cnt="many")
    assert tegra.gpu_mhz() is None and tegra.power_events() is None
