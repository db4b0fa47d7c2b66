"""`bench --device` with a phone: the real adb, our peer at its other end, and a tool that truly runs the file."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.adb import AdbLink
from edgekit.device import android
from edgekit.device.android import AndroidTarget
from edgekit.device.android_session import PhoneSession
from edgekit.device.config import AdbDevice
from edgekit.device.registry import devices
from edgekit.errors import BackendMissing, DeviceUnreachable, MeasurementInvalid, UsageError
from edgekit.measure.command import bench
from edgekit.measure.verdict import INVALID, SUSPECT
from edgekit.records.measurement import PRESETS, Protocol
from edgekit.records.runtime import Session, open_session
from edgekit.storage.store import open_store
from tests.bench.adb_peer import Peer
from tests.bench.adb_server import Phones, make_phones
from tests.device.test_linux_sessions import crashing_tflite

phones = pytest.fixture(make_phones)

STAND_IN = Path(__file__).resolve().parents[1] / "bench" / "stand_in.py"
HEAT = """IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=84.2, mType=3, mName=SKIN, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue=51.5, mType=0, mName=CPU, mStatus=0}}
\tTemperature{{mValue={skin}, mType=3, mName=SKIN, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-0}}
"""
MEMORY = """** MEMINFO in pid 4711 [benchmark_model] **
 App Summary
         Native Heap:   382944                          391000
            Graphics:     2048                            2048

           TOTAL PSS:    20480            TOTAL RSS:    30720      TOTAL SWAP (KB):        0
"""
PROPERTIES = """[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8 Pro]
[ro.serialno]: [0A1B2C3D]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
"""


@pytest.fixture(scope="session")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that really runs."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("torch")
    from edgekit.exporting.command import export

    folder = tmp_path_factory.mktemp("export")
    export("mobilenet_v2", alpha=0.25, res=32, classes=4, format=["tflite"], out=folder)
    return next(folder.rglob("*.tflite"))


def state(phone: Peer, status: int = 0, skin: float = 31.0) -> None:
    """How warm it says that it is."""
    (phone.folder / "heat").write_text(HEAT.format(status=status, skin=skin))


def tool(phone: Peer, **wish: object) -> None:
    """What its benchmark_model does."""
    (phone.folder / "tool.json").write_text(json.dumps(wish))


def furnish(phone: Peer) -> None:
    """Give it what a phone's shell has."""
    (phone.folder / "properties").write_text(PROPERTIES)
    (phone.folder / "battery").write_text(
        "  USB powered: true\n  status: 2\n  level: 80\n  scale: 100\n  temperature: 300\n"
    )
    phone.script("getprop", '#!/bin/sh\ncat "$PHONE/properties"\n')
    phone.script(
        "dumpsys",
        '#!/bin/sh\n[ "$1" = thermalservice ] && cat "$PHONE/heat"\n[ "$1" = battery ] && cat "$PHONE/battery"\n'
        '[ "$1" = meminfo ] && echo "$2" > "$PHONE/asked" && cat "$PHONE/memory"\n:\n',
    )
    (phone.folder / "memory").write_text(MEMORY)
    phone.script("settings", "#!/bin/sh\necho 0\n")
    phone.script("taskset", '#!/bin/sh\necho "$1" >> "$PHONE/masks"\nshift\nexec "$@"\n')
    for number, cpus, top in ((0, "0 1 2 3", 1700000), (4, "4 5 6 7", 2370000), (8, "8", 2910000)):
        folder = phone.folder / f"sys/devices/system/cpu/cpufreq/policy{number}"
        folder.mkdir(parents=True)
        for name, value in {
            "related_cpus": cpus, "scaling_cur_freq": 500000,
            "scaling_max_freq": top, "cpuinfo_max_freq": top, "scaling_governor": "sched_pixel",
        }.items():  # fmt: skip
            (folder / name).write_text(f"{value}\n")
    state(phone)
    tool(phone)


