"""Sweeps on a real Dask cluster, whose workers only pretend to work."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.errors import BackendMissing, DeviceUnreachable, Refusal, UsageError
from edgekit.exporting.inputs import tools
from edgekit.records.artifact import open_artifact
from edgekit.storage.store import Store
from edgekit.sweeps import run, taking
from edgekit.sweeps.export import Made
from edgekit.sweeps.fleet import cluster, connection, dispatch, engine, work
from edgekit.sweeps.fleet.announcement import Announcement, Roster
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.result import SweepResult
from tests.reporting.conftest import measurement
from tests.sweeps.fleet.peers import Peers
from tests.sweeps.test_command import Nobody

Begin = Callable[..., SweepResult]


def bench(paths: list[Path], **asked: Any) -> Any:
    """What edgekit.bench gives of a device of this machine, in no time."""
    told = open_artifact(paths[0]).manifest
    assert told is not None
    taken = measurement(told, sha256=told.sha256, device=asked["device"], threads=asked["threads"])
    return SimpleNamespace(measurements=(taken.model_copy(update={"id": f"here-{asked['device']}-{told.file}"}),))


def test_workers_do_it_and_the_sweep_goes_on_without_them_and_back(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    first = begin(progress=lambda message, *_: told.append(message))
    for device in ("pi-1", "pi-2"):
        assert any(f"{device}: process 1 of 1 there" in message for message in told), "what its worker says, meanwhile"
    assert first.exit_code == 0 and [cell.status for cell in first.cells] == ["done"] * 4
    assert [cell.measurement and cell.measurement.device for cell in first.cells] == ["pi-1", "pi-2"] * 2
    for cell in first.cells:
        assert cell.artifact is not None and cell.measurement is not None
        assert open_artifact(Path(cell.artifact)).manifest is not None, "its bytes fit its manifest"
        assert cell.measurement.found["path"] == cell.artifact, "where it lies here, not on the worker"
    ids = [one.id for one in Store(f"sqlite:///{tmp_path}/s.db").measurements()]
    assert sorted(ids) == sorted(cell.measurement.id for cell in first.cells if cell.measurement)

    monkeypatch.setattr(taking, "bench", bench)
    here: dict[str, Any] = {"engine": "local", "scheduler": None, "executor": Nobody()}
    again = begin(**here, threads=(1, 2))
    assert [(cell.cell.how.threads, cell.status) for cell in again.cells[:2]] == [(1, "cached"), (2, "done")]
    back = begin(threads=(1, 2))
    assert {cell.status for cell in back.cells} == {"cached"}
    assert len(Store(f"sqlite:///{tmp_path}/s.db").measurements()) == 8


def test_accuracies_are_found_on_workers_and_their_images_are_sent(begin: Begin, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    images, weights = tmp_path / "images", tmp_path / "weights.pth"
    images.mkdir()
    weights.write_bytes(b"weights" * 10)
    for name in ("1.png", "2.png", "3.png"):
        (images / name).write_bytes(name.encode())
    (images / "labels.csv").write_text("file,class\n1.png,0\n2.png,1\n3.png,2\n")
    asked: dict[str, Any] = {"weights": str(weights), "eval": images, "export_only": True, "device": None}
    first = begin(**asked)
    assert first.exit_code == 0 and [cell.accuracy and cell.accuracy.n for cell in first.cells] == [3, 3]
    again = begin(**asked, engine="local", scheduler=None, executor=Nobody())
    assert [cell.status for cell in again.cells] == ["cached"] * 2
    assert [cell.accuracy for cell in again.cells] == [cell.accuracy for cell in first.cells]


def test_a_worker_that_is_killed_loses_nothing(
    begin: Begin, peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PATIENCE", Patience(0.5, 1.0, never_seen=600, seen=600, alone=600))
    said: list[str] = []

    def kill() -> None:
        while not any("measuring" in message for message in said):
            time.sleep(0.01)
        peers.workers["two"].kill()
        peers.workers["two"].wait()
        peers.start_worker("two", "pi-2")

    killing = threading.Thread(target=kill)
    killing.start()
    result = begin(threads=(1, 2, 3), progress=lambda message, *_: said.append(message))
    killing.join()
    assert result.exit_code == 0 and len(result.cells) == 12 and {cell.status for cell in result.cells} == {"done"}
    stored = Store(f"sqlite:///{tmp_path}/s.db").measurements()
    assert len(stored) == len({(one.sha256, one.device, one.protocol.threads) for one in stored}) == 12


@pytest.mark.parametrize("times", [1, 2])
def test_what_comes_back_as_other_bytes_is_made_again_once(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    real = cluster.Cluster.call
    wrong: list[Any] = []

    def call(self: Any, address: str, resources: Any, function: Any, *arguments: Any) -> Any:
        found = real(self, address, resources, function, *arguments)
        if function is work.read and arguments[0].endswith(".onnx") and len(wrong) < times:
            wrong.append(arguments)
            return found[:-1] + b"?"
        return found

    monkeypatch.setattr(cluster.Cluster, "call", call)
    (cell,) = begin(alpha=(0.25,), export_only=True, device=None).cells
    if times == 1:
        assert cell.status == "done" and cell.artifact and open_artifact(Path(cell.artifact))
    else:
        assert cell.status == "failed" and cell.refusal and cell.refusal.exit_code == 7
        assert "came from worker" in cell.refusal.message and "sha256 differs" in cell.refusal.message


def test_a_device_on_no_worker_is_waited_for_and_then_fails(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PATIENCE", Patience(0.01, never_seen=2, seen=2))
    said: list[str] = []
    result = begin(alpha=(0.25,), device=("pi-1", "pi-3"), progress=lambda message, *_: said.append(message))
    done, failed = result.cells
    assert done.status == "done" and failed.status == "failed" and failed.refusal is not None
    assert (failed.refusal.message, result.exit_code) == ("no worker announces pi-3", DeviceUnreachable.exit_code)
    assert "edgekit worker --scheduler" in failed.refusal.remedy
    assert sum("pi-3 does not answer: no worker announces pi-3" in message for message in said) == 3
    monkeypatch.setattr(engine, "MEET_SECONDS", 0.1)
    with pytest.raises(UsageError, match="no device 'pi-9'"):
        begin(device=("pi-9",))


def test_workers_of_another_version_get_nothing_and_both_are_named(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {**tools(), "torch": "0.9"}
    monkeypatch.setattr(cluster, "tools", lambda: ours)
    monkeypatch.setattr(dispatch, "REFUSED_SECONDS", 0.1)
    (cell,) = begin(alpha=(0.25,), export_only=True, device=None).cells
    assert cell.refusal is not None and cell.refusal.exit_code == BackendMissing.exit_code
    assert "worker one is refused: it has torch " in cell.refusal.message and "this sweep 0.9" in cell.refusal.message


@pytest.mark.parametrize("full", [("one",), ("one", "two")])
def test_what_a_workers_machine_refuses_is_done_by_another(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, full: tuple[str, ...]
) -> None:
    real = cluster.Cluster.call

    def call(self: Any, address: str, resources: Any, function: Any, *arguments: Any) -> Any:
        if function is work.export and self.name(address) in full:
            job = arguments[0]
            refused = Refusal("environment", "the disk is full", "free some space, or choose --out elsewhere", 7)
            made = tuple(Made(file, refusal=refused) for file in job.files)
            return work.Brought(made, "/somewhere", ())
        return real(self, address, resources, function, *arguments)

    monkeypatch.setattr(cluster.Cluster, "call", call)
    cells = begin(export_only=True, device=None).cells
    if len(full) == 1:
        assert [cell.status for cell in cells] == ["done"] * 2
    else:
        for refusal in (cell.refusal for cell in cells):
            assert refusal is not None and refusal.exit_code == 7
            assert refusal.message in {f"worker {name}: the disk is full" for name in full}
            assert refusal.remedy == "free some space, or choose the worker's EDGEKIT_CACHE elsewhere"


def test_of_two_that_announce_a_device_neither_is_taken() -> None:
    announced = Roster({name: Announcement(name, {}, {}, {"pi-1": {}}, 1, 1) for name in ("one", "two")})
    pretended: Any = SimpleNamespace(roster=announced, name=str, since=-math.inf, reached=lambda: None)
    with pytest.raises(DeviceUnreachable, match="one and two both announce pi-1"):
        dispatch.Dispatch(pretended).on("pi-1", {}, work.identity, "pi-1")


def test_workers_that_can_make_no_files_are_told_while_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "REFUSED_SECONDS", 0.01)
    monkeypatch.setattr(dispatch, "WAIT_SECONDS", 0.3)
    announced, said = Roster({"one": Announcement("one", {}, {}, {}, 1, 1)}), list[str]()
    where = connection.Connection("tcp://127.0.0.1:1")
    pretended: Any = SimpleNamespace(
        roster=announced, where=where, since=-math.inf, reached=lambda: None, changed=said.append
    )
    asked: Any = dispatch.Dispatch(pretended).anywhere
    with pytest.raises(DeviceUnreachable, match="no worker of tcp://127.0.0.1:1 has torch") as told:
        asked(lambda: announced.exporters, engine.NEEDS_TORCH, {"edgekit-slot": 1.0}, {}, work.export)
    assert said == [f"{told.value.message}: waiting for one"]


def test_what_a_devices_machine_lacks_is_told_with_its_worker() -> None:
    announced = Roster({"one": Announcement("one", {}, {}, {"pi-1": {}}, 1, 1)})
    lacks = Refusal("backend", "onnxruntime is not installed", "install it", 5)
    pretended: Any = SimpleNamespace(roster=announced, name=str, reached=lambda: None, call=lambda *_: lacks)
    with pytest.raises(BackendMissing, match="^worker one: onnxruntime is not installed"):
        dispatch.Dispatch(pretended).on("pi-1", {}, work.identity, "pi-1")


def test_this_machine_itself_is_measured_from_here(begin: Begin) -> None:
    (cell,) = begin(alpha=(0.25,), device=("local",), runtime=("null",), preset="quick").cells
    assert cell.refusal is None and cell.measurement is not None and cell.measurement.runtime == "null"


def test_a_scheduler_of_another_version_is_named(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_version", lambda: "2020.1.0")
    with pytest.raises(BackendMissing, match=r"has distributed \d+\.\d+\.\d+, and this machine 2020\.1\.0"):
        begin()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": ("tensorrt",)}, "runs where it was built"),
        ({"max_latency": 1.0}, "--max-latency times files on the machine"),
        ({"executor": Nobody()}, "exclude each other"),
        ({"engine": "local"}, "--scheduler is for --engine dask"),
        ({"engine": "dusk"}, "did you mean 'dask'"),
    ],
)
def test_what_a_cluster_cannot_do_is_told_first(begin: Begin, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        begin(**changes)
