from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bench.android import dumpsys
from edgekit.device import android_check
from edgekit.device.check import memory_line
from tests.paths import GOLDENS, sample

GOLDEN = json.loads((GOLDENS / "android_samples.json").read_text())
HEAT = """IsStatusOverride: false
Thermal Status: 3
Cached temperatures:
\tTemperature{mValue=84.2, mType=3, mName=SKIN, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=57.9, mType=0, mName=CPU, mStatus=0}
\tTemperature{mValue=NaN, mType=1, mName=GPU, mStatus=0}
\tTemperature{mValue=-3.5, mType=3, mName=SKIN, mStatus=2}
Current cooling devices from HAL:
\tCoolingDevice{mValue=2, mType=2, mName=cpu0}
\tCoolingDevice{mValue=7, mType=1, mName=battery}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=SKIN, mHotThrottlingThresholds=[NaN, NaN, NaN, 50.0]}
"""
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  level: 61
  scale: 100
  voltage: 3944
  temperature: 452
"""
MEMORY = """** MEMINFO in pid 23844 [benchmark_model] **
 App Summary
         Native Heap:   382944                          391000
            Graphics:   207372                          207000

           TOTAL PSS:   706328            TOTAL RSS:   805104      TOTAL SWAP (KB):      363
"""
CLOCKS = "".join(
    f"/sys/devices/system/cpu/cpufreq/policy{number}/{name}: {value}\n"
    for number, cpus, top in ((0, "0 1 2 3", 1803000), (4, "4 5 6", 2348000), (7, "7", 2850000))
    for name, value in (
        ("related_cpus", cpus),
        ("scaling_max_freq", top),
        ("cpuinfo_max_freq", top),
    )
)
PROPERTIES = "[ro.product.model]: [Pixel 8]\n[a.b]: []\n[several]: [one\ntwo]\n[ro.build.version.sdk]: [34]\n"


def kilobytes(found: dumpsys.MemInfo) -> dict[str, int | None]:
    parts = {key.replace("_bytes", "_kb"): value for key, value in asdict(found).items()}
    return {key: None if value is None else value // 1024 for key, value in parts.items()}


def heat(found: dumpsys.Thermal) -> dict[str, Any]:
    return {
        "status": found.status,
        "cpu_cooling": found.cpu_cooling,
        "skin": found.hottest("SKIN"),
        "battery": found.hottest("BATTERY"),
        "hottest": found.hottest(),
        "sensors": [[one.kind, one.name, one.celsius] for one in found.sensors],
    }


def who(text: str) -> dict[str, Any]:
    found = asdict(dumpsys.identity(dumpsys.properties(text)))
    return {key: list(value) if key == "abis" else value for key, value in found.items() if key != "is_emulator"}


READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "dumpsys_thermal": lambda text: heat(dumpsys.thermal(text)),
    "dumpsys_battery": lambda text: {**asdict(dumpsys.battery(text)), "powered": list(dumpsys.battery(text).powered)},
    "dumpsys_meminfo": lambda text: kilobytes(dumpsys.meminfo(text)),
    "getprop": who,
}


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith(tuple(READERS))])
def test_samples(name: str) -> None:
    reader = next(READERS[start] for start in READERS if name.startswith(start))
    assert reader(sample(name)) == GOLDEN[name]


def test_only_what_sensors_say_now_counts() -> None:
    found = dumpsys.thermal(HEAT)
    assert found.status == 3 and found.cpu_cooling == 2
    assert [(one.kind, one.celsius) for one in found.sensors] == [("CPU", 57.9), ("SKIN", -3.5)]
    assert dumpsys.thermal("").status is None and dumpsys.thermal("").hottest() is None


def test_battery_in_tenths() -> None:
    found = dumpsys.battery(BATTERY)
    assert (found.celsius, found.percent, found.powered) == (45.2, 61.0, ("USB",))
    assert dumpsys.battery(BATTERY.replace("scale: 100", "scale: 0")).percent is None


def test_properties() -> None:
    found = dumpsys.properties(PROPERTIES)
    assert found == {"ro.product.model": "Pixel 8", "a.b": "", "several": "one\ntwo", "ro.build.version.sdk": "34"}
    assert dumpsys.properties("[cut]: [wh\n[ro.product.model]: [x]\n").get("ro.product.model") in (None, "x")
    for emulator in ({"ro.hardware": "ranchu"}, {"ro.kernel.qemu": "1"}, {"ro.boot.qemu": "1"}):
        assert dumpsys.identity(emulator).is_emulator
    assert not dumpsys.identity({"ro.hardware": "zuma", "ro.boot.qemu": "0"}).is_emulator


def test_clusters() -> None:
    policies = dumpsys.frequencies(CLOCKS)
    assert [policy.highest_mhz for policy in policies] == [1803.0, 2348.0, 2850.0]
    assert dumpsys.cluster(policies, "little") == (0, 1, 2, 3) and dumpsys.cluster(policies, "big") == (4, 5, 6, 7)
    assert dumpsys.cluster(policies[:1], "big") is None and dumpsys.cluster((), "big") is None
    assert dumpsys.mask((4, 5, 6, 7)) == "f0" and dumpsys.mask((7,)) == "80"


def test_listed_phones() -> None:
    text = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\nList of devices attached\n"
        "8A2X1 device usb:1-2 product:husky model:Pixel_8_Pro transport_id:3\n127.0.0.1:5555\toffline\n"
        "0123456789 no permissions (user in plugdev group; are your udev rules wrong?); see [http://x]\n\n"
    )
    found = dumpsys.seen(text)
    assert found == {"8A2X1": "device", "127.0.0.1:5555": "offline", "0123456789": "no permissions"}
    assert dumpsys.seen("error: x\n") == {}


TEXTS: dict[str, Callable[[str], Any]] = {
    HEAT: dumpsys.thermal,
    BATTERY: dumpsys.battery,
    MEMORY: dumpsys.meminfo,
    CLOCKS: dumpsys.frequencies,
}
OTHERS = (
    PROPERTIES
    + "MemTotal:        7802468 kB\nMemTotal: \n/dev/block/dm-53  111318804 40000000 71187732  37% /data\n"
    + "List of devices attached\n8A2X1 device usb:1-2 model:Pixel_8_Pro\n"
)
TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def numbers(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, (int, float)):
        return [float(value)]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [number for item in items for number in numbers(item)]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Lines of any of these texts: cut, doubled, in another order, run together or replaced by anything."""
    rows = draw(
        st.lists(
            st.sampled_from([row for text in (*TEXTS, OTHERS) for row in text.splitlines(keepends=True)]), max_size=15
        )
    )
    for _ in range(draw(st.integers(0, 6))):
        if not rows:
            break
        index = draw(st.integers(0, len(rows) - 1))
        row, place = rows[index], draw(st.integers(0, len(rows[index])))
        other = draw(st.one_of(st.text(max_size=30), st.sampled_from(rows)))
        rows[index] = draw(
            st.sampled_from([row[:place], row[place:], row[:place] + other + row[place:], row + row, other])
        )
    return "".join(rows)


