"""Sustained load, on windows that slow as they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.records.measurement import ProcessRun, Protocol, Sensed, Snapshot
from edgekit.stats.sustained import part, ranking, sustained
from tests.comparison.records import record

Curve = Callable[[float], float]


def window(began_s: float, ms: float, seconds: float = 5.0, **after: Any) -> ProcessRun:
    """A process that began then and ran for so long; its samples scatter by a hundredth."""
    times = np.random.default_rng(int(began_s)).normal(ms * 1e6, ms * 1e4, 51).astype(int)
    start = Snapshot(
        time_ns=0, busy_s=0.0, own_cpu_ns=0, **({"throttle_count": 0} if "throttle_count" in after else {})
    )
    end = Snapshot(time_ns=int(seconds * 1e9), own_cpu_ns=int(seconds * 1e9), **{"busy_s": seconds, **after})
    return ProcessRun(
        samples_ns=tuple(times), warmup_ns=(), load_ns=1, first_ns=1, wall_ns=int(seconds * 1e9), began_s=began_s,
        sensed=Sensed(before=start, after=end, sentinel_ns=(500_000, 500_000)),
    )  # fmt: skip


def loaded(curve: Curve, seconds: int = 600, every: float = 6.0, facts: Callable[[float], Any] = lambda at: {}) -> Any:
    """A measurement whose windows began `every` seconds and took what `curve` tells of that second."""
    begins = np.arange(0, seconds, every).tolist()
    runs = tuple(window(at, curve(at), **facts(at)) for at in begins)
    protocol = Protocol(preset="sustained", processes=len(runs), sustained_seconds=seconds)
    return record("a.onnx", protocol=protocol).model_copy(update={"runs": runs})


def step(at_s: float, times: float) -> Curve:
    return lambda at: 10.0 if at < at_s else 10.0 * times


@pytest.mark.parametrize(
    ("curve", "verdict", "ratio", "settled_s"),
    [
        (lambda at: 10.0, "same", 1.0, 0.0),
        (step(300, 1.3), "slower", 1.3, 300.0),
        (step(300, 0.8), "faster", 0.8, 300.0),
        (lambda at: 10.0 * (1.5 - 0.5 * np.exp(-at / 60)), "slower", 1.27, 169.0),  # heats up, and stays so
        (lambda at: 10.0 + at / 60, "slower", 1.86, None),  # slows down until the end
        (lambda at: 40.0 if at == 300 else 10.0, "same", 1.0, 0.0),  # one window that was disturbed decides nothing
        (lambda at: 20.0 if 240 <= at < 300 else 10.0, "same", 1.0, 300.0),  # a neighbor for a minute
    ],
)
def test_the_first_minute_against_the_last(curve: Curve, verdict: str, ratio: float, settled_s: float | None) -> None:
    found = sustained(loaded(curve))
    assert found is not None and found.verdict == verdict and found.change.ci95 is not None
    assert found.change.ratio == pytest.approx(ratio, rel=0.02)
    assert found.change.ci95[0] <= found.change.ratio <= found.change.ci95[1]
    assert found.settled_s == pytest.approx(settled_s, abs=12) if settled_s is not None else found.settled_s is None
    assert len(found.first) == len(found.last) == 10 and found.measured_share == pytest.approx(5 / 6, abs=0.01)
    assert f"{found.change.ratio:.3f} times" in found.words and ("not settled" in found.words) is (settled_s is None)


def test_what_the_device_did_stands_beside() -> None:
    def heat(at: float) -> dict[str, Any]:
        hot = at >= 300
        zones = {"0 cpu": 90.0 if hot else 50.0, "1 PMIC-Die": 100.0}
        return {"celsius": zones, "mhz": (1500.0 if hot else 2400.0, 800.0), "throttle_count": int(hot)}

    found = sustained(loaded(step(300, 1.6), facts=heat))
    assert found is not None
    assert found.facts["celsius"] == (50.0, 90.0) and found.facts["mhz"] == (2400.0, 1500.0)
    assert found.facts["throttled"] == (0.0, 1.0) and found.facts["foreign_processors"] == (0.0, 0.0)
    assert found.facts["gpu_mhz"] == (None, None) and found.facts["fixed_work_us"] == (500.0, 500.0)
    told = found.to_json()
    assert told["facts"]["celsius"] == {"first": 50.0, "last": 90.0} and told["windows"][-1]["celsius"] == 90.0


def test_few_windows_have_a_ratio_and_no_interval() -> None:
    found = sustained(loaded(step(60, 2.0), seconds=120, every=25.0))
    assert found is not None and found.change.ci95 is None and found.verdict == "cannot tell"
    assert "without an interval: 1 window at one end" in found.words
    one = sustained(loaded(lambda at: 5.0, seconds=30, every=60.0))  # a network that is slower than a window
    assert one is not None and one.change.ratio == 1 and (part(30), part(600)) == (10, 60)


def test_other_measurements_have_none() -> None:
    assert sustained(record()) is None


def named(name: str, curve: Curve) -> tuple[str, Any]:
    return name, sustained(loaded(curve))


def test_a_ranking_that_changes_is_said() -> None:
    steady, throttled, slow = named("a", lambda at: 12.0), named("b", step(200, 1.5)), named("c", lambda at: 30.0)
    found = ranking([steady, throttled, slow])
    assert (found["first"], found["last"]) == (["b", "a", "c"], ["a", "b", "c"])
    (change,) = found["changes"]
    assert change["is_sure"] and change["words"] == "b was quicker than a at first, and slower in the end"
    assert change["first_ratio"] == pytest.approx(10 / 12, rel=0.01) and change["last_ratio"] == pytest.approx(
        15 / 12, rel=0.01
    )
    assert ranking([steady, slow])["changes"] == []
    close = ranking([named("d", lambda at: 10.0 + 0.002 * (at > 300)), named("e", lambda at: 10.001)])
    assert all(not one["is_sure"] for one in close["changes"])
