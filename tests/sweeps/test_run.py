"""Sweeps on devices that are only pretended: all at once, away, twins, and failures with all that is known of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.bench.ondevice.sensors.linux import host
from edgekit.device.target import Identity
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, UsageError
from edgekit.records.artifact import open_artifact
from edgekit.storage.store import Store
from edgekit.sweeps import run, taking
from edgekit.sweeps.board import Row
from edgekit.sweeps.command import sweep
from edgekit.sweeps.local import Local
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.result import SweepResult
from tests.reporting.conftest import measurement
from tests.waiting import PATIENCE, until

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
NAMES = ("pi-1", "pi-2", "pi-3")


class Lab:
    """Three boards. `fails` has what each of them raises; `away` those that do not answer."""

    def __init__(self) -> None:
        self.fails: dict[str, EdgekitError] = {}
        self.away: set[str] = set()
        self.measured: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.together: threading.Barrier | None = None
        self.verdict = "valid"

    def identity(self, name: str) -> Identity:
        self.asked[name] += 1
        if name in self.away:
            raise DeviceUnreachable(f"{name} cannot be reached", "switch it on")
        return Identity((name,), {})

    def bench(self, paths: list[Path], **asked: Any) -> Any:
        """What edgekit.bench does, in no time."""
        name = asked["device"]
        if self.together is not None:
            self.together.wait(PATIENCE)
        asked["progress"](f"measuring on {name}", 0, 1)
        if name in self.fails:
            raise self.fails[name]
        self.measured[name] += 1
        known = open_artifact(paths[0]).manifest
        assert known is not None
        taken = measurement(known, sha256=known.sha256, device=name, verdict=self.verdict).model_copy(
            update={"id": f"{name}-{self.count}"}
        )
        asked["store"].append(taken)
        return SimpleNamespace(measurements=(taken,))

    @property
    def count(self) -> int:
        return sum(self.measured.values())


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    found = Lab()
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(taking, "bench", found.bench)
    monkeypatch.setattr(run, "PATIENCE", Patience(0.01, never_seen=3, seen=3))

    monkeypatch.setattr(Local, "identity", lambda self, name: found.identity(name))
    boards = "".join(f"  {name}: {{link: ssh, host: {name}, runtimes: [onnxruntime]}}\n" for name in NAMES)
    (tmp_path / "devices.yaml").write_text(f"devices:\n{boards}")
    return found


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., SweepResult]:
    """A sweep of the smallest network on a pool of the three boards."""

    def swept(**changes: Any) -> SweepResult:
        asked: dict[str, Any] = {"format": ("onnx",), "device": ({"pi": NAMES},), "out": tmp_path / "out"}
        asked |= {"store": f"sqlite:///{tmp_path}/s.db", "devices": tmp_path / "devices.yaml", "continue_": True}
        with ThreadPoolExecutor(1) as pool:
            return sweep("lenet5", **{"executor": pool, **asked, **changes})

    return swept


def test_all_devices_measure_at_once_and_each_what_is_its_own(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.together = threading.Barrier(3)
    rows: list[list[Row]] = []
    result = begin(device=NAMES, watch=lambda found: rows.append(list(found)))
    assert result.exit_code == 0 and [cell.status for cell in result.cells] == ["done"] * 3
    assert [cell.measurement and cell.measurement.device for cell in result.cells] == list(NAMES)
    assert any([row.state for row in found] == ["measuring"] * 3 for found in rows)
    again = begin(device=NAMES)
    assert [cell.status for cell in again.cells] == ["cached"] * 3 and lab.count == 3


def test_what_runs_is_told_where_nothing_happens_for_long(
    lab: Lab, begin: Callable[..., SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PULSE", 0.001)
    said: list[str] = []
    assert begin(progress=lambda message, *_: said.append(message)).exit_code == 0
    (told, *_) = [one for one in said if " so far; about " in one]
    assert told.startswith("export of lenet5") and told.endswith(" left")


def test_twins_take_the_jobs_of_a_device_that_is_away(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.away = {"pi-1"}
    result = begin(threads=(1, 2, 3, 4, 5, 6))
    assert result.exit_code == 0 and lab.measured["pi-1"] == 0 and lab.count == 6
    assert {one.cell.device for one in result.cells} == {"pi"}
    again = begin(threads=(1, 2, 3, 4, 5, 6))
    assert {cell.status for cell in again.cells} == {"cached"} and lab.count == 6


def test_a_job_that_fails_on_one_device_is_done_by_a_twin(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.fails = {"pi-1": BackendMissing("no onnxruntime", "install it")}
    assert begin(threads=(1, 2, 3, 4)).exit_code == 0 and set(lab.measured) <= {"pi-2", "pi-3"}


def test_devices_that_are_away_fail_what_only_they_can_do(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.away = {"pi-1"}
    said: list[str] = []
    result = begin(device=("pi-1", "pi-2"), progress=lambda message, *_: said.append(message))
    lost, done = result.cells
    assert done.status == "done" and lost.status == "failed" and lost.refusal is not None
    assert lost.refusal.exit_code == result.exit_code == DeviceUnreachable.exit_code and lab.asked["pi-1"] in (3, 4)
    assert sum("pi-1 does not answer: pi-1 cannot be reached" in message for message in said) == lab.asked["pi-1"]


def test_a_failure_is_a_row_with_where_how_often_and_what_was_said(
    lab: Lab, begin: Callable[..., SweepResult], tmp_path: Path
) -> None:
    broken = BackendMissing("the process running onnxruntime ended by SIGSEGV", "try another version")
    broken.log = ("loading", "segmentation fault")
    lab.fails = dict.fromkeys(NAMES, broken)
    (cell,) = begin().cells
    row = cell.to_json()
    assert (row["status"], row["attempts"]) == ("failed", 3) and row["tried_on"] in NAMES
    assert row["log"] == [f"measuring on {row['tried_on']}", "loading", "segmentation fault"]
    (stored,) = Store(f"sqlite:///{tmp_path}/s.db").failures()
    assert (stored.device, stored.devices, stored.tried_on, stored.attempts) == ("pi", NAMES, row["tried_on"], 3)
    assert list(stored.log) == row["log"] and stored.host == host() and stored.reason == row["reason"]

    lab.fails = {"pi-1": broken}
    begin(device=("pi-1",))
    assert begin(device=("pi-1",)).cells[0].attempts == 2, "in all runs"
    assert begin().exit_code == 0
    lab.fails = {}
    assert begin(device=("pi-1",)).cells[0].attempts == 0


def test_only_what_failed_is_tried_again(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.fails = {"pi-1": BackendMissing("no onnxruntime", "install it")}
    asked: dict[str, Any] = {"device": ("pi-1", "pi-2"), "precision": ("fp32",)}
    assert [cell.status for cell in begin(**asked).cells] == ["failed", "done"]
    lab.fails = {}
    more = {**asked, "device": NAMES, "precision": ("fp32", "fp16"), "continue_": False, "retry": "failed"}
    plan = begin(**more, dry_run=True)
    assert [(task.kind, task.needs.devices) for task in plan.jobs] == [("latency", ("pi-1",))]
    statuses = [(cell.cell.precision, cell.cell.device, cell.status) for cell in begin(**more).cells]
    assert statuses == [
        ("fp32", "pi-1", "done"), ("fp32", "pi-2", "cached"), ("fp32", "pi-3", "planned"),
        ("fp16", "pi-1", "planned"), ("fp16", "pi-2", "planned"), ("fp16", "pi-3", "planned"),
    ]  # fmt: skip
    assert begin(**more, dry_run=True).jobs == ()
    with pytest.raises(UsageError, match="--retry cannot be 'all'"):
        begin(**{**more, "retry": "all"})


def test_a_plan_says_of_each_cell_what_is_there_and_what_is_left(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    asked: dict[str, Any] = {"device": ("pi-1", "pi-2")}
    begin(device=("pi-1",))
    anew, on = (begin(**asked, continue_=value, dry_run=True) for value in (False, True))
    assert [(cell.there, cell.todo) for cell in anew.cells] == [
        (("file", "latency"), ("export", "latency")), (("file",), ("export", "latency")),
    ]  # fmt: skip
    assert "2 cells of 2 were done before" in anew.notes[0] and "--continue" in anew.notes[0]
    assert [(cell.status, cell.there, cell.todo) for cell in on.cells] == [
        ("cached", ("file", "latency"), ()), ("planned", ("file",), ("latency",)),
    ]  # fmt: skip
    assert on.notes == () and on.to_json()["cells"][1]["todo"] == ["latency"]


def test_what_is_invalid_is_marked_until_it_was_measured_again(lab: Lab, begin: Callable[..., SweepResult]) -> None:
    lab.verdict = "invalid"
    assert begin(device=("pi-1",)).cells[0].status == "done"
    (cell,) = begin(device=("pi-1",), dry_run=True).cells
    assert (cell.status, cell.there, cell.todo) == ("planned", ("file", "invalid latency"), ("latency",))
    left = begin(device=("pi-1",), continue_=False, retry="failed")  # it did not fail, and is not tried again
    assert left.cells[0].status == "planned" and left.exit_code == 6
    lab.verdict = "valid"
    assert begin(device=("pi-1",)).exit_code == 0


def test_a_file_that_did_not_pass_is_made_again_where_that_is_asked_for(
    lab: Lab, begin: Callable[..., SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.exporting import thresholds

    with monkeypatch.context() as patch:
        patch.setitem(thresholds.THRESHOLDS, "fp32", thresholds.Threshold(0.0, None, None, "nothing is exact"))
        assert begin(export_only=True, device=None).cells[0].status == "failed"
    assert begin(export_only=True, device=None).cells[0].status == "failed", "it would fail in the same way"
    assert begin(export_only=True, device=None, retry="failed").cells[0].status == "done"
    assert begin(export_only=True, device=None).cells[0].status == "cached"


def test_an_interrupt_ends_what_is_measured_at_once_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGEKIT_NULL_MS", "20000")
    asked: dict[str, Any] = {"format": ("onnx",), "runtime": ("null",), "preset": "quick", "out": tmp_path / "out"}
    asked |= {"store": f"sqlite:///{tmp_path}/s.db", "continue_": True}

    def interrupt(message: str, done: int, total: int) -> None:
        if "process 1" in message:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            sweep("lenet5", executor=pool, progress=interrupt, **asked)
        until(lambda: not [one.name for one in threading.enumerate() if "lenet5" in one.name])
        assert not Store(asked["store"]).measurements() and not list((tmp_path / "out/.sweep").glob("latency-*"))
        monkeypatch.setenv("EDGEKIT_NULL_MS", "1")
        (cell,) = sweep("lenet5", executor=pool, **asked).cells
    assert cell.status == "done" and cell.measurement is not None
