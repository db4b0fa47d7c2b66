"""The loop that is timed, and its warm-up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekit.bench.ondevice import loop, runner


class Clock:
    """A clock that moves only when a step says so."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        return self.now

    def perf_counter(self) -> float:
        return self.now / 1e9


def test_the_loop_lasts_until_both_time_and_count_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def nap() -> None:
        clock.now += 2_000_000

    monkeypatch.setattr(loop, "time", clock)
    for seconds, runs, most, repeat, count in ((0.0, 5, 10, 1, 5), (0.05, 1, 10, 1, 25), (0.05, 30, 10, 1, 30),
                                               (0.0, 10**6, 0.05, 1, 25), (0.0, 2, 10, 3, 2)):  # fmt: skip
        samples, wall = loop.take(nap, seconds, runs, most, repeat)
        assert samples == [2_000_000] * count and wall == 2_000_000 * count * repeat


def warmed(monkeypatch: pytest.MonkeyPatch, lasts: Callable[[int], int]) -> tuple[list[int], bool]:
    """The warm-up of a step whose n-th call lasts so many milliseconds."""
    clock, calls = Clock(), iter(range(10**6))

    def step() -> None:
        clock.now += lasts(next(calls)) * 1_000_000

    monkeypatch.setattr(loop, "time", clock)
    job = runner.Job("latency", "null", warmup_seconds=0, warmup_runs=20, warmup_max_seconds=5)
    return loop.warm_up(step, job)


def test_warm_up_lasts_until_times_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, is_settled = warmed(monkeypatch, lambda call: 8 if call < 10 else 4 if call < 20 else 2)
    assert is_settled and len(samples) == 40  # the third and the fourth ten are the first that agree
    samples, is_settled = warmed(monkeypatch, lambda call: 100)
    assert is_settled and len(samples) == 20


def test_warm_up_ends_where_times_never_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, is_settled = warmed(monkeypatch, lambda call: 10 + call)
    assert not is_settled and 5_000 <= sum(samples) / 1e6 < 7_000


def test_two_stretches_agree_by_median_and_quartiles() -> None:
    flat = [1000 + 10 * (index % 3) for index in range(50)]
    assert loop.settled(flat, flat[::-1])
    assert not loop.settled(flat, [value + 30 for value in flat])
    assert not loop.settled(flat, [value + 200 * (index % 2) for index, value in enumerate(flat)])


@pytest.mark.parametrize(
    ("took", "seconds", "most", "repeat"),
    [
        (1_000_000, 5.0, None, 1),
        (1_000, 5.0, None, 3),  # a hundred clock readings of 30 ns
        (1_000, 5.0, 1000, 5000),  # a thousand samples of 5 ms
        (20_000_000, 5.0, 1000, 1),
    ],
)
def test_inferences_that_make_one_sample(took: int, seconds: float, most: int | None, repeat: int) -> None:
    assert loop.repeats(30, [took] * 3, seconds, most) == repeat
