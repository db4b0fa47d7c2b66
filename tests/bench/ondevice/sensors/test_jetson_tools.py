"""What a Jetson's tools say is read as a person reads it; what is cut, doubled or mixed gives no number of its own.

The expected values in golden/samples.json were written by hand from the samples, which lie beside the checkout.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bench.ondevice.sensors import jetson_tools
from tests.paths import GOLDENS, sample

GOLDEN: dict[str, Any] = json.loads((GOLDENS / "samples.json").read_text(encoding="utf-8"))

# Lines of several releases, made up.
LINES = (
    "RAM 2107/3956MB (lfb 52x4MB) SWAP 0/1978MB (cached 0MB) CPU [2%@1190,off,5%@345] EMC_FREQ 3%@2133 "
    "GR3D_FREQ 39%@305 VIC_FREQ 0%@115 APE 174 MTS fg 1% bg 2% CPU@45.5C GPU@-256C PMIC@100C "
    "POM_5V_IN 2532/2530 GPU 463/462",
    "01-02-2026 03:04:05 RAM 10/7486MB (lfb 33x4MB) CPU [2%@729] GR3D_FREQ @[305,0] NVDEC0 off VIC 36%@115 "
    "cpu@45.812C/51C VDD_IN 3582mW/3580mW/3599mW NC 0mW/0mW NC 0mW/0mW",
)


def names(start: str) -> list[str]:
    return [name for name in GOLDEN if name.startswith(start)]


@pytest.mark.parametrize("name", names("tegrastats"))
def test_tegrastats(name: str) -> None:
    lines = sample(name).splitlines()
    expected = dict(GOLDEN[name])
    assert len(lines) == expected.pop("lines")
    found = [jetson_tools.tegrastats(line) for line in lines]
    assert None not in found
    for number, values in expected.items():
        rails = found[int(number) - 1]
        assert rails is not None
        total = jetson_tools.total(rails)
        read = {"rails": rails, "total": total and total[0]}
        assert {key: read[key] for key in values} == values


@pytest.mark.parametrize("name", names("nvpmodel_q"))
def test_the_power_mode(name: str) -> None:
    assert jetson_tools.power_mode(sample(name)) == GOLDEN[name]


def test_a_power_mode_without_a_name_or_a_number() -> None:
    assert jetson_tools.power_mode("NV Power Mode: \n3\n") == "3"
    assert jetson_tools.power_mode("NV Power Mode: MAXN\n") == "MAXN"
    assert jetson_tools.power_mode("NVPM ERROR: something\n2\n") is None


@pytest.mark.parametrize("name", names("nvpmodel_modes"))
def test_the_modes_that_there_are(name: str) -> None:
    assert jetson_tools.power_modes(sample(name)) == GOLDEN[name]


@pytest.mark.parametrize("name", names("nvpmodel_verbose"))
def test_what_the_modes_set(name: str) -> None:
    text, expected = sample(name), GOLDEN[name]
    for mode, values in expected["settings"].items():
        found = jetson_tools.limits(text, mode)
        assert {key: found[key] for key in values} == values
    for number, mode in enumerate(expected["modes"]):
        assert jetson_tools.limits(text, str(number)) == jetson_tools.limits(text, mode) != {}
    assert jetson_tools.limits(text, "NO SUCH MODE") == jetson_tools.limits(text, None) == {}


@pytest.mark.parametrize("name", names("jetson_clocks"))
def test_the_clocks(name: str) -> None:
    assert jetson_tools.locked(sample(name)) == GOLDEN[name]


LOCKED = (
    "cpu0: Online=1 Governor=x MinFreq=5 MaxFreq=5 CurrentFreq=5 IdleStates: WFI=0 c7=0\n"
    "cpu1: Online=0 Governor=x MinFreq=1 MaxFreq=5 CurrentFreq=1 IdleStates: WFI=1\n"
    "GPU MinFreq=7 MaxFreq=7 CurrentFreq=7\nEMC MinFreq=1 MaxFreq=9 CurrentFreq=9 FreqOverride=1\n"
)


@pytest.mark.parametrize(
    ("old", "new", "locked"),
    [
        ("", "", True),
        ("c7=0", "c7=1", False),
        ("MinFreq=7", "MinFreq=6", False),
        ("FreqOverride=1", "FreqOverride=0", False),
        ("Online=0", "Online=1", False),
        ("GPU MinFreq=7", "GPU MinFreq=x", None),
        ("cpu", "core", None),
    ],
)
def test_what_holds_the_clocks(old: str, new: str, locked: bool | None) -> None:
    assert jetson_tools.locked(LOCKED.replace(old, new) if old else LOCKED) is locked


def test_the_release() -> None:
    name = "nv_tegra_release_samples.txt"
    assert [jetson_tools.release(block) for block in sample(name).split("\n\n")] == GOLDEN[name]
    assert jetson_tools.release("") is None
    assert jetson_tools.package_release("nvidia-l4t-core\t36.4.4-20250616085344") == {
        "l4t": "36.4.4",
        "jetpack": "6.2.1",
    }
    assert jetson_tools.package_release("dpkg-query: no packages found") is None
    unknown = jetson_tools.release("# R77 (release), REVISION: 1.0, GCID: 1, BOARD: x, EABI: aarch64, DATE: now")
    assert unknown is not None and (unknown["l4t"], unknown["jetpack"]) == ("77.1.0", None)


def test_the_thermal_zones() -> None:
    types = sample("thermal_zones_nano2gb.txt").split()
    assert types == GOLDEN["thermal_zones_nano2gb.txt"]
    zones = "/sys/class/thermal/thermal_zone"
    files = {f"{zones}{index}/type": text for index, text in enumerate(types)}
    temps = ["31000", "25500", "-256000", "", "100000", "nonsense"]
    files |= {f"{zones}{index}/temp": text for index, text in enumerate(temps)}
    assert jetson_tools.thermal_zones(files) == {"AO-therm": 31.0, "CPU-therm": 25.5, "PMIC-Die": 100.0}


def test_one_name_for_a_temperature_and_a_rail() -> None:
    assert jetson_tools.tegrastats(LINES[0]) == {"POM_5V_IN": 2532, "GPU": 463}


@pytest.mark.parametrize("text", ["", "NVPM WARN", "Could not open", LINES[0][10:], "ram 1/2MB", "RAM: 1/2MB"])
def test_other_lines_are_no_lines(text: str) -> None:
    assert jetson_tools.tegrastats(text) is None


def test_another_language_writes_other_numbers() -> None:
    line = "RAM 1/2MB (lfb 1x4MB) CPU [1%@2] CPU@45,5C GPU@٤٥C VDD_IN 1.234mW/5mW GPU 7mW/7mW"
    assert jetson_tools.tegrastats(line) == {"GPU": 7}


def there(text: str) -> set[float]:
    """Every number in a text; a block of memory is told in MB and read in kB."""
    found = {float(word) for word in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", text)}
    found |= {float(word) for word in re.findall(r"[0-9]+", text)}
    return found | {1024 * number for number in found}


def wounded(lines: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Lines that were cut, doubled, interleaved, or that garbage fell into."""
    line = st.sampled_from(lines)
    cut = st.tuples(line, st.integers(0, 400), st.integers(0, 400)).map(lambda t: t[0][: t[1]] + t[0][t[1] + t[2] :])
    doubled = st.tuples(line, st.integers(0, 400), line).map(lambda t: t[0][: t[1]] + t[2])
    garbage = st.tuples(line, st.integers(0, 400), st.text(max_size=20)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
    )
    mixed = st.tuples(line, line, st.lists(st.integers(1, 40), max_size=20)).map(interleaved)
    return cut | doubled | garbage | mixed | st.text()


