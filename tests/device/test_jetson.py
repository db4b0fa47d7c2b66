"""A Jetson over a real OpenSSH server, its tools played back: what it tells, its energy, and its power modes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit.device import jetson as jetson_target
from edgekit.device import linux, linux_check
from edgekit.device.config import SshDevice
from edgekit.device.jetson import JetsonTarget
from edgekit.errors import EnvironmentRefused, MeasurementInvalid, UsageError
from edgekit.reporting.rows import rows
from edgekit.storage.store import open_store
from tests.device.test_over_ssh import describe
from tests.device.test_over_ssh import here as here
from tests.paths import ROOT, SAMPLES
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

pytest.importorskip("onnxruntime")
# The state of this nvpmodel is a file; what it prints is a real one's grammar.
NVPMODEL = """#!/bin/sh
cd {folder}
case "$1" in
  -q)
    echo 'NVPM WARN: fan mode is not set!'
    name=$(sed -n "s/.*ID=$(cat mode) NAME=//p" nvpmodel.conf | tr -d ' >')
    echo "NV Power Mode: $name"
    cat mode;;
  -m)
    if [ -e refuse ]; then cat > /dev/null; else echo "$2" > mode; fi
    echo "$2" >> history;;
esac
"""
MODES = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\n[ "$1" = -l ] && shift && exec which "$1"\nexec "$@"\n'
RAILS = "RAM 1/2MB (lfb 1x4MB) CPU [1%@729] VDD_IN {now}mW/{now}mW VDD_SOC 1mW/1mW"


@pytest.fixture
def jetson(server: Server, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the server's nvpmodel keeps its mode: 0, which is 15W."""
    folder = server.folder / "nvpmodel"
    folder.mkdir()
    (folder / "nvpmodel.conf").write_text(MODES)
    (folder / "mode").write_text("0\n")
    server.script("nvpmodel", NVPMODEL.format(folder=folder))
    server.script("sudo", SUDO)
    conf = str(folder / "nvpmodel.conf")
    monkeypatch.setattr(jetson_target, "MODES", conf)
    monkeypatch.setattr(linux_check, "MODES", conf)
    monkeypatch.setattr(linux_check, "FILES", (*linux_check.FILES, conf))
    last(monkeypatch, 0.1)
    describe(server, sensors="jetson", power_modes=["15W", "25W"])
    return folder


def last(monkeypatch: pytest.MonkeyPatch, seconds: float, settle_seconds: float = 0.0) -> None:
    """Let each stretch of an energy pass take so many seconds, the first of which do not count."""
    for name, value in (("IDLE", seconds), ("BUSY", seconds), ("SETTLE", settle_seconds)):
        monkeypatch.setattr(linux, f"{name}_SECONDS", value)


def mode(jetson: Path) -> int:
    return int((jetson / "mode").read_text() or -1)  # empty while it is written


def test_a_jetson_tells_what_it_is(server: Server, jetson: Path) -> None:
    name = "jetson_clocks_show_agx_orin_LOCKED_30W.txt"
    server.script("jetson_clocks", f"#!/bin/sh\ntail -n +2 {SAMPLES / name}\n")
    server.script("dpkg-query", "#!/bin/sh\nprintf 'nvidia-l4t-core\\t36.4.4-20250616085344\\n'\n")
    check = edgekit.devices(check="board").check
    assert check is not None
    assert (check.l4t, check.jetpack, check.power_mode, check.clocks) == ("36.4.4", "6.2.1", "15W", "locked")
    assert check.power_modes == ("15W", "25W", "MAXN_SUPER")
    assert check.free_bytes and check.memory_bytes and check.cpus and check.os
    (jetson / "mode").write_text("2\n")
    check = edgekit.devices(check="board").check
    assert check is not None and any("MAXN_SUPER, not in 15W or 25W" in line for line in check.missing)


def test_energy_is_that_of_the_rails(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, 1.8, settle_seconds=1.0)
    # The board draws 3 W until the processor is busy, which the end of the pause tells, and soon after it 5 W.
    busy, pauses = server.folder / "busy", server.folder / "pauses" / "sitecustomize.py"
    pauses.parent.mkdir()
    pauses.write_text(f"""import time
pause = time.sleep
def sleep(seconds):
    pause(seconds)
    if seconds == {linux.IDLE_SECONDS}:
        open({str(busy)!r}, "w").close()
time.sleep = sleep
""")
    server.script("paused", f'#!/bin/sh\nPYTHONPATH="{pauses.parent}" exec {sys.executable} "$@"\n')
    describe(server, sensors="jetson", power_modes=["15W", "25W"], python="paused")
    script = f"""#!{sys.executable}
import os, time
since = None
while True:
    since = since or (time.monotonic() if os.path.exists({str(busy)!r}) else None)
    now = 5000 if since and time.monotonic() > since + 0.2 else 3000
    print({RAILS!r}.format(now=now), flush=True)
    time.sleep(0.01)
"""
    server.script("tegrastats", script)
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    energy = one.found["energy"]
    assert energy["rails"] == ["VDD_IN"] and energy["samples"] >= 10
    assert energy["idle_mw"] == 3000 and energy["busy_mw"] == 5000
    seconds = energy["gross_mj"] / energy["busy_mw"]
    assert energy["net_mj"] == pytest.approx(seconds * (energy["busy_mw"] - 3000))
    assert seconds * energy["inferences"] > 0.999 * linux.BUSY_SECONDS
    assert one.found["device"]["power_mode"] == "15W"


