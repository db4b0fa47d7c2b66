"""How long a sweep will take, as far as that can be said."""

from __future__ import annotations

import pytest

from edgekit.records.measurement import PRESETS
from edgekit.sweeps.estimate import accuracy_seconds, export_seconds, latency_seconds, makespan, told
from edgekit.sweeps.jobs import EXPORT, LATENCY, Needs, Task
from tests.short import QUICK


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59.4, "59 s"), (90, "2 min"), (5400, "1.5 h"), (200_000, "2 days"), (2e7, "231 days")],
)
def test_no_more_digits_than_are_known(seconds: float, said: str) -> None:
    assert told(seconds) == said


def test_more_work_takes_longer() -> None:
    bare, fast, usual = (export_seconds(2, *asked, 1.0) for asked in ((0, "default"), (1, "fast"), (1, "default")))
    assert bare < fast < usual < export_seconds(2, 1, "default", 5.0)
    assert accuracy_seconds(100, 2, 1.0) > accuracy_seconds(100, 1, 1.0) > accuracy_seconds(10, 1, 1.0)
    quick, usual, rigorous = map(latency_seconds, (QUICK, PRESETS["default"], PRESETS["rigorous"]))
    assert quick < usual < rigorous


def test_devices_work_at_once_and_this_machine_measures_after_its_exports() -> None:
    export = [Task(f"e{n}", EXPORT, "", Needs(processors=1), seconds=10.0) for n in range(4)]
    here = [Task("h", LATENCY, "", Needs(devices=("local",)), ("e0",), seconds=5.0)]
    far = [Task(f"f{n}", LATENCY, "", Needs(devices=("x", "y")), ("e0",), seconds=20.0) for n in range(4)]
    addresses = {"local": "local", "x": "ssh x", "y": "ssh y"}
    assert makespan(export, addresses, 2, 10**9) == 20.0
    assert makespan([*export, *here], addresses, 2, 10**9) == 25.0
    assert makespan([*export, *here, *far], addresses, 2, 10**9) == 50.0
    assert makespan([], addresses, 2, 10**9) == 0.0