def interleaved(parts: tuple[str, str, list[int]]) -> str:
    first, second, sizes = parts
    out = ""
    for index, size in enumerate(sizes):
        taken, first = first[:size], first[size:]
        out += taken
        if index % 2:
            first, second = second, first
    return out + first + second


@given(wounded(LINES))
def test_tegrastats_reads_no_number_that_is_not_there(text: str) -> None:
    rails = jetson_tools.tegrastats(text)
    if rails is not None:
        assert set(rails.values()) <= there(text)
        total = jetson_tools.total(rails)
        assert total is None or total[0] == sum(rails[name] for name in total[1])


@given(st.sampled_from(LINES), st.sampled_from(LINES))
def test_two_lines_in_one_give_nothing(first: str, second: str) -> None:
    assert jetson_tools.tegrastats(f"{first} {second}") is None


CLOCKS = (
    "SOC family:tegra234  Machine:NVIDIA\ncpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1728000 "
    "CurrentFreq=1420800 IdleStates: WFI=1 c7=1 \nGPU MinFreq=306000000 MaxFreq=612000000 CurrentFreq=306000000\n"
    "EMC MinFreq=204 MaxFreq=3199 CurrentFreq=3199 FreqOverride=0\nFan: speed=255\nNV Power Mode: MODE_30W\n2\n"
    "NVPM VERB: PM_CONFIG: DEFAULT=MAXN(0)\nNVPM VERB: POWER_MODEL: ID=1 NAME=5W\nNVPM VERB: GPU MAX_FREQ 640000000\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n# R36 (release), REVISION: 4.4, GCID: 4, BOARD: generic, DATE: Mon\n",
)


@given(wounded(CLOCKS))
def test_the_other_tools_read_no_number_that_is_not_there(text: str) -> None:
    jetson_tools.locked(text)
    assert set(jetson_tools.power_modes(text).values()) <= there(text)
    for told in (jetson_tools.power_mode(text), *jetson_tools.limits(text, "5W").values()):
        assert told is None or told in text
    release = jetson_tools.release(text)
    assert release is None or all(part in text for part in str(release["l4t"]).split("."))
    zone = "/sys/class/thermal/thermal_zone0/"
    assert {1000 * value for value in jetson_tools.thermal_zones({zone + "temp": text}).values()} <= there(text)
