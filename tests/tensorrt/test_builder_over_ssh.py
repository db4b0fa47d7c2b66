"""Engines built, proved and measured on a device over a real OpenSSH server, whose TensorRT is a double.

No library of NVIDIA's is run here: the double is made from the real API of each release.
"""

from __future__ import annotations

import json
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit.errors import BackendMissing, DeviceUnreachable, UsageError
from edgekit.exporting.result import ExportResult
from edgekit.records.measurement import Protocol
from edgekit.storage.store import open_store
from tests.waiting import until

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server
    from tests.conftest import TensorRT

for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package)
NASTY = "orin 'nano' \"8 GB\" $(touch injected)"
ONE_RELEASE = pytest.mark.parametrize("tensorrt", ["10.3.0"], indirect=True)
pytestmark = pytest.mark.usefixtures("here")
SHORT = Protocol(
    preset="quick", processes=1, warmup_seconds=0.01, warmup_runs=3, warmup_max_seconds=0.02, cooldown_seconds=0.1,
    min_seconds=0.02, min_runs=7, max_seconds=5.0,
)  # fmt: skip


def describe(server: Server, name: str = "board", **more: object) -> None:
    """Write devices.yaml with the server under a name."""
    board = {"link": "ssh", "host": "board", "runtimes": ["tensorrt", "onnxruntime"], "python": sys.executable,
             "folder": str(server.root), **more}  # fmt: skip
    Path("devices.yaml").write_text(json.dumps({"devices": {name: board}}))


def again(server: Server, **variables: str) -> None:
    """The same machine, whose sessions have other variables from now on."""
    server.stop()
    server.environment = {**server.environment, **variables}
    server.start()


