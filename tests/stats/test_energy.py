from __future__ import annotations

from typing import Any

import pytest

from edgekit.records.measurement import ProcessRun, Sensed, Snapshot
from edgekit.stats.energy import of_runs

MOST = 65_532_610_987  # where an AMD counter ends


def look(at_s: float, **fields: Any) -> Snapshot:
    return Snapshot(time_ns=int(at_s * 1e9), **fields)


def package(start_uj: int, watts: float, seconds: float = 2.0, n: int = 100, name: str = "package-0") -> ProcessRun:
    """A process whose package draws so much; its counter begins at `start_uj`."""
    end = (start_uj + int(watts * seconds * 1e6)) % (MOST + 1)
    before, after = look(0, package_uj={name: (start_uj, MOST)}), look(seconds, package_uj={name: (end, MOST)})
    return taken(before, after, n)


def taken(before: Snapshot, after: Snapshot, n: int = 100, **fields: Any) -> ProcessRun:
    known: dict[str, Any] = {"warmup_ns": (), "load_ns": 1, "first_ns": 1, "wall_ns": 1, **fields}
    return ProcessRun(samples_ns=(1,) * n, sensed=Sensed(before=before, after=after), inferences_per_sample=2, **known)


def test_a_package_that_draws_15_watts() -> None:
    runs = [package(5_000_000, 15.0), package(MOST - 1_000_000, 15.0)]  # the second counter begins at 0 again
    pause = look(0, package_uj={"package-0": (0, MOST)}), look(2, package_uj={"package-0": (10_000_000, MOST)})
    found = of_runs(runs, None, pause)
    assert found["busy_mw"] == pytest.approx(15_000) and found["idle_mw"] == pytest.approx(5_000)
    assert found["inferences"] == 400 and found["gross_mj"] == pytest.approx(15 * 4 / 400 * 1000)  # 60 J
    assert found["net_mj"] == pytest.approx(10 * 4 / 400 * 1000) and found["rails"] == ["package-0"]
    assert "all that runs on the processor" in found["method"]
    assert of_runs(runs, None)["net_mj"] is None and of_runs(runs, None)["gross_mj"] == found["gross_mj"]


@pytest.mark.parametrize(
    ("runs", "untold", "said"),
    [
        ([taken(look(0), look(2))], "no counter here", "no counter here"),
        ([taken(look(0), look(2))], None, "tells no energy"),
        ([package(0, 15.0), taken(look(0), look(2))], "one is silent", "one is silent"),
        ([package(0, 15.0, seconds=0.3)], None, "too short"),
        ([package(0, 0.0)], None, "stand still"),
        ([package(0, 15.0).model_copy(update={"turns": (1,)})], None, "took turns"),
        (
            [taken(look(0, package_uj={"package-0": (0, 9)}), look(2, package_uj={"package-1": (0, 9)}))],
            None,
            "changed meanwhile",
        ),
        ([], "nothing was run", "nothing was run"),
    ],
)
def test_what_is_not_known_is_null_with_its_reason(runs: list[ProcessRun], untold: str | None, said: str) -> None:
    found = of_runs(runs, untold)
    assert (found["gross_mj"], found["net_mj"]) == (None, None) and said in found["reason"]


def phone(uah: list[int], every_s: float = 30.0, mv: int = 3850, cable: bool = False) -> list[ProcessRun]:
    """Windows of a phone whose counter shows these values, one after each."""
    looks = [
        look(at * every_s, charge_uah=value, battery_mv=mv, on_cable=cable and at == 3) for at, value in enumerate(uah)
    ]
    return [taken(a, b, n=50, began_s=0.0) for a, b in zip(looks, looks[1:], strict=False)]


def test_a_phone_that_draws_4_watts() -> None:
    # 4 W at 3.85 V for 30 s: 8.66 mAh; its gauge moves in steps of 1 mAh
    charges = [3_000_000 - 1000 * round(8.658 * at) for at in range(21)]
    found = of_runs(phone(charges), None)
    assert found["busy_mw"] == pytest.approx(4000, rel=0.01) and found["seconds"] == 600 and found["net_mj"] is None
    assert found["inferences"] == 2000 and found["gross_mj"] == pytest.approx(4 * 600 / 2000 * 1000, rel=0.01)
    assert "all of the phone" in found["method"] and found["net_reason"]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (phone([3_000_000] * 10), "moved by 0 steps in 270 s"),
        (phone([3_000_000 - 1000 * at for at in range(10)]), "moved by 9 steps"),
        (phone([3_000_000 - 8000 * at for at in range(30)], cable=True), "was charging"),
        (phone([3_000_000 + 8000 * at for at in range(30)]), "moved by 0 steps"),
        (phone([3_000 - at for at in range(30)]), "its unit is another one"),  # milliampere-hours
        (phone([3_000_000 - 8000 * at for at in range(30)], mv=0), "no voltage"),
    ],
)
def test_a_gauge_that_does_not_tell(runs: list[ProcessRun], said: str) -> None:
    found = of_runs(runs, None)
    assert found["gross_mj"] is None and said in found["reason"]