@pytest.fixture
def phone(phones: Phones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A furnished phone, which devices.yaml calls pixel."""
    found = phones()
    furnish(found)
    program = tmp_path / "benchmark model"
    program.write_text(f"#!{sys.executable}\n" + STAND_IN.read_text())
    listed(tmp_path, found)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path / 'edgekit.db'}")
    monkeypatch.setattr(android, "MEMORY_SECONDS", 0)
    short = {"warmup_seconds": 0, "warmup_runs": 2, "cooldown_seconds": 0.5, "min_seconds": 0, "min_runs": 5}
    monkeypatch.setitem(PRESETS, "test", Protocol(preset="test", **short))
    monkeypatch.setitem(android.SHORT, "test", {"processes": 2})
    return found


def listed(folder: Path, *found: Peer, **more: object) -> None:
    rows = {
        f"pixel{index or ''}": {
            "link": "adb", "serial": one.serial, "runtimes": ["benchmark_model"],
            "benchmark_model": str(folder / "benchmark model"), **more,
        }
        for index, one in enumerate(found)
    }  # fmt: skip
    (folder / "devices.yaml").write_text(json.dumps({"devices": rows}))


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
    tool(phone)
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
    tool(phone, sleep=20)

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
    assert found.runtimes[0].version is not None
    listed(tmp_path, phone, benchmark_model="nowhere")
    missing = devices(check="pixel").check
    assert missing and missing.runtimes[0].version is None and "does not exist" in str(missing.runtimes[0].missing)


def answers(phone: Peer, path: Path, delegate: str | None = None, apart: float = 1e-5) -> PhoneSession:
    """A session that was asked about three images."""
    device = AdbDevice(
        link="adb", serial=phone.serial, runtimes=("benchmark_model",), benchmark_model="benchmark model"
    )
    link = AdbLink("pixel", phone.serial)
    try:
        with closing(AndroidTarget(device, link).open_session(path, None, 1, delegate)) as opened:
            return _answered(opened.session, path, apart)
    finally:
        link.close()


def _answered(session: Session, path: Path, apart: float) -> PhoneSession:
    assert isinstance(session, PhoneSession)
    images = np.random.default_rng(0).standard_normal((3, *session.inputs[0].shape[1:]), np.float32)
    (got,) = session.run([images])
    here = open_session(path, "litert")
    np.testing.assert_allclose(got, np.concatenate([here.run([image[None]])[0] for image in images]), atol=apart)
    return session


def test_a_session_answers_many_images_at_once(phone: Peer, tflite: Path) -> None:
    session = answers(phone, tflite)
    assert session.found["answers"]["max_error"] <= 1e-5 and session.last_ns > 0 and session.found["tool_sha256"]
    assert session.found["delegate"] == "xnnpack" and not session.found["answers"]["remarks"]
    assert len([command for command in phone.commands if "--graph=" in command]) == 1  # one call for all three


def test_a_file_that_crashes_litert_here_takes_nothing_of_ours_along(phone: Peer, tmp_path: Path) -> None:
    with pytest.raises(BackendMissing, match="the process running litert ended by SIGSEGV"):
        answers(phone, crashing_tflite(tmp_path / "crashing.tflite"))


def test_answers_of_a_session_that_are_far_off_are_told(phone: Peer, tflite: Path) -> None:
    tool(phone, wrong_by=100.0)
    (said,) = answers(phone, tflite, apart=101).found["answers"]["remarks"]
    assert "its answers differ from LiteRT's here by up to 100" in said


def test_a_session_proves_its_delegate(phone: Peer, tflite: Path) -> None:
    assert answers(phone, tflite, "gpu").found["coverage"] == "completely"
    tool(phone, taken=3)
    with pytest.raises(MeasurementInvalid, match="gpu ran only a part"):
        answers(phone, tflite, "gpu")
    assert answers(phone, tflite, "gpu:partial").found["nodes_delegated"] == 3
    tool(phone, fails=True)
    with pytest.raises(BackendMissing, match="Failed to allocate tensors!"):
        answers(phone, tflite)
    tool(phone, kind="litert")
    with pytest.raises(BackendMissing, match="this benchmark_model tells no outputs") as caught:
        answers(phone, tflite)
    assert "classic" in caught.value.remedy


def test_an_export_is_timed_there_and_proved_here(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    from edgekit.exporting.command import export

    wish = {"alpha": 0.25, "res": 32, "classes": 4, "device": "pixel", "out": tmp_path / "made"}
    result = export("mobilenet_v2", format=["tflite", "onnx"], max_latency=60_000, **wish)  # type: ignore[arg-type]
    (made,) = result.artifacts
    assert made.manifest is not None and made.manifest.details["proof"]["device"] == "local"
    gate = made.manifest.details["latency_gate"]
    assert gate["device"] == "pixel" and gate["runtime"] == "benchmark_model" and 0 < gate["median_ms"] < 60_000
    assert "proved here: no Python runs files on pixel, which is a phone" in result.notes
    assert [one.part["format"] for one in result.failed] == ["onnx"] and result.exit_code == 5
    assert "pixel runs no onnx files: its runtimes are benchmark_model" in result.failed[0].error.message