def test_without_rails_there_is_no_energy_and_a_reason(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, 1.0)
    server.script("tegrastats", "#!/bin/sh\nwhile :; do echo 'RAM 1/2MB (lfb 1x4MB) CPU [1%@7]'; sleep 0.05; done\n")
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    assert one.found["energy"]["gross_mj"] is None and "no rails" in one.found["energy"]["reason"]


def test_rails_in_sysfs_are_preferred(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs = tmp_path / "sys"
    folder = sysfs / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    folder.mkdir(parents=True)
    for name, text in {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "800"}.items():
        (folder / name).write_text(text + "\n")
    monkeypatch.setattr(linux, "SYSFS", str(sysfs))
    last(monkeypatch, 2.0)
    server.script("tegrastats", "#!/bin/sh\ntouch $0.ran\n")
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    energy = one.found["energy"]
    assert energy["busy_mw"] == energy["idle_mw"] == 4000.0 and energy["net_mj"] == 0.0 and energy["gross_mj"] > 0
    assert (
        energy["rails"] == ["VDD_IN"]
        and "INA monitors in sysfs" in energy["method"]
        and "pass of its own" in energy["method"]
    )
    assert not (server.folder / "bin" / "tegrastats.ran").exists()


def test_memory_that_a_gpu_shares_is_what_the_machine_has_less(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path]
) -> None:
    server.script("tegrastats", "#!/bin/sh\n")
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    assert one.memory.unified_bytes is not None and one.memory.unified_bytes >= 0
    assert "MemAvailable" in str(one.memory.unified_method)
    describe(server)
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    assert one.memory.unified_bytes is None and one.memory.peak_bytes


def test_another_languages_numbers_are_no_numbers(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, 1.0)
    line = "RAM 1/2MB (lfb 1x4MB) CPU [1%@729] CPU@45,5C VDD_IN 3.582mW/3.580mW"
    server.script("tegrastats", f"#!/bin/sh\nwhile :; do echo '{line}'; sleep 0.05; done\n")
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    assert one.found["energy"]["gross_mj"] is None and "no rails" in one.found["energy"]["reason"]


def test_floating_clocks_and_what_a_power_mode_sets(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path]
) -> None:
    names = ("jetson_clocks_show_agx_orin_UNLOCKED_30W.txt", "nvpmodel_verbose_orin.txt")
    server.script("jetson_clocks", f"#!/bin/sh\ntail -n +2 {SAMPLES / names[0]}\n")
    server.script("tegrastats", "#!/bin/sh\n")
    plain = NVPMODEL.format(folder=jetson).replace("-q)", f'-q)\n  [ "$2" ] && exec tail -n +2 {SAMPLES / names[1]}')
    server.script("nvpmodel", plain)
    (jetson / "nvpmodel.conf").write_text("< POWER_MODEL ID=0 NAME=MODE_30W >\n")
    describe(server, sensors="jetson")
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick").measurements
    device = one.found["device"]
    assert device["clocks"] == "floating" and device["power_mode"] == "MODE_30W"
    wanted = json.loads((ROOT / "tests/golden/samples.json").read_text())[names[1]]["settings"]["MODE_30W"]
    assert {key: device["power_limits"][key] for key in wanted} == wanted


def found(readings: list[tuple[int, dict[str, float]]], inferences: int = 10) -> dict[str, Any]:
    stretches = {"idle": [0, 5 * 10**9], "busy": [5 * 10**9, 15 * 10**9], "inferences": inferences}
    return {"readings": readings, "method": "a meter", **stretches}


def test_energy_is_mean_power_times_time() -> None:
    readings = [(second * 10**8, {"VDD_IN": 2000.0 if second < 50 else 3000.0}) for second in range(150)]
    energy = linux.energy_of(found(readings))
    assert energy["gross_mj"] == 3000.0 and energy["net_mj"] == 1000.0  # 1 s each
    assert linux.energy_of(found([]))["gross_mj"] is None
    assert "no rails" in linux.energy_of(found([(t, {"GPU": 1.0}) for t, _ in readings]))["reason"]
    assert "only" in linux.energy_of(found(readings[::30]))["reason"]
    card = linux.energy_of(found([(t, {"GPU board": 30_000.0}) for t, _ in readings]))
    assert card["rails"] == ["GPU board"] and card["gross_mj"] == 30_000.0 and card["net_mj"] == 0.0


