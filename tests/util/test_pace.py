"""How long what is counted will still take."""

from __future__ import annotations

from edgekit.util.pace import Pace, counting


def test_the_time_left_follows_the_pace_and_a_new_count_begins_anew() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.left(0, 100) == ""
    now = 1.0
    assert pace.left(10, 100) == "", "too early to tell"
    now = 10.0
    assert pace.left(25, 100) == "about 30 s left" and pace.left(100, 100) == ""
    assert pace.left(3, 100) == "", "a smaller count is another one"
    now = 130.0
    assert pace.left(4, 100) == "about 190 min left"


def test_counts_become_sentences() -> None:
    said: list[str] = []
    tell = counting(said.append, "calibrate", "images")
    assert tell is not None
    tell(16, 100)
    assert said == ["calibrate: 16 of 100 images"] and counting(None, "calibrate", "images") is None