@pytest.fixture
def far(server: Server, tensorrt: TensorRT, libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server has TensorRT and a GPU; this machine has neither."""
    packages = str(tensorrt.folder)
    for variable in ("PYTHONPATH", "EDGEKIT_LIBCUDA"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != packages])
    again(server, PYTHONPATH=packages, EDGEKIT_LIBCUDA=str(libcuda))
    describe(server)
    return server


def exported(device: str = "board", **more: Any) -> ExportResult:
    return edgekit.export("lenet5", **{"format": ["tensorrt"], "device": device, **more})


def files(folder: Path = Path("artifacts")) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


@ONE_RELEASE
def test_an_engine_is_built_proved_and_measured_there(far: Server, tensorrt: TensorRT) -> None:
    said: list[str] = []
    result = exported(progress=said.append)
    (made,) = result.artifacts
    assert made.path.name == "lenet5_32_random0_fp32_board.engine"
    assert made.manifest is not None and made.manifest.parity.passed
    details = made.manifest.details
    assert details["tensorrt"] == tensorrt.version and details["compute_capability"] == "8.7"
    proof = {"device": "board", "runtime": "tensorrt", "version": tensorrt.version}
    assert proof.items() <= details["proof"].items() and details["proof"]["instructions"]
    assert {"tensorrt fp32 on board: parse", "tensorrt fp32 on board: build", "tensorrt fp32 on board: prove"} <= set(
        said
    )
    assert ("tensorrt fp32 on board: Building Engine 1/2" in said) == (tensorrt.major >= 10)
    (cache,) = (far.root / "tensorrt").iterdir()
    assert tensorrt.version in cache.name and details["timing_cache_sha256"]
    (one,) = edgekit.bench([made.path], device="board", preset="quick").measurements
    assert (
        one.device == "board" and one.found["cuda_graph"] is True and one.found["runtime_version"] == tensorrt.version
    )
    assert not far.work()
    with pytest.raises(BackendMissing, match="tensorrt"):  # this machine has none
        edgekit.bench([made.path], preset="quick")


@ONE_RELEASE
def test_a_mismatch_is_told_before_anything_is_loaded(far: Server) -> None:
    describe(far, NASTY)
    (made,) = exported(NASTY).artifacts
    assert made.path.name.rpartition("_")[2].startswith("orin-nano-8-GB-touch-injected-")
    assert not list(Path.cwd().rglob("injected"))
    again(far, DOUBLE_CC="9.0")
    with pytest.raises(BackendMissing) as caught:
        edgekit.bench([made.path], device=NASTY, preset="quick")
    assert caught.value.exit_code == 5
    assert "was built for compute capability 8.7, and on orin" in caught.value.message
    assert "is compute capability 9.0" in caught.value.message
    assert caught.value.remedy.startswith("build it again: edgekit export lenet5 ")
    words = shlex.split(caught.value.remedy)
    assert words[words.index("--device") + 1] == NASTY and open_store().measurements() == []


@ONE_RELEASE
def test_an_engine_of_another_release_is_told_to_evaluations_too(far: Server, tensorrt: TensorRT) -> None:
    from edgekit.device.registry import load, open_target
    from edgekit.tensorrt.compatibility import refuse_elsewhere

    (made,) = exported().artifacts
    tensorrt.install("8.6.1")
    with (
        open_target("board", load()["board"]) as target,
        pytest.raises(BackendMissing, match="built for TensorRT 10.3.0, and on board is TensorRT 8.6.1"),
    ):
        refuse_elsewhere(made.path, "tensorrt", target.link)


@ONE_RELEASE
def test_what_the_device_lacks_is_told_before_the_network_is_made(far: Server) -> None:
    def refused(match: str, remedy: str) -> None:
        said: list[str] = []
        with pytest.raises(BackendMissing, match=match) as caught:
            exported(progress=said.append)
        assert remedy in caught.value.remedy and "build" not in said and not Path("artifacts").exists()

    describe(far, runtimes=["onnxruntime"])
    refused("board runs no tensorrt files: its runtimes are onnxruntime", "devices.yaml")
    describe(far)
    again(far, DOUBLE_NO_GPU="1")
    refused("no engine can be built on board: the driver sees no GPU", "install TensorRT there")
    again(far, PYTHONPATH="/nowhere")
    refused("TensorRT is not installed on board: .*and no trtexec", "or put trtexec into /usr/src/tensorrt/bin")
    both = exported(format=["tensorrt", "onnx"])
    assert [one.part["format"] for one in both.failed] == ["tensorrt"] and both.exit_code == 5
    assert [one.path.suffix for one in both.artifacts] == [".onnx"]


@ONE_RELEASE
def test_a_device_that_is_away(far: Server) -> None:
    far.stop()
    with pytest.raises(DeviceUnreachable) as caught:
        exported()
    assert caught.value.exit_code == 4 and not Path("artifacts").exists()


@ONE_RELEASE
def test_refused_operators_and_a_builder_that_crashes(far: Server) -> None:
    again(far, DOUBLE_REFUSES="Conv")
    (failure,) = exported().failed
    assert isinstance(failure.error, BackendMissing) and "does not take node '" in failure.error.message
    assert "(Conv): No importer" in failure.error.message and not files()
    again(far, DOUBLE_REFUSES="", DOUBLE_CRASHES="1")
    (failure,) = exported().failed
    assert "process building with tensorrt on board ended by SIGABRT" in failure.error.message and not files()


@ONE_RELEASE
def test_a_cut_in_the_middle_of_a_build(far: Server, tmp_path: Path) -> None:
    again(far, DOUBLE_HANGS=str(tmp_path / "hanging"))

    def cut() -> None:
        until((tmp_path / "hanging").exists)
        far.stop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    result = exported()
    cutter.join()
    assert [one.error.exit_code for one in result.failed] == [4] and result.exit_code == 4
    assert not result.artifacts and not files()
    until(lambda: not far.work())  # the device ended it itself
    again(far, DOUBLE_HANGS="")
    assert exported().artifacts


@ONE_RELEASE
def test_a_free_batch_and_what_devices_yaml_says_of_building(far: Server) -> None:
    describe(far, workspace_mib="512", dla="true")
    (made,) = exported(precision=["fp16"], dynamic_batch=True, max_batch=3).artifacts
    assert made.manifest is not None
    flags = made.manifest.details["build_flags"]
    assert flags["workspace_mib"] == 512 and flags["dla"] == 0 and "GPU_FALLBACK" in flags["builder_flags"]
    (failure,) = exported().failed
    assert isinstance(failure.error, UsageError) and "DLA does not compute in float32" in failure.error.message
    for more in ({"max_batch": 3}, {"max_batch": 3, "dynamic_batch": True, "format": ["onnx"]}):
        with pytest.raises(UsageError, match="--max-batch is for TensorRT engines whose batch is open"):
            exported(**more)
    with pytest.raises(UsageError, match="--max-batch must be at least 2"):
        exported(dynamic_batch=True, max_batch=1)


@ONE_RELEASE
def test_other_files_are_proved_and_timed_there_too(far: Server) -> None:
    (made,) = exported(format=["onnx"], max_latency=60_000).artifacts
    assert made.manifest is not None and made.path.name.endswith("_fp32.onnx")
    assert made.manifest.details["proof"]["device"] == "board"
    gate = made.manifest.details["latency_gate"]
    assert gate["device"] == "board" and 0 < gate["median_ms"] < 60_000 and not far.work()
    slow = exported(format=["onnx"], max_latency=1e-6, out="slow")
    assert slow.exit_code in (3, 6) and not files(Path("slow"))
    assert "board" in slow.failed[0].error.message or slow.exit_code == 6
