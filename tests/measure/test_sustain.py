"""Sustained load through `bench`: with a machine that slows as it is told, and with processes that really run."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.device.linux import LinuxTarget
from edgekit.errors import BackendMissing, DeviceUnreachable, UsageError
from edgekit.measure import sustain
from edgekit.measure.command import bench
from edgekit.measure.verdict import assess
from edgekit.stats.sustained import sustained
from edgekit.storage.store import Store
from tests.stats.test_sustained import window

STARTING = 1.0  # seconds that the told machine takes to start a process


class Machine:
    """Answers as a device would whose files slow down as told; its clock moves only while it is asked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[tuple[str, str]] = []
        self.ends: dict[tuple[str, int], BaseException] = {}  # by the mode of a job, and from which second on

    def clock(self) -> float:
        return self.now

    def ask(self, target: LinuxTarget, job: dict[str, Any], *_: object) -> dict[str, Any]:
        name, at = Path(job["artifact"]).name, self.now - 1000.0
        self.asked.append((job["mode"], name))
        for (mode, second), error in self.ends.items():
            if mode == job["mode"] and at >= second:
                raise error
        if job["mode"] != "latency":
            return {"peak_bytes": 1000}
        if name == "broken.onnx" and at > 100:
            raise BackendMissing("it broke", "mend it")
        hot = name == "throttles.onnx" and at >= 300
        seconds = job["min_seconds"]
        heat = {"celsius": {"0 cpu": 95.0 if at >= 300 else 40.0}, "throttle_count": int(hot)}
        answer = window(0, 2.0 if name == "steady.onnx" else 1.5 * (1 + hot), seconds, **heat).model_dump()
        self.now += seconds + STARTING
        return {**answer, "found": {"threads": 1, "began_s": None}} | {"began_s": None}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    told = Machine()
    monkeypatch.setattr(LinuxTarget, "ask", lambda *all: told.ask(*all))
    monkeypatch.setattr(sustain, "sustain", partial(sustain.sustain, clock=told.clock))
    return told


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    for name in ("steady.onnx", "throttles.onnx", "broken.onnx"):
        (tmp_path / name).write_bytes(name.encode())


def test_files_run_in_turn_until_the_time_is_up_and_what_changes_is_said(machine: Machine) -> None:
    steps: list[tuple[str, int, int]] = []
    files = ["steady.onnx", "throttles.onnx"]
    result = bench(files, sustained="10m", runtime="null", progress=lambda *step: steps.append(step))
    document = json.loads(json.dumps(result.to_json()))
    steady, slowed = (row["sustained"] for row in document["measurements"])
    assert steady["verdict"] == "same" and steady["settled_s"] == 0
    assert slowed["verdict"] == "slower" and slowed["ratio"] == pytest.approx(2, rel=0.01)
    assert 295 <= slowed["settled_s"] <= 310 and slowed["facts"]["throttled"] == {"first": 0, "last": 1}
    assert document["ranking"]["first"] == files[::-1] and document["ranking"]["last"] == files
    assert document["ranking"]["changes"][0]["is_sure"]
    one, two = result.measurements
    assert one.protocol.processes == len(one.runs) == len(two.runs) >= 60 and one.protocol.sustained_seconds == 600
    assert [name for mode, name in machine.asked if mode == "latency"][:4] == files * 2
    assert all(b.began_s < a.began_s < 606 for b, a in zip(one.runs, two.runs, strict=True) if a.began_s and b.began_s)
    assert tuple(Store("edgekit.db").measurements()) == result.measurements
    assert steps[0] == ("sustained load, minute 1 of 10", 0, 600) and {total for *_, total in steps} == {600}
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert not any(
        "hot" in reason or "slowed for heat" in reason for row in result.measurements for reason in row.reasons
    )


def test_a_file_that_fails_is_left_out_and_hides_no_other(machine: Machine) -> None:
    result = bench(["broken.onnx", "steady.onnx", "missing.onnx"], sustained=600, runtime="null")
    assert [one.part["artifact"] for one in result.failures] == ["broken.onnx", "missing.onnx"]
    assert result.measurements[0].artifact == "steady.onnx" and result.exit_code == 2
    assert re.search(r"it broke \(1\.\d+ min into the load, after \d+ windows\)", result.failures[0].error.message)
    assert "ranking" not in result.to_json() and len(Store("edgekit.db").measurements()) == 2
    with pytest.raises(BackendMissing, match="it broke\n"):  # at once
        bench("broken.onnx", sustained=600, runtime="null")


GONE = DeviceUnreachable("it went away", "look for it")


@pytest.mark.parametrize(
    ("error", "said", "kept"),
    [
        (KeyboardInterrupt(), "^9 windows of steady.onnx kept as", "it was interrupted"),
        (
            GONE,
            r"it went away \(54 s into the load, after 9 windows\); 9 windows of .* kept as",
            "away",
        ),
        (BackendMissing("killed by signal 11", "-"), "killed by signal 11 .* kept as", "killed by signal 11"),
        (ValueError("ours"), "^ours$", "ours"),  # a bug
    ],
)
def test_a_load_that_is_cut_keeps_its_windows(machine: Machine, error: BaseException, said: str, kept: str) -> None:
    machine.ends["latency", 50] = error
    with pytest.raises(type(error), match=said) as caught:
        bench("steady.onnx", sustained="10m", runtime="null")
    (one,) = Store("edgekit.db").measurements()
    assert one.id in str(caught.value) or isinstance(error, ValueError)
    assert len(one.runs) == one.protocol.processes == 9 and one.protocol.sustained_seconds == 600
    assert one.verdict == "invalid" and one.reasons[0].startswith("invalid: the load was cut after 54 s of 10 min: ")
    assert kept in one.reasons[0] and one.memory.peak_bytes is None and kept in (one.memory.reason or "")
    assert {mode for mode, _ in machine.asked} == {"latency"}, "nothing more is asked of a device that may be gone"
    found = sustained(one)
    assert found is not None and found.part_seconds == 18 and len(found.first) == len(found.last) == 3
    assert "in the last 18 s of 54 s" in found.words and "cut then, and 10 min were asked for" in found.words