def told(reader: Callable[[str], Any], text: str) -> set[float]:
    found = reader(text)
    return set(numbers([asdict(one) for one in found] if isinstance(found, tuple) else asdict(found)))


@settings(max_examples=300)
@given(st.one_of(damaged(), st.text()))
def test_damaged_texts_yield_no_number_that_is_not_there(text: str) -> None:
    there = {float(token) for token in TOKEN.findall(text)}
    units = {number * factor for number in there for factor in (1, -1, 1024)}
    units |= {number / divisor for number in there for divisor in (10, 1000, -10, -1000)}
    units |= {sign * 100 * level / scale for level in there for scale in there if scale for sign in (1, -1)}
    for reader in TEXTS.values():
        assert told(reader, text) <= units
    sdk = dumpsys.identity(dumpsys.properties(text)).sdk
    assert sdk is None or sdk in there
    assert all(serial in text and state in text for serial, state in dumpsys.seen(text).items())
    for size in (memory_line(text, "MemTotal"), android_check.free(text)):
        assert size is None or size / 1024 in there


@pytest.mark.parametrize("text", TEXTS)
def test_cut_texts_give_the_same_numbers_or_none(text: str) -> None:
    whole = told(TEXTS[text], text)
    for cut in range(len(text)):
        assert told(TEXTS[text], text[:cut]) <= whole


@pytest.mark.parametrize(
    ("more", "charge"),
    [
        ("  Charge counter: 3045000\n", 3_045_000),
        ("  Charge counter: 0\n", None),  # phones without a gauge say 0
        ("", None),
        ("  Charge counter: 3045000\n  (UPDATES STOPPED -- use 'reset' to restart)\n", None),  # what somebody has set
    ],
)
def test_a_gauge_tells_what_is_left(more: str, charge: int | None) -> None:
    text = BATTERY.replace("  status: 2\n", f"{more}  status: 2\n")
    assert dumpsys.battery(text).charge_uah == charge and dumpsys.battery(text).millivolts == 3944
