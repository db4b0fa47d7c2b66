"""`bench --device` with a phone: the real adb, our peer at its other end, and a tool that truly runs the file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgekit.device.registry import devices
from edgekit.errors import BackendMissing, DeviceUnreachable, MeasurementInvalid, UsageError
from edgekit.measure.command import bench
from edgekit.records.measurement import INVALID, SUSPECT
from edgekit.storage.store import open_store
from tests.bench.adb_peer import Peer
from tests.device.phone import HEAT, PROPERTIES, listed, state, tool
from tests.device.phone import phone as phone
from tests.device.phone import phones as phones
from tests.device.phone import tflite as tflite


def test_sustained_load_and_the_gauge_of_an_unplugged_phone(
    phone: Peer, tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.stats.energy.FEWEST_STEPS", 1)
    (phone.folder / "left").write_text("3000000")
    (phone.folder / "battery").write_text(
        "  USB powered: false\n  status: 3\n  level: 80\n  scale: 100\n  voltage: 3850\n  temperature: 300\n"
    )
    phone.script(
        "dumpsys",
        '#!/bin/sh\n[ "$1" = thermalservice ] && cat "$PHONE/heat"\n'
        '[ "$1" = battery ] && left=$(($(cat "$PHONE/left") - 5000)) && echo $left > "$PHONE/left" && '
        'echo "  Charge counter: $left" && cat "$PHONE/battery"\n:\n',
    )
    result = bench([tflite], device="pixel", sustained="1s")
    (one,) = result.measurements
    energy = one.found["energy"]
    drawn = 5000 * (2 * len(one.runs) - 1)
    seconds = energy["seconds"]
    assert energy["busy_mw"] == pytest.approx(drawn * 3.6e-3 * 3850 / seconds, rel=0.01) and energy["net_mj"] is None
    assert energy["gross_mj"] == pytest.approx(energy["busy_mw"] * seconds / energy["inferences"], rel=0.01)
    assert len(one.runs) == one.protocol.processes and all(run.began_s is not None for run in one.runs)
    lasting = result.to_json()["measurements"][0]["sustained"]
    assert lasting["facts"]["celsius"] == {"first": 31.0, "last": 31.0} and lasting["facts"]["mhz"]["last"] == 2910


def test_a_measurement(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    listed(tmp_path, phone, cores="big")
    found = bench(tflite, device="pixel", preset="test", threads=2).measurements[0]
    assert found.runtime == "benchmark_model" and found.device == "pixel" and len(found.runs) == 2
    for run in found.runs:
        assert len(run.samples_ns) == 1 and run.samples_ns[0] > 0 and run.inferences_per_sample >= 5
        assert run.load_ns and run.first_ns and run.wall_ns > 0
        assert run.sensed and run.sensed.after.thermal_status == 0 and run.sensed.after.surface_celsius == 31.0
        assert run.sensed.after.mhz == (1700.0, 2370.0, 2910.0)
    assert len(found.found["host"]) == 8
    assert found.found["device"]["model"] == "Google Pixel 8 Pro" and found.found["device"]["soc"] == "Google Tensor G3"
    assert found.found["delegate"] == "xnnpack" and found.found["threads"] == 2 and found.found["cpus"] == 9
    assert len(found.found["tool_sha256"]) == 64 and "median" in found.found["tool_tells"]
    assert any("tells no samples" in reason for reason in found.reasons)
    assert found.memory.peak_bytes == round(25.0508 * 1024 * 1024) and "50 ms" in found.memory.method
    assert set((phone.folder / "masks").read_text().split()) == {"1f0"}
    assert found.memory.pss_bytes == 20480 * 1024 and found.memory.gpu_bytes == 2048 * 1024
    assert (phone.folder / "asked").read_text().strip().isdecimal()
    assert sorted(Path(path).name for path in phone.pushed) == ["draft"] * 3  # the tool, the file, an input
    assert list((phone.folder / "data/local/tmp/edgekit/work").iterdir()) == []


@pytest.mark.parametrize("kind", ["litert", "old"])
def test_other_tools(phone: Peer, tflite: Path, kind: str) -> None:
    tool(phone, kind="litert" if kind == "litert" else "classic")
    found = bench(tflite, device="pixel", preset="test").measurements[0]
    assert found.found["tool"] == f"benchmark_model ({'litert' if kind == 'litert' else 'classic'})"


def test_delegates(phone: Peer, tflite: Path) -> None:
    path = tflite
    full = bench(path, device="pixel", preset="test", delegate="gpu").measurements[0]
    assert full.found["delegate"] == "gpu" and (full.found["nodes"], full.found["nodes_delegated"]) == (5, 5)
    assert full.found["precision"] == "fp32"
    tool(phone, taken=3)
    with pytest.raises(MeasurementInvalid, match=r"nnapi ran only a part of .* on pixel \(3 of 5 operators\)"):
        bench(path, device="pixel", preset="test", delegate="nnapi")
    part = bench(path, device="pixel", preset="test", delegate="gpu-fp16:partial").measurements[0]
    assert part.found["coverage"] == "partially" and any("runs 3 of 5 operators" in reason for reason in part.reasons)
    tool(phone, taken=0)
    for asked in ("gpu", "gpu:partial"):
        with pytest.raises(BackendMissing, match="gpu ran nothing of .* on pixel"):
            bench(path, device="pixel", preset="test", delegate=asked)
    tool(phone, kind="litert")
    with pytest.raises(BackendMissing, match="has no delegate 'nnapi'"):
        bench(path, device="pixel", preset="test", delegate="nnapi")


@pytest.mark.parametrize(
    ("status", "skin", "battery", "said"),
    [
        (0, 45.0, 300, "the skin or battery of pixel is at 45.0 degrees"),
        (0, 31.0, 451, "the skin or battery of pixel is at 45.1 degrees"),
        (2, 31.0, 300, "the thermal status of pixel is moderate"),
    ],
)
def test_a_phone_that_is_too_warm_is_not_measured(
    phone: Peer, tflite: Path, status: int, skin: float, battery: int, said: str
) -> None:
    state(phone, status, skin)
    (phone.folder / "battery").write_text(f"  level: 80\n  scale: 100\n  temperature: {battery}\n")
    with pytest.raises(MeasurementInvalid, match=said) as caught:
        bench(tflite, device="pixel", preset="test")
    assert caught.value.exit_code == 6 and "let it cool" in caught.value.remedy
    assert open_store().measurements() == [] and not any("--graph=" in command for command in phone.commands)


@pytest.mark.parametrize(("status", "skin", "word"), [(0, 45.5, SUSPECT), (1, 40.0, SUSPECT), (2, 45.5, INVALID)])
def test_a_phone_that_gets_warm_meanwhile(phone: Peer, tflite: Path, status: int, skin: float, word: str) -> None:
    tool(phone, heats=HEAT.format(status=status, skin=skin))
    result = bench(tflite, device="pixel", preset="test")
    found = result.measurements[0]
    assert found.verdict == word and result.exit_code == (6 if word == INVALID else 0)
    assert any("degrees" in reason or f"status was {status}" in reason for reason in found.reasons)


def test_an_emulators_times_are_invalid(phone: Peer, tflite: Path) -> None:
    (phone.folder / "properties").write_text(f"{PROPERTIES}[ro.boot.qemu]: [1]\n[ro.hardware]: [ranchu]\n")
    result = bench(tflite, device="pixel", preset="test")
    (found,) = result.measurements
    assert found.verdict == "invalid" and result.exit_code == 6
    assert any(reason.startswith("invalid: this is an emulator") for reason in found.reasons)


def test_its_answers_are_those_of_litert_here(phone: Peer, tflite: Path) -> None:
    found = bench(tflite, device="pixel", preset="test").measurements[0]
    answers = found.found["answers"]
    assert answers["largest"] > 0 and answers["max_error"] <= 1e-5 * answers["largest"]
    assert answers["reference"].startswith("LiteRT ") and not answers["remarks"]


def test_answers_without_xnnpack_are_held_against_those_without_it_here(phone: Peer, tflite: Path) -> None:
    with_it = bench(tflite, device="pixel", preset="test").measurements[0].found["answers"]["reference"]
    without = [bench(tflite, device="pixel", preset="test", delegate="none").measurements[0]]
    tool(phone, lacks=["use_xnnpack"])
    without.append(bench(tflite, device="pixel", preset="test").measurements[0])
    assert "kernels" not in with_it
    assert all(one.found["answers"]["reference"].endswith("its own kernels, seeded inputs") for one in without)


def test_answers_that_are_far_off_are_told(phone: Peer, tflite: Path) -> None:
    tool(phone, wrong_by=100.0)
    found = bench(tflite, device="pixel", preset="test").measurements[0]
    assert found.found["answers"]["max_error"] == pytest.approx(100, rel=1e-3)
    assert any("its answers differ from LiteRT's here by up to 100" in reason for reason in found.reasons)


def test_a_tool_that_tells_no_outputs(phone: Peer, tflite: Path) -> None:
    tool(phone, kind="litert")
    answers = bench(tflite, device="pixel", preset="test").measurements[0].found["answers"]
    assert answers["max_error"] is None and "tells no outputs" in answers["reason"]


def test_the_npu(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    libraries = tmp_path / "maker's libraries"
    libraries.mkdir()
    (libraries / "libDispatch $(x).so").write_bytes(b"a library")
    listed(tmp_path, phone, npu_libraries=str(libraries))
    tool(phone, kind="litert")
    found = bench(tflite, device="pixel", preset="test", delegate="npu").measurements[0]
    assert (found.found["delegate"], found.found["coverage"]) == ("npu", "completely")
    assert any("--dispatch_library_path=" in command and "LD_LIBRARY_PATH" in command for command in phone.commands)
    assert any("libDispatch $(x).so" in command for command in phone.commands)
    assert not any("--compiler_plugin" in command for command in phone.commands)
    (libraries / "libLiteRtCompilerPlugin_MediaTek.so").write_bytes(b"a plugin")
    listed(tmp_path, phone, npu_libraries=str(libraries), npu_flags=["mediatek_nerun_pilot_version=version9"])
    bench(tflite, device="pixel", preset="test", delegate="npu")
    last = next(command for command in reversed(phone.commands) if "--graph=" in command)
    assert "--compiler_plugin_library_path=" in last and "--mediatek_nerun_pilot_version=version9" in last
    listed(tmp_path, phone, npu_flags=["no_such_flag=1"])
    with pytest.raises(BackendMissing, match="knows no --no_such_flag"):
        bench(tflite, device="pixel", preset="test", delegate="npu")
    listed(tmp_path, phone, npu_libraries=str(libraries))
    tool(phone, kind="litert", taken=0)
    with pytest.raises(BackendMissing, match="npu ran nothing of .* on pixel"):
        bench(tflite, device="pixel", preset="test", delegate="npu")
    tool(phone, lacks=["external_delegate_path"])
    with pytest.raises(BackendMissing, match="has no delegate 'npu'"):
        bench(tflite, device="pixel", preset="test", delegate="npu")
    listed(tmp_path, phone, npu_libraries=str(tmp_path / "none"))
    tool(phone, kind="litert")
    with pytest.raises(BackendMissing, match="npu_libraries of pixel, has no file") as caught:
        bench(tflite, device="pixel", preset="test", delegate="npu")
    assert caught.value.exit_code == 5


def test_what_a_phone_cannot_run(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    path = tflite
    (tmp_path / "x.onnx").touch()
    with pytest.raises(BackendMissing, match="no runtime here runs a onnx file|is a phone"):
        bench("x.onnx", device="pixel", preset="test")
    with pytest.raises(BackendMissing, match="litert does not run there"):
        bench(path, device="pixel", preset="test", runtime="litert")
    with pytest.raises(UsageError, match="its own batch of 1, not 4"):
        bench(path, device="pixel", preset="test", batch=4)
    with pytest.raises(UsageError, match="no power modes"):
        bench(path, device="pixel", preset="test", power_mode="15W")
    with pytest.raises(UsageError, match="delegates, not providers"):
        bench(path, device="pixel", preset="test", provider="cpu")
    with pytest.raises(BackendMissing, match="benchmark_model is not installed"):
        bench(path, device="local", preset="test", runtime="benchmark_model")
    listed(tmp_path, phone, cores="little")
    with pytest.raises(UsageError, match="has 4 little processors, and --threads is 5"):
        bench(path, device="pixel", preset="test", threads=5)


def test_a_tool_that_is_wrong(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    path, program = tflite, tmp_path / "benchmark model"
    good = program.read_bytes()
    tool(phone, ignores=["num_runs"])
    with pytest.raises(MeasurementInvalid, match="it did not know --num_runs=5"):
        bench(path, device="pixel", preset="test")
    tool(phone, lacks=["max_secs"])
    with pytest.raises(BackendMissing, match="knows no --max_secs"):
        bench(path, device="pixel", preset="test")
    tool(phone, fails=True)
    with pytest.raises(BackendMissing, match=r"failed on pixel \(exit code 1\): Failed to allocate tensors!"):
        bench(path, device="pixel", preset="test")
    program.write_text("#!/bin/sh\necho another program\n")
    with pytest.raises(BackendMissing, match="is no benchmark_model"):
        bench(path, device="pixel", preset="test")
    program.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + bytes(44))
    with pytest.raises(BackendMissing, match="is built for x86_64, and pixel runs arm64-v8a, armeabi-v7a"):
        bench(path, device="pixel", preset="test")
    program.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00" + bytes(44))
    with pytest.raises(BackendMissing, match="pixel cannot run this benchmark_model"):
        bench(path, device="pixel", preset="test")
    program.unlink()
    with pytest.raises(BackendMissing, match="does not exist"):
        bench(path, device="pixel", preset="test")
    program.write_bytes(good)


def test_unplugged_while_it_measures(phone: Peer, tflite: Path) -> None:
    path = tflite
    tool(phone, sleep=120)

    def when_it_runs() -> None:
        while not any("--graph=" in command for command in phone.commands):
            threading.Event().wait(0.05)
        phone.unplug()

    timer = threading.Thread(target=when_it_runs, daemon=True)
    timer.start()
    with pytest.raises(DeviceUnreachable, match="the connection .*was lost"):
        bench(path, device="pixel", preset="test")


def test_checking(phone: Peer, tmp_path: Path) -> None:
    state(phone, 2, 44.0)
    found = devices(check="pixel").check
    assert found is not None
    assert (found.model, found.os, found.soc) == ("Google Pixel 8 Pro", "Android 14 (API 34)", "Google Tensor G3")
    assert found.cpus == os.cpu_count() and found.memory_bytes and found.free_bytes
    assert found.missing[0] == "its thermal status is moderate: let it cool"
    assert str(found.runtimes[0].version).startswith("classic, sha256 ")
    (tmp_path / "other").write_text("#!/bin/sh\necho another program\n")
    for program, why in (("nowhere", "does not exist"), (str(tmp_path / "other"), "is no benchmark_model")):
        listed(tmp_path, phone, benchmark_model=program)
        lacking = devices(check="pixel")
        assert lacking.check is not None and lacking.exit_code == 5
        (runtime,) = lacking.check.runtimes
        assert runtime.version is None and why in str(runtime.missing)
