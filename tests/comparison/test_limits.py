"""Limits of a comparison as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.comparison.limits import Limits, limits
from edgekit.errors import UsageError


def test_percent_fractions_and_points() -> None:
    assert limits("5%", "0.5", 0.1, "0%") == Limits(0.05, 0.005, 0.1, 0.0)
    wanted = limits("2.5%", "0.5", None, None)
    assert wanted.told(wanted.asked) == "2.5% slowdown, 0.5 points of top-1"
    assert wanted.told({"accuracy"}) == "0.5 points of top-1"
    assert not limits("5%", None, None, "5%").is_of_files and limits("5%", None, "5%", None).is_of_files


def test_latency_by_default_as_given_or_not_at_all() -> None:
    assert limits(None, None, None, None) == Limits(0.05, is_default=True)
    assert limits("none", 1, None, None).asked == {"accuracy": 0.01}


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"max_slowdown": "1%"}, "--max-slowdown"),
        ({"max_slowdown": "none"}, "--max-slowdown none leaves no limit to hold"),
        ({"max_growth": "10"}, "--max-growth"),
        ({"max_memory_growth": "-1%"}, "--max-memory-growth"),
        ({"max_drop": "5%"}, "--max-drop"),
    ],
)
def test_what_is_no_limit_is_refused(given: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        limits(**{"max_slowdown": "5%", "max_drop": None, "max_growth": None, "max_memory_growth": None, **given})
