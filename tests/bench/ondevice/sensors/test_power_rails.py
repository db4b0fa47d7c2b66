"""Power rails in sysfs, made as JetPack 4 and later ones make them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bench.ondevice import energy
from edgekit.bench.ondevice.sensors import jetson_tools, power_rails
from tests.waiting import until


def write(folder: Path, **texts: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f"{text}\n")


def orin(root: Path) -> Path:
    """The monitors of an Orin Nano: three rails, one channel that is not connected, the sum of the shunts."""
    first = root / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    write(first, in1_label="VDD_IN", in1_input=4968, curr1_input=1008)
    write(first, in2_label="VDD_CPU_GPU_CV", in2_input=4960, curr2_input=200, in3_label="VDD_SOC", in3_input=4960)
    write(first, curr3_input=300, in7_label="sum of shunt voltages", in7_input=7, curr7_input=7)
    write(root / "bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon4", in1_label="NC", in1_input=1, curr1_input=1)
    return first


def test_rails_since_jetpack_5(tmp_path: Path) -> None:
    folder = orin(tmp_path)
    found = power_rails.find(tmp_path)
    assert [rail.name for rail in found] == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert power_rails.read(found) == {"VDD_IN": 4968 * 1.008, "VDD_CPU_GPU_CV": 992.0, "VDD_SOC": 1488.0}
    assert jetson_tools.total(power_rails.read(found)) == (4968 * 1.008, ["VDD_IN"])
    (folder / "curr1_input").write_text("")
    assert set(power_rails.read(found)) == {"VDD_CPU_GPU_CV", "VDD_SOC"}
    assert jetson_tools.total(power_rails.read(found)) is None


def test_rails_of_jetpack_4(tmp_path: Path) -> None:
    folder = tmp_path / "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    write(folder, rail_name_0="POM_5V_IN", in_power0_input=2532, rail_name_1="POM_5V_GPU", in_power1_input=41)
    write(folder, rail_name_2="POM_5V_CPU", in_voltage2_input=4992)
    assert power_rails.read(power_rails.find(tmp_path)) == {"POM_5V_IN": 2532.0, "POM_5V_GPU": 41.0}


def thor(root: Path) -> None:
    """A Thor's rails on its INA3221, of which none is the whole board."""
    folder = root / "bus/i2c/drivers/ina3221/2-0040/hwmon/hwmon1"
    write(folder, in1_label="VDD_GPU", in1_input=12000, curr1_input=160, in2_label="VDD_CPU_SOC_MSS", in2_input=12000)
    write(folder, curr2_input=490, in3_label="VIN_SYS_5V0", in3_input=5000, curr3_input=1127)


@pytest.mark.parametrize("label", ["in1_label", "label"])
def test_thor_has_its_total_on_another_monitor(tmp_path: Path, label: str) -> None:
    thor(tmp_path)
    folder = tmp_path / "bus/i2c/drivers/ina238/2-0044/hwmon/hwmon2"
    write(folder, in0_input=3, in1_input=20000, curr1_input=989, power1_input=19780000)
    assert jetson_tools.total(power_rails.read(power_rails.find(tmp_path))) is None  # nothing says which rail that is
    write(folder, **{label: "VIN"})
    assert jetson_tools.total(power_rails.read(power_rails.find(tmp_path))) == (19780.0, ["VIN"])
    assert energy.meter(tmp_path).method == "INA monitors in sysfs every 0.1 s"


def test_what_does_not_tell_the_whole_board_is_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thor(tmp_path / "sys")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(energy, "PLACES", ())
    with pytest.raises(RuntimeError, match="neither sysfs nor tegrastats tells what the board draws"):
        energy.meter(tmp_path / "sys")
    line = "RAM 1/2MB (lfb 1x4MB) CPU [0%@972] VDD_GPU 1962mW/1962mW VIN_SYS_5V0 5635mW/5635mW VIN 19780mW/19780mW"
    (tmp_path / "tegrastats").write_text(f"#!/bin/sh\nwhile echo '{line}'; do /bin/sleep 0.05; done\n")
    (tmp_path / "tegrastats").chmod(0o755)
    meter = energy.meter(tmp_path / "sys")
    with meter:
        until(lambda: meter.readings)
    assert "tegrastats" in meter.method and jetson_tools.total(meter.readings[0][1]) == (19780, ["VIN"])


def test_a_board_without_monitors(tmp_path: Path) -> None:
    assert power_rails.find(tmp_path) == [] and power_rails.read([]) == {}


@pytest.mark.parametrize(
    "text", ["1,234", "1.234", "12 34", "0x10", "", "12\n34", "\u0661\u0662", "nan", "1_000", None]
)
def test_what_is_no_whole_number(text: str | None) -> None:
    assert power_rails.power([text]) is None and power_rails.power(["5", text]) is None


@given(st.lists(st.none() | st.text(max_size=12) | st.integers(-(10**6), 10**6).map(str), max_size=2))
def test_no_number_that_is_not_there(texts: list[str | None]) -> None:
    found = power_rails.power(texts)
    if found is not None:
        words = [int(str(text)) for text in texts]
        assert all(re.fullmatch("-?[0-9]+", str(text)) for text in texts)
        assert found == (words[0] if len(words) == 1 else words[0] * words[1] / 1000)
