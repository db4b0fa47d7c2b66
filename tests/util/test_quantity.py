"""Quantities as they are written: percent and points become fractions, and what is neither is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.util.quantity import count, points, top1_limit


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        *((top1_limit, value, wanted) for value, wanted in ((None, None), (70, 0.7), ("70.5%", 0.705), (" 0 ", 0.0))),
        *((points, value, wanted) for value, wanted in ((None, None), ("0.5", 0.005), (1, 0.01), (0.0, 0.0))),
    ],
)
def test_what_is_written_is_read(read: Callable[..., float | None], value: object, wanted: float | None) -> None:
    assert read(value, "--x") == (None if wanted is None else pytest.approx(wanted))


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((top1_limit, value) for value in ("0.7", "101", "nan", "")),
        *((points, value) for value in ("-1", "5%", "nan")),
    ],
)
def test_what_is_none_is_refused(read: Callable[..., float | None], value: str) -> None:
    with pytest.raises(UsageError, match=r"--x ") as caught:
        read(value, "--x")
    assert "--x" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "remedy"), [("0.5%", "write --max-drop 0.5"), ("x", "write, say, --max-drop 1.0"), (-1, "write, say")]
)
def test_the_remedy_for_points_has_the_number_that_was_written(given: Any, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        points(given, "--max-drop")
    assert refused.value.remedy.startswith(remedy)


@pytest.mark.parametrize(("given", "meant"), [("0.7", "70%"), (0.615, "61.5%"), ("0.00123", "0.123%")])
def test_the_remedy_for_a_fraction_is_the_same_number_in_percent(given: Any, meant: str) -> None:
    with pytest.raises(UsageError) as refused:
        top1_limit(given, "--min-top1")
    assert refused.value.remedy == f"write --min-top1 {meant}"


@pytest.mark.parametrize(("value", "said"), [(0, "at least 1, not 0"), (-3, "at least 1"), (1.0, "a whole number")])
def test_a_count_is_a_whole_number_from_one_on(value: Any, said: str) -> None:
    assert (count(7, "--jobs", "1"), count(True, "--jobs", "1")) == (7, 1)
    with pytest.raises(UsageError, match=f"--jobs must be {said}") as caught:
        count(value, "--jobs", "one for each processor")
    assert caught.value.remedy == "leave --jobs out for one for each processor"