def test_a_cut_before_the_first_window_keeps_nothing(machine: Machine) -> None:
    machine.ends["latency", 0] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt, match="^$"):
        bench("steady.onnx", sustained="10m", runtime="null")
    assert not Store("edgekit.db").measurements()


def test_an_interrupt_keeps_what_others_measured_and_no_failed_file_twice(machine: Machine) -> None:
    machine.ends["latency", 200] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt, match="^[0-9]+ windows of steady.onnx kept as [0-9a-f]*$"):
        bench(["steady.onnx", "broken.onnx"], sustained="10m", runtime="null")
    broken, steady = Store("edgekit.db").measurements()
    assert (broken.artifact, steady.artifact) == ("broken.onnx", "steady.onnx")
    assert "it broke" in broken.reasons[0] and "interrupted" in steady.reasons[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GONE])
def test_a_whole_load_is_kept_where_what_follows_it_ends(machine: Machine, monkeypatch: Any, error: Any) -> None:
    def passes(*_: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(LinuxTarget, "passes", passes)
    with pytest.raises(type(error), match="kept as"):
        bench("steady.onnx", sustained="10m", runtime="null")
    (one,) = Store("edgekit.db").measurements()
    found = sustained(one)
    assert found is not None and found.cut_s is None and len(found.last) == 10
    assert not any("cut" in reason for reason in one.reasons) and "there was no pass" in (one.memory.reason or "")


def test_windows_of_a_file_that_has_changed_are_not_kept(machine: Machine) -> None:
    def ask(target: LinuxTarget, job: dict[str, Any], *_: object) -> dict[str, Any]:
        Path(job["artifact"]).write_bytes(b"another")
        raise KeyboardInterrupt

    bench("steady.onnx", sustained="1m", runtime="null")
    before, answers = len(Store("edgekit.db").measurements()), machine.ask
    machine.ask = lambda *all: (ask if machine.now > 1200 else answers)(*all)  # type: ignore[method-assign]
    machine.now = 1150.0
    with pytest.raises(KeyboardInterrupt, match="windows of steady.onnx are not kept: .*"):
        bench("steady.onnx", sustained="10m", runtime="null")
    assert len(Store("edgekit.db").measurements()) == before


def test_it_is_no_number_to_compare_or_choose_with_that_of_bursts(machine: Machine, monkeypatch: Any) -> None:
    (lasting,) = bench("steady.onnx", sustained="2m", runtime="null").measurements
    (burst,) = bench("steady.onnx", runtime="null", preset="quick").measurements
    compared = edgekit.compare(burst.id, lasting.id).to_json()
    assert compared["verdict"] == "not comparable" and "sustained_seconds None and 120" in compared["rows"][0]["reason"]
    decided = edgekit.choose("local", max_latency="10ms").to_json()
    assert len(decided["others"]) + bool(decided["chosen"]) == 1


def test_processes_that_really_run() -> None:
    (one,) = bench("steady.onnx", sustained="1s", runtime="null").measurements
    assert one.runs[0].began_s == pytest.approx(0, abs=0.5) and all(run.samples_ns for run in one.runs)
    assert one.protocol.processes == len(one.runs) and one.runs[0].inferences_per_sample > 1


def test_heat_speaks_against_no_sustained_load_and_other_load_does() -> None:
    hot = [
        window(at, 1.0 if at < 30 else 2.0, celsius={"0 cpu": 99.0}, throttle_count=int(at >= 30))
        for at in range(0, 60, 5)
    ]
    assert "slowed for heat" in " ".join(assess(hot).reasons) and assess(hot).word == "invalid"
    found = assess(hot, sustained=True)
    assert found.word != "invalid" and not any(
        "heat" in reason or "medians differ" in reason for reason in found.reasons
    )
    busy = [window(at, 1.0, all_cpus=2, busy_s=9.0) for at in range(0, 60, 5)]
    assert "other processes kept" in assess(busy, sustained=True).reasons[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("90s", 90), ("1h", 3600), (" 2 min ", 120), (45, 45), ("1.5m", 90)]
)
def test_durations(text: str | float, seconds: int) -> None:
    assert sustain.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "0", "-5m", "10x", "0.2s", "25h", "1e3", "10m5s", "9" * 30, "nan", "١٠m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="--sustained cannot be") as caught:
        sustain.duration(text)
    assert "10m" in caught.value.remedy


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"versus": True}, "joined with --versus"),
        ({"batch": [1, 2]}, "joined with several batch sizes"),
        ({"preset": "quick"}, "says itself how long"),
    ],
)
def test_what_it_cannot_be_joined_with(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bench(["steady.onnx", "throttles.onnx"], sustained="10m", runtime="null", **more)


def test_windows_are_short_against_the_ends_of_the_load() -> None:
    assert sustain.protocol(600, 1, 1, 1).min_seconds == 5
    assert sustain.protocol(600, 4, 1, 1).min_seconds * 4 * sustain.WINDOWS <= 60
