"""What a measuring session makes of answers."""

from __future__ import annotations

import marshal
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.links.base import parsed
from edgekit.device.linux import LinuxTarget
from edgekit.errors import MeasurementInvalid
from edgekit.measure.command import bench
from edgekit.measure.found import plain
from edgekit.measure.result import row
from edgekit.records import measurement
from edgekit.records.measurement import Protocol


def test_a_record_holds_plain_data_only() -> None:
    answer = parsed(b'{"ok": {"found": {"nodes_by_provider": {"CPU": 3}, "layers": [{"name": "a"}]}}}')
    assert answer is not None
    found = plain(answer["ok"]["found"])
    assert marshal.loads(marshal.dumps(found)) == {"nodes_by_provider": {"CPU": 3}, "layers": [{"name": "a"}]}
    assert type(found["nodes_by_provider"]) is type(found["layers"][0]) is dict


@pytest.mark.parametrize("has_idle", [True, False])
def test_energy_of_packages_is_that_of_the_loops_less_that_of_a_pause(
    has_idle: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With processes that really run, and counters of a package that draws 15 W in loops and 5 W in a pause."""
    asked, commands = LinuxTarget.ask, []

    def ask(target: LinuxTarget, job: Any, seconds: float, command: str = "run") -> dict[str, Any]:
        commands.append(command)
        if command == "idle" and not has_idle:
            raise MeasurementInvalid("no answer", "measure again")
        answer = asked(target, job, seconds, command)
        looks = answer if command == "idle" else answer.get("sensed")
        for name, look in (looks or {}).items():
            if name in ("before", "after"):
                watts = 5 if command == "idle" else 15
                look["package_uj"] = {"package-0": (int(watts * look["time_ns"] / 1000), 1 << 60)}
        return answer

    monkeypatch.setattr(LinuxTarget, "ask", ask)
    monkeypatch.setattr("edgekit.measure.session.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("edgekit.stats.energy.SHORTEST", 0.0)
    short = Protocol(preset="test", processes=1, warmup_seconds=0.01, min_seconds=0.02, min_runs=5, max_seconds=5.0)
    monkeypatch.setitem(measurement.PRESETS, "test", short)
    monkeypatch.chdir(tmp_path)
    for name in ("x.onnx", "y.onnx"):
        (tmp_path / name).write_bytes(b"x")
    (one, _) = bench(["x.onnx", "y.onnx"], runtime="null", preset="test", store="e.db").measurements
    energy = one.found["energy"]
    assert energy["busy_mw"] == pytest.approx(15_000, rel=0.01) and row(one)["energy_mj"] == energy["gross_mj"] > 0
    assert commands.count("idle") == (1 if has_idle else 2) and "no_energy" not in one.found
    if has_idle:
        assert energy["net_mj"] == pytest.approx(energy["gross_mj"] * 2 / 3, rel=0.01)
    else:
        assert energy["net_mj"] is None


def test_a_machine_without_counters_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = LinuxTarget.ask

    def ask(target: LinuxTarget, job: Any, *more: Any) -> dict[str, Any]:
        answer = answers(target, job, *more)
        if "found" in answer:
            answer["found"]["no_energy"] = "there is none"
            for look in ("before", "after"):
                answer["sensed"][look]["package_uj"] = None
        return answer

    monkeypatch.setattr(LinuxTarget, "ask", ask)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.onnx").write_bytes(b"x")
    (one,) = bench("x.onnx", runtime="null", preset="quick", store="e.db").measurements
    assert one.found["energy"] == {"gross_mj": None, "net_mj": None, "reason": "there is none"}
    assert row(one)["energy_mj"] is None
