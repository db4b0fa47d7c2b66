"""A device that has trtexec and no Python package of TensorRT, over a real OpenSSH server.

The trtexec there is a stand-in that prints the logs and exports of the real one; it answers with onnxruntime.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit.bench.ondevice.runtimes import trtexec as runtime_trtexec
from edgekit.errors import BackendMissing, EdgekitError, UsageError
from edgekit.measure import profile
from edgekit.records.manifest import manifest_path
from edgekit.records.measurement import VERSUS, Protocol
from edgekit.records.runtime import TRTEXEC
from edgekit.storage.store import open_store
from tests.paths import SAMPLES
from tests.waiting import until

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package)
TIMES = "trtexec_exportTimes_mobilenet_qat_head60.json"
pytestmark = pytest.mark.usefixtures("here")
SHORT = Protocol(
    preset="quick", processes=2, warmup_seconds=0.01, warmup_runs=3, warmup_max_seconds=0.02, cooldown_seconds=0.1,
    min_seconds=0.02, min_runs=7, max_seconds=5.0,
)  # fmt: skip


@pytest.fixture
def board(server: Server) -> Server:
    """The server with trtexec on its PATH."""
    server.stop()
    server.environment = {"SAMPLES": str(SAMPLES.resolve()), "PYTHONPATH": str(server.folder / "packages")}
    (server.folder / "packages").mkdir()
    missing = "raise ModuleNotFoundError('No module named tensorrt', name='tensorrt')\n"
    (server.folder / "packages" / "tensorrt.py").write_text(missing)
    stand_in = (Path(__file__).resolve().parents[1] / "bench" / "trtexec_stand_in.py").read_text()
    server.script("trtexec", f"#!{sys.executable}\n{stand_in}")
    server.start()
    wish(server)
    describe(server)
    return server


def describe(server: Server, **more: object) -> None:
    """Write devices.yaml with the server as `board`."""
    board = {"link": "ssh", "host": "board", "runtimes": ["trtexec"], "python": sys.executable,
             "folder": str(server.root), **more}  # fmt: skip
    Path("devices.yaml").write_text(json.dumps({"devices": {"board": board}}))


def wish(server: Server, **more: object) -> None:
    """What goes wrong from now on."""
    (server.folder / "bin" / "trtexec.json").write_text(json.dumps(more))


def asked(server: Server) -> list[list[str]]:
    """What trtexec was called with."""
    path = server.folder / "bin" / "asked"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@functools.cache
def built(**more: Any) -> dict[str, bytes]:
    """An engine and its manifest as files, made once."""
    (made,) = edgekit.export("lenet5", format=["tensorrt"], device="board", **more).artifacts
    return {path.name: path.read_bytes() for path in (made.path, manifest_path(made.path))}


def engine(**more: Any) -> Path:
    for name, content in built(**more).items():
        Path(name).write_bytes(content)
    return next(Path.cwd().glob("*.engine"))


def refused(path: Path, **more: Any) -> EdgekitError:
    """The error of a measurement, of which nothing is kept."""
    with pytest.raises(EdgekitError) as caught:
        edgekit.bench([path], device="board", preset="quick", **more)
    assert open_store().measurements() == [] and "\n" not in caught.value.message
    return caught.value


def test_it_builds_proves_and_measures(board: Server) -> None:
    said: list[str] = []
    result = edgekit.export("lenet5", format=["tensorrt"], device="board", progress=said.append)
    assert not result.failed, result.failed
    (made,) = result.artifacts
    assert made.manifest is not None and made.manifest.parity.passed
    details = made.manifest.details
    assert details["builder"] == "trtexec" and details["tensorrt"] == "10.16.1" and details["build_seconds"] == 8.05109
    assert details["compute_capability"] == "9.0" and details["layer_kinds"]["CaskConvolution"] >= 1
    proof = {"device": "board", "runtime": "trtexec", "version": "10.16.1"}
    assert proof.items() <= details["proof"].items() and details["proof"]["instructions"]
    assert details["timing_cache_sha256"] and (board.root / "tensorrt" / "trtexec-10.16.1.timing").is_file()
    assert "tensorrt fp32 on board: Start parsing network model" in said

    (one,) = edgekit.bench([made.path], device="board", preset="quick").measurements
    queries = json.loads((SAMPLES / TIMES).read_text().partition("\n")[2])
    times = [round(query["computeMs"] * 1e6) for query in queries]
    assert one.runtime == "trtexec" and [list(run.samples_ns) for run in one.runs] == [times, times]
    assert one.runs[0].load_ns == 24572400 and one.runs[0].first_ns is None and one.runs[0].wall_ns == 3000050000
    found = one.found
    assert found["runtime_version"] == "10.16.1" and found["cuda_graph"] is True and found["gpu"]
    assert found["device_ms"] == pytest.approx(statistics.median(times) / 1e6)
    assert found["latency_with_copies_ms"] == found["device_ms"]  # of this sample
    assert 0 < found["enqueue_ms"] < found["device_ms"] and found["device"]["kernel"] == os.uname().release
    assert one.memory.peak_bytes and "trtexec" in one.memory.method and one.runs[0].sensed is not None
    assert edgekit.bench([made.path], device="board", preset="quick").to_json()["measurements"][0]["first_ms"] is None
    assert not board.work() and open_store().measurements()[0] == one

    runs = [words for words in asked(board) if any(word.startswith("--exportTimes") for word in words)]
    assert {"--noDataTransfers", "--warmUp=20", "--duration=1", "--iterations=7"} <= set(runs[0])
    copied = [words for words in runs if "--noDataTransfers" not in words]
    assert len(copied) == 2  # once for each command


def test_versus_gives_each_file_a_process_of_its_own_in_a_block(board: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSUS, "quick", {"processes": 2})
    first = engine()
    second = shutil.copy(first, "second.engine")
    result = edgekit.bench([first, second], device="board", preset="quick", versus=True)
    assert [[run.block for run in one.runs] for one in result.measurements] == [[0, 1], [0, 1]]
    assert len(result.versus) == 1 and result.to_json()["versus"][0]["ratio"] == 1.0


def test_its_profile_is_by_layer(board: Server) -> None:
    (one,) = edgekit.bench([engine()], device="board", preset="quick", profile=True).measurements
    assert one.profile is not None and one.manifest is not None
    (first,) = [row for row in one.profile.rows if row.layers]
    assert "c1" in first.layers and first.ms == 0.008608  # as the real export says of it
    assert len(one.profile.rows) > 50 and one.profile.runs == 6610
    assert one.profile.peaks is None and one.profile.reasons == (profile.NO_PEAKS,)
    assert one.profile.plain_ms == one.found["device_ms"]
    (words,) = [words for words in asked(board) if any(word.startswith("--exportProfile") for word in words)]
    assert {"--dumpProfile", "--separateProfileRun"} <= set(words)


def test_a_device_with_both_is_asked_for_the_one_that_is_missing(board: Server) -> None:
    path = engine()
    describe(board, runtimes=["tensorrt", "trtexec"])
    error = refused(path)
    assert isinstance(error, BackendMissing) and "TensorRT cannot be loaded on board" in error.message
    assert "--runtime trtexec" in error.remedy
    (one,) = edgekit.bench([path], device="board", runtime="trtexec", preset="quick").measurements
    assert one.runtime == "trtexec"
    check = edgekit.devices(check="board").check
    assert check is not None and [(found.name, found.version) for found in check.runtimes][1] == ("trtexec", "10.16.1")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"verdict": "FAILED", "code": 0}, "trtexec failed (exit code 0, FAILED)"),
        ({"verdict": "PASSED", "code": 1}, "trtexec said PASSED and ended with exit code 1"),
        ({"verdict": "nothing", "code": 0}, "trtexec ended with exit code 0 and gave no verdict"),
    ],
)
def test_a_run_counts_with_its_verdict_and_its_exit_code_only(board: Server, more: Any, said: str) -> None:
    path = engine()
    wish(board, **more)
    error = refused(path)
    assert error.exit_code == 5 and error.message.startswith(f"board: {said}")
    result = edgekit.export("lenet5", format=["tensorrt"], device="board", out="again")
    assert said in result.failed[0].error.message and result.exit_code == 5
    assert not [found for found in Path("again").rglob("*") if found.is_file() and found.name != ".lock"]


def test_times_that_were_not_exported_are_no_times(board: Server) -> None:
    path = engine()
    (board.folder / "bin" / "no_times").touch()
    assert "PASSED on board and exported no times" in refused(path).message


def test_another_release_is_told_before_the_engine_is_loaded(board: Server) -> None:
    path = engine()
    before = len(asked(board))
    wish(board, banner="v100300")
    error = refused(path)
    assert "was built for TensorRT 10.16.1, and on board is TensorRT 10.3.0" in error.message and error.exit_code == 5
    assert "edgekit export lenet5" in error.remedy and error.remedy.endswith(" --device board")
    assert all(words == ["--version"] for words in asked(board)[before:])
    wish(board, banner="v120000")
    with pytest.raises(BackendMissing, match="TensorRT 12.0.0 is there, and edgekit builds with 8, 10, 11"):
        edgekit.export("lenet5", format=["tensorrt"], device="board", out="again")


def test_what_it_cannot_do(board: Server) -> None:
    path = engine()
    for more, said in (
        ({"batch": 2}, "the file fixes its batch at 1, and 2 was asked"),
        ({"provider": "cuda"}, "trtexec has no provider"),
        ({"delegate": "gpu"}, "trtexec has no delegate"),
    ):
        error = refused(path, **more)
        assert isinstance(error, UsageError) and said in error.message
    with pytest.raises(RuntimeError, match="no runtime to be timed from outside"):
        runtime_trtexec.Session.prepare(object.__new__(runtime_trtexec.Session), [])


def test_a_free_batch_is_proved_and_measured_at_its_size(board: Server) -> None:
    path = engine(dynamic_batch=True, max_batch=4)
    edgekit.bench([path], device="board", batch=3, preset="quick")
    shapes = {word.partition("=")[0] + word.rpartition(":")[2] for words in asked(board) for word in words}
    assert {"--maxShapes4x1x32x32", "--shapes4x1x32x32", "--shapes3x1x32x32"} <= shapes  # built, proved, measured


def test_we_are_killed_and_nothing_runs_on(board: Server) -> None:
    path, hanging = engine(), board.folder / "bin" / "hanging"
    wish(board, hangs=True)
    code = "import sys, edgekit; edgekit.bench([sys.argv[1]], device='board', preset='quick')"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL)
    until(lambda: hanging.exists() and bool(hanging.read_text()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not board.work() and not Path(f"/proc/{hanging.read_text()}").exists())


def test_the_connection_is_cut_while_it_builds(board: Server) -> None:
    hanging = board.folder / "bin" / "hanging"
    wish(board, hangs=True)

    def cut() -> None:
        until(lambda: hanging.exists() and bool(hanging.read_text()))
        board.stop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    result = edgekit.export("lenet5", format=["tensorrt"], device="board")
    cutter.join()
    assert result.exit_code == 4 and not result.artifacts
    until(lambda: not board.work() and not Path(f"/proc/{hanging.read_text()}").exists())


def test_the_names_of_the_program_are_the_same_everywhere() -> None:
    assert runtime_trtexec.PROGRAMS == TRTEXEC
    assert [runtime_trtexec.version(packed) for packed in ("8601", "101601")] == ["8.6.1", "10.16.1"]


def test_outputs_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(
        '[ { "name" : "nan, inf"\n  , "dimensions" : "1x4"\n  , "values" : [ 1e-05, -nan, inf, -inf ]\n } ]'
    )
    (entry,) = runtime_trtexec._read(path)
    assert entry["name"] == "nan, inf" or "NaN" in entry["name"]
    values = entry["values"]
    assert values[0] == 1e-05 and values[1] != values[1] and values[2:] == [float("inf"), -float("inf")]
    path.write_text("[ cut")
    with pytest.raises(RuntimeError, match="no outputs that can be read"):
        runtime_trtexec._read(path)
