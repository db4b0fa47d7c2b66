"""The verbs on a device that is reached over a real OpenSSH server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgekit
from edgekit.bench.links.remote_session import FarSession
from edgekit.device.registry import load, open_target
from edgekit.errors import BackendMissing, DeviceUnreachable, UsageError
from edgekit.records.artifact import open_artifact
from edgekit.records.measurement import PRESETS, Protocol
from edgekit.records.runtime import open_session
from edgekit.storage.store import open_store

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

pytest.importorskip("onnxruntime")
SHORT = Protocol(
    preset="quick", processes=1, warmup_seconds=0.01, warmup_runs=3, warmup_max_seconds=0.02, cooldown_seconds=0.1,
    min_seconds=0.02, min_runs=7, max_seconds=1.0,
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{folder / 'edgekit.db'}")
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.setitem(PRESETS, "quick", SHORT)
    return folder


def describe(server: Server, **more: object) -> None:
    """Write devices.yaml with the server as `board`."""
    board = {"link": "ssh", "host": "board", "runtimes": ["onnxruntime"], "python": sys.executable,
             "folder": str(server.root), **more}  # fmt: skip
    Path("devices.yaml").write_text(json.dumps({"devices": {"board": board}}))


def test_a_device_is_measured_as_this_machine_is(server: Server, here: Path, tiny_onnx: Callable[..., Path]) -> None:
    describe(server)
    path = tiny_onnx(name="a 'file' $(touch x).onnx")
    (one,) = edgekit.bench([path], device="board", preset="quick").measurements
    assert one.device == "board" and one.runtime == "onnxruntime" and len(one.runs[0].samples_ns) >= 7
    assert one.memory.peak_bytes and one.memory.baseline_bytes and one.runs[0].sensed
    facts = one.found["device"]
    assert facts["python"] == ".".join(map(str, sys.version_info[:3])) and facts["kernel"] == os.uname().release
    assert open_store().measurements() == [one]
    assert not server.work() and server.connections() == 1 and not list(here.rglob("x"))


def test_sustained_load_runs_there_window_by_window(server: Server, here: Path, tiny_onnx: Callable[..., Path]) -> None:
    describe(server)
    result = edgekit.bench([tiny_onnx()], device="board", runtime="null", sustained="1s")
    (one,) = result.measurements
    (row,) = result.to_json()["measurements"]
    assert one.device == "board" and one.protocol.processes == len(one.runs) == len(row["sustained"]["windows"]) >= 1
    assert all(run.began_s is not None and run.sensed and run.hot is None for run in one.runs)
    assert not server.work() and server.connections() == 1


def test_a_file_and_its_parts_go_there_together(
    server: Server, here: Path, tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    describe(server)
    path = tmp_path / "in parts" / "net.onnx"
    path.parent.mkdir()
    (path.parent / "of net").mkdir()
    whole = onnx.load(tiny_onnx())
    onnx.save(whole, path, save_as_external_data=True, location="of net/w.bin", size_threshold=0)
    (one,) = edgekit.bench([path], device="board", preset="quick").measurements
    assert (one.sha256, one.bytes) == (open_artifact(path).still().sha256, open_artifact(path).still().bytes)
    with open_target("board", load()["board"]) as target:
        opened = target.open_session(path)
        inputs = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
        (there,), (near,) = opened.session.run([inputs]), open_session(tmp_path / "tiny.onnx").run([inputs])
        opened.close()
    assert np.array_equal(there, near)
    assert not server.work() and len(list((server.root / "files").iterdir())) == 2


def test_several_benchmarks_open_one_connection(server: Server, here: Path, tiny_onnx: Callable[..., Path]) -> None:
    describe(server)
    path = tiny_onnx()
    done = edgekit.bench([path], device="board", runtime="null", batch=range(1, 6), preset="quick")
    assert len(done.measurements) == 5 and not done.failures
    assert server.connections() == 1
    assert len(list((server.root / "files").iterdir())) == 1


def test_nothing_is_recorded_of_a_device_that_cannot_be_reached(
    server: Server, here: Path, tiny_onnx: Callable[..., Path]
) -> None:
    describe(server)
    server.stop()
    paths = [tiny_onnx("a.onnx"), tiny_onnx("b.onnx")]
    done = edgekit.bench(paths, device="board", preset="quick")
    assert [failure.error.exit_code for failure in done.failures] == [4, 4] and done.exit_code == 4
    assert all(row["median_ms"] is None and row["peak_memory_bytes"] is None for row in done.to_json()["measurements"])
    with pytest.raises(DeviceUnreachable):
        edgekit.devices(check="board")
    assert open_store().measurements() == []


def test_the_command_ends_with_4(server: Server, here: Path, tiny_onnx: Callable[..., Path]) -> None:
    describe(server)
    server.stop()
    command = [sys.executable, "-m", "edgekit", "bench", str(tiny_onnx()), "--device", "board", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4 and json.loads(done.stdout)["error"]["code"] == "device"
    assert "Traceback" not in done.stderr


def test_what_the_device_lacks(server: Server, here: Path, tiny_onnx: Callable[..., Path]) -> None:
    describe(server, runtimes=["onnxruntime", "litert", "tensorrt"])
    server.script("empty", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without its packages
    describe(server, python="empty")
    check = edgekit.devices(check="board").check
    assert check is not None and any("numpy" in line for line in check.missing)
    (absent,) = check.runtimes
    assert absent.version is None and absent.remedy and "pip install numpy onnxruntime" in absent.remedy
    command = [sys.executable, "-m", "edgekit", "devices", "check", "board", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5 and json.loads(done.stdout)["check"]["architecture"] == os.uname().machine
    with pytest.raises(BackendMissing, match="board: .*cannot be loaded"):
        edgekit.bench([tiny_onnx()], device="board", preset="quick")


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
    ],
)
def test_what_is_installed_there_and_does_not_load(server: Server, here: Path, breaks: str, said: str) -> None:
    package = server.folder / "broken" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"{breaks}\n")
    server.script("broken", f'#!/bin/sh\nexport PYTHONPATH="{package.parent}"\nexec {sys.executable} "$@"\n')
    describe(server, python="broken", runtimes=["onnxruntime", "null"])
    found = edgekit.devices(check="board")
    assert found.check is not None and found.exit_code == 5
    broken, null = found.check.runtimes
    assert null.version == "built in" and broken.version is None
    assert said in str(broken.missing) and "another version: `broken -m pip install" in str(broken.remedy)
    assert not server.work()


def test_accuracy_on_the_device_is_that_of_its_answers(
    server: Server, here: Path, tiny_onnx: Callable[..., Path]
) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for index in range(12):
        folder = here / "images" / f"class{index % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(random.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{index}.png")
    (here / "how.yaml").write_text("crop: 1.0\n")
    describe(server)
    options: dict[str, Any] = {"data": here / "images", "preprocess": here / "how.yaml"}
    path = tiny_onnx()
    (there,) = edgekit.eval([path], device="board", **options).results
    (local,) = edgekit.eval([path], **options).results
    assert there.accuracy.hits == local.accuracy.hits and there.accuracy.dataset_hash == local.accuracy.dataset_hash
    assert there.accuracy.device == "board" and there.accuracy.found["device"]["kernel"] == os.uname().release
    assert there.accuracy.images_per_second > 0 and there.to_json()["device"] == "board"
    assert not server.work()


def test_a_session_there_answers_as_one_here(server: Server, tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    path = tiny_onnx(batch="N")
    link = server.link()
    far, near = FarSession(link, path, "onnxruntime"), open_session(path, "onnxruntime")
    assert [(t.name, t.dtype, t.shape) for t in far.inputs] == [(t.name, t.dtype, t.shape) for t in near.inputs]
    for batch in (1, 5):
        x = np.random.default_rng(batch).standard_normal((batch, 3, 16, 16), np.float32)
        assert np.array_equal(far.run([x])[0], near.run([x])[0]) and far.last_ns > 0
    with pytest.raises(BackendMissing, match="board: onnxruntime"):
        far.run([np.zeros((1, 3, 7), np.float32)])
    far.close()
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="board: onnxruntime"):
        FarSession(link, tmp_path / "broken.onnx", "onnxruntime")
    with pytest.raises(DeviceUnreachable):
        far = FarSession(link, path, "onnxruntime")
        try:
            server.stop()
            far.run([np.zeros((1, 3, 16, 16), np.float32)])
        finally:
            far.close()