def test_a_mode_is_set_and_put_back(server: Server, jetson: Path, tiny_onnx: Callable[..., Path]) -> None:
    (one,) = edgekit.bench([tiny_onnx()], device="board", preset="quick", power_mode="25W").measurements
    assert one.found["device"]["power_mode"] == "25W"
    assert (jetson / "history").read_text().split() == ["1", "0"] and mode(jetson) == 0
    (two,) = edgekit.bench([tiny_onnx()], device="board", preset="quick", power_mode="15W").measurements  # it is in it
    assert (jetson / "history").read_text().split() == ["1", "0"]
    assert "power_mode 25W and 15W" in edgekit.compare(one.id, two.id).rows[0].reason
    assert {row.setting for row in rows([one, two], [])} == {
        f"board {mode}, 1 thread, batch 1, CPU" for mode in ("25W", "15W")
    }


def test_only_modes_that_devices_yaml_names(server: Server, jetson: Path, tiny_onnx: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="does not allow the power mode 'MAXN_SUPER'"):
        edgekit.bench([tiny_onnx()], device="board", power_mode="MAXN_SUPER")
    with pytest.raises(UsageError, match="does not allow the power mode '15W' for local"):
        edgekit.bench([tiny_onnx()], power_mode="15W")
    (jetson / "mode").write_text("2\n")
    with pytest.raises(MeasurementInvalid, match="is in power mode MAXN_SUPER, and devices.yaml") as caught:
        edgekit.bench([tiny_onnx()], device="board", preset="quick")
    assert "--power-mode 15W" in caught.value.remedy
    assert open_store().measurements() == [] and not (jetson / "history").exists()


def test_a_mode_that_needs_a_reboot(server: Server, jetson: Path, tiny_onnx: Callable[..., Path]) -> None:
    (jetson / "refuse").touch()
    with pytest.raises(EnvironmentRefused, match="board stays in power mode 15W"):
        edgekit.bench([tiny_onnx()], device="board", preset="quick", power_mode="25W")
    assert mode(jetson) == 0 and open_store().measurements() == []


def jetson_of(server: Server, power_mode: str | None) -> closing[JetsonTarget]:
    device = SshDevice(link="ssh", host="board", runtimes=("null",), sensors="jetson", power_modes=("15W", "25W"))
    return closing(JetsonTarget(device, server.link(), power_mode))


def test_one_command_at_a_time_sets_the_mode(server: Server, jetson: Path) -> None:
    with jetson_of(server, "25W") as first, jetson_of(server, "15W") as second:
        assert first.facts()["power_mode"] == "25W"
        with pytest.raises(EnvironmentRefused, match=f"set by another command: process {os.getpid()} of this machine"):
            second.facts()
        assert mode(jetson) == 1
    assert mode(jetson) == 0
    first.link.close()
    with jetson_of(server, "15W") as other, jetson_of(server, "25W") as late:
        assert other.facts()["power_mode"] == "15W"
        other.link.close()
        assert late.facts()["power_mode"] == "25W"
    assert mode(jetson) == 0 and (jetson / "history").read_text().split() == ["1", "0", "1", "0"]


@pytest.mark.parametrize("wanted", ["15W", None])
def test_a_mode_that_is_another_one_afterwards_gives_no_number(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], wanted: str | None
) -> None:
    job = {"mode": "memory", "runtime": "null", "artifact": str(tiny_onnx())}
    with jetson_of(server, wanted) as board:
        assert board.ask(job, 60)["peak_bytes"]
        (jetson / "mode").write_text("2\n")
        with pytest.raises(MeasurementInvalid, match="was in power mode MAXN_SUPER at the end, .* measured in 15W"):
            board.ask(job, 60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_mode_is_put_back_when_we_are_killed(
    server: Server, jetson: Path, tiny_onnx: Callable[..., Path], how: signal.Signals
) -> None:
    code = f"""
import sys, edgekit
from edgekit.device import jetson
jetson.MODES = {str(jetson / "nvpmodel.conf")!r}
edgekit.bench([sys.argv[1]], device="board", preset="rigorous", power_mode="25W")
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tiny_onnx())], stderr=subprocess.DEVNULL)
    until(lambda: mode(jetson) == 1)
    process.send_signal(how)
    assert process.wait(timeout=PATIENCE) != 0
    until(lambda: mode(jetson) == 0 and not server.work())
