from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.ondevice.sensors import linux
from edgekit.records.measurement import Snapshot
from tests.paths import ROOT


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with every sensor, as files; its /proc and /sys."""
    cpus = {f"devices/system/cpu/cpu{cpu}" for cpu in linux._cpus()}
    files = {"class/thermal/thermal_zone0/type": "x86_pkg_temp\n", "class/thermal/thermal_zone0/temp": "45500\n"}
    files |= {"class/thermal/thermal_zone1/type": "broken\n", "class/thermal/thermal_zone1/temp": "-273200\n"}
    files |= {"class/thermal/cooling_device0/type": "thermal-cpufreq-0\n"}
    files |= {"class/thermal/cooling_device0/cur_state": "2\n"}
    files |= {"class/thermal/cooling_device1/type": "pwm-fan\n", "class/thermal/cooling_device1/cur_state": "3\n"}
    files |= {"devices/system/cpu/intel_pstate/no_turbo": "1\n"}
    for cpu in cpus:
        files |= {f"{cpu}/cpufreq/scaling_cur_freq": "2400000\n", f"{cpu}/cpufreq/scaling_governor": "powersave\n"}
        files |= {f"{cpu}/cpufreq/cpuinfo_max_freq": "3600000\n"}
        files |= {f"{cpu}/thermal_throttle/{part}_throttle_count": "3\n" for part in ("core", "package")}
    for name, text in files.items():
        (tmp_path / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / name).write_text(text)
    proc = tmp_path / "proc"
    for name, text in {
        "stat": "cpu  100 10 20 1000 5 1 2 7 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 1\n",
        "pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=123456\nfull avg10=0.00 total=7\n",
        "loadavg": "0.52 0.41 0.33 2/125 3835\n",
        "cpuinfo": "processor\t: 0\nmodel name\t: Fine CPU @ 3 GHz\n",
        "self/task/1/schedstat": "500 30 2\n",
        "self/task/2/schedstat": "500 12 2\n",
    }.items():
        (proc / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / name).write_text(text)
    monkeypatch.setattr(linux, "PROC", proc)
    monkeypatch.setattr(linux, "SYS", tmp_path / "sys")
    return tmp_path


def test_every_sensor_of_a_board(board: Path) -> None:
    found, cpus, tick = linux.snapshot(), len(linux._cpus()), os.sysconf("SC_CLK_TCK")
    assert found["busy_s"] == pytest.approx(133 / tick)  # guest time is part of user time
    assert found["steal_s"] == pytest.approx(7 / tick) and found["total_s"] == pytest.approx(1145 / tick)
    assert (found["cpus"], found["all_cpus"]) == (cpus, 2)
    assert (found["pressure_us"], found["load1"], found["running"]) == (123456, 0.52, 2)
    assert (found["own_waiting_ns"], found["own_threads"]) == (42, 2)
    assert found["mhz"] == [2400.0] * cpus and found["celsius"] == {"0 x86_pkg_temp": 45.5}
    assert found["throttle_count"] == 6 * cpus and found["cooling"] == 2
    assert {key: value for key, value in linux.settings().items() if key != "host"} == {
        "processor": "Fine CPU @ 3 GHz", "governors": ["powersave"], "max_mhz": 3600.0, "turbo": False, "virtual": None,
        "emulated": None, "instructions": None,
    }  # fmt: skip
    assert Snapshot(**found).cpus == cpus


def test_what_is_not_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "PROC", tmp_path)
    monkeypatch.setattr(linux, "SYS", tmp_path)
    found = linux.snapshot()
    own = {"time_ns", "own_cpu_ns", "cpus", "involuntary_switches", "voluntary_switches"}
    assert {key for key, value in found.items() if value is not None} == own
    unknown = {key: value for key, value in linux.settings().items() if key not in ("processor", "host")}
    # Of processor and host Python itself may know.
    assert set(unknown.values()) == {None} and set(unknown) == {
        "governors", "max_mhz", "turbo", "virtual", "emulated", "instructions",
    }  # fmt: skip
    Snapshot(**found)


@pytest.mark.parametrize(
    ("text", "is_guest"), [("flags\t\t: fpu hypervisor avx2\n", True), ("flags : fpu avx2\n", False)]
)
def test_a_guest_of_a_hypervisor_knows_it(
    text: str, is_guest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(linux, "PROC", tmp_path)
    monkeypatch.setattr(linux, "SYS", tmp_path)
    assert linux.settings()["virtual"] is is_guest
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert linux.settings()["virtual"] is None
    (tmp_path / "hypervisor").mkdir()
    (tmp_path / "hypervisor/type").write_text("xen\n")
    assert linux.settings()["virtual"] is True


def test_a_machine_has_an_anonymous_name_that_stays(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "ETC", board)
    monkeypatch.setattr(platform, "node", lambda: "anns-laptop")
    by_name = linux.host()
    for text in ("uninitialized\n", "\n"):  # what a first boot and many containers have
        (board / "machine-id").write_text(text)
        assert linux.host() == by_name
    (board / "machine-id").write_text("0123456789abcdef" * 2 + "\n")
    by_id = linux.host()
    monkeypatch.setattr(platform, "node", lambda: "renamed")
    assert linux.host() == by_id != by_name and len(by_id) == 8
    assert by_id not in hashlib.sha256(b"0123456789abcdef" * 2).hexdigest(), "keyed, not a bare hash of the id"
    (board / "proc/cpuinfo").write_text("model name\t: Other CPU\n")
    assert linux.host() != by_id, "a copied image on another machine"


def test_this_machine_answers() -> None:
    before = linux.snapshot()
    assert linux.sentinel() > 10_000
    time.sleep(3 / os.sysconf("SC_CLK_TCK"))  # the system counts in ticks: within one of them nothing moves
    after = linux.snapshot()
    assert after["time_ns"] > before["time_ns"] and after["own_cpu_ns"] > before["own_cpu_ns"]
    if after["busy_s"] is not None:
        assert after["total_s"] > before["total_s"] and after["busy_s"] >= before["busy_s"]


def test_the_sentinel_only_walks_through_numbers_that_exist_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(linux.WALK) == set(range(256)), "Python keeps one object of each of these"
    seen = []

    class Walk(tuple):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            seen.append(index)
            return super().__getitem__(index)

    monkeypatch.setattr(linux, "WALK", Walk(linux.WALK))
    monkeypatch.setattr(linux, "SENTINEL_STEPS", 10)
    linux.sentinel()
    assert len(seen) == 10 * (linux.SENTINEL_WARMUP + linux.SENTINEL_ROUNDS) and len(set(seen)) > 5


def test_it_needs_nothing_but_python() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import ondevice.sensors.linux; "
    code += "print('numpy' in sys.modules, 'edgekit' in sys.modules)"
    command = [sys.executable, "-S", "-c", code, str(ROOT / "bench")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


X86, ARM = "cpu:type:x86,ven0002fam001Amod0002:feature:,0000", "cpu:type:aarch64:feature:,0000"


@pytest.mark.parametrize(
    ("arch", "modalias", "machine", "found"),
    [
        ("x86_64", None, "aarch64", "x86_64"),  # qemu-user, and containers for another processor
        ("aarch64", None, "x86_64", "aarch64"),
        (None, X86, "aarch64", "x86"),  # a kernel before 6.1
        ("x86_64", X86, "x86_64", None),
        ("x86_64", None, "i686", None),  # 32 bits on the same processor
        ("aarch64", None, "armv8l", None),
        (None, ARM, "armv7l", None),
        (None, None, "aarch64", None),
        ("loongarch64", None, "aarch64", None),  # of a kind that we do not know
    ],
)
def test_an_emulated_processor(arch: str | None, modalias: str | None, machine: str, found: str | None) -> None:
    assert linux.emulated(arch, modalias, machine) == found


def test_a_machine_says_that_its_processor_is_emulated(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (board / "proc/sys/kernel").mkdir(parents=True)
    (board / "proc/sys/kernel/arch").write_text("x86_64\n")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert linux.settings()["emulated"] == "x86_64"


@pytest.mark.parametrize(
    ("line", "found", "adds"),
    [
        ("flags : fpu sse4_2", [], False),
        ("flags\t\t: fpu avx2 avx512", ["avx2"], True),
        ("flags : avx2 avx512f avx512bw", ["avx2", "avx512f", "avx512bw"], True),
        ("flags : avx2 avx512f avx512bw avx512_vnni", ["avx2", "avx512f", "avx512bw", "avx512_vnni"], False),
        ("flags : avx2 avx_vnni", ["avx2", "avx_vnni"], False),
        ("Features\t: fp asimd asimddp i8mm", ["asimd", "asimddp", "i8mm"], False),
        ("model name : none", None, None),
    ],
)
def test_instructions_and_what_they_mean_for_int8(
    line: str, found: list[str] | None, adds: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "PROC", tmp_path)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n")
    assert linux.instructions() == found and linux.adds_in_16_bits(found) is adds
