"""Turns, pauses and paces: the small parts that the scheduler decides with."""

from __future__ import annotations

import pytest

from edgekit.sweeps.queues import Pace, Patience, Turns


def test_networks_take_turns_and_what_comes_back_is_first() -> None:
    turns = Turns()
    for key in ("a1", "a2", "b1", "a3"):
        turns.add(key[0], key)
    assert turns.peek() == "a1" and len(turns) == 4
    assert [turns.take(), turns.take()] == ["a1", "b1"]
    turns.add("b", "b1", first=True)
    assert [turns.take() for _ in range(len(turns))] == ["b1", "a2", "a3"] and not turns


@pytest.mark.parametrize(("silent", "seconds"), [(1, 2.0), (2, 4.0), (5, 32.0), (9, 300.0), (2000, 300.0)])
def test_pauses_double_up_to_a_limit(silent: int, seconds: float) -> None:
    assert Patience().pause(silent) == seconds


def test_a_device_that_never_answered_is_waited_for_a_minute_and_another_for_a_quarter_of_an_hour() -> None:
    waited = Patience()
    assert sum(map(waited.pause, range(1, waited.never_seen + 1))) == 62
    assert 800 < sum(map(waited.pause, range(1, waited.seen + 1))) < 1200


def test_a_pace_is_that_of_what_was_seen_and_of_the_guess_while_little_was() -> None:
    pace = Pace()
    assert pace.of(10) == 10
    pace.seen(10, 30)
    assert pace.of(10) == pytest.approx(26)
    for _ in range(99):
        pace.seen(10, 30)
    assert pace.of(10) == pytest.approx(30, rel=0.02)


def test_a_job_that_is_not_over_takes_as_long_as_it_has_run_already() -> None:
    pace = Pace()
    pace.at_least(10, 5)
    assert pace.of(10) == 10, "less than guessed tells nothing"
    pace.at_least(10, 50)
    assert pace.of(4) == 20
    pace.seen(10, 10)
    assert pace.of(10) == 10
