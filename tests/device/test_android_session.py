"""Sessions on a phone, which answer images, and exports that are timed there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.adb import AdbLink
from edgekit.device.android import AndroidTarget
from edgekit.device.android_session import PhoneSession
from edgekit.device.config import AdbDevice
from edgekit.errors import BackendMissing, MeasurementInvalid
from edgekit.records.runtime import Session, open_session
from tests.bench.adb_peer import Peer
from tests.device.phone import phone as phone
from tests.device.phone import phones as phones
from tests.device.phone import tflite as tflite
from tests.device.phone import tool
from tests.device.test_linux_sessions import crashing_tflite


def answers(
    phone: Peer, path: Path, delegate: str | None = None, apart: float = 1e-5, libraries: Path | None = None
) -> PhoneSession:
    """A session that was asked about three images."""
    device = AdbDevice(
        link="adb", serial=phone.serial, runtimes=("benchmark_model",), benchmark_model="benchmark model",
        npu_libraries=str(libraries) if libraries else None,
    )  # fmt: skip
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


def test_a_session_on_the_npu(phone: Peer, tflite: Path, tmp_path: Path) -> None:
    """The classic tool's external delegate, given images from files."""
    (tmp_path / "maker's").mkdir()
    (tmp_path / "maker's/libQnnTFLiteDelegate.so").write_bytes(b"a library")
    found = answers(phone, tflite, "npu", libraries=tmp_path / "maker's").found
    assert (found["delegate"], found["coverage"], found["answers"]["batches"]) == ("npu", "completely", 3)
    (command,) = (command for command in phone.commands if "--graph=" in command)
    assert "LD_LIBRARY_PATH=" in command and "/npu/libQnnTFLiteDelegate.so" in command
    tool(phone, taken=0)
    with pytest.raises(BackendMissing, match="npu ran nothing of"):
        answers(phone, tflite, "npu", libraries=tmp_path / "maker's")


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
