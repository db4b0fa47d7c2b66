"""How long a sweep will take, as far as that can be said."""

from __future__ import annotations

import time

import pytest

from edgekit.records.measurement import PRESETS
from edgekit.sweeps.estimate import TimeLeft, accuracy_seconds, export_seconds, latency_seconds, told
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


def test_what_is_left_goes_by_what_the_finished_part_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    left = TimeLeft(100.0)
    assert left.seconds == 100.0
    left.finish(50.0)
    clock[0] = 100.0  # it took twice as long as was guessed
    assert left.seconds == pytest.approx(100.0) and str(left) == "2 min"
    left.finish(60.0)
    assert left.seconds == 0.0
    assert TimeLeft(0.0).seconds == 0.0
