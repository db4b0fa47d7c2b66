"""A limit is held by what was measured, and told apart from it by as many observations as are said."""

from __future__ import annotations

import pytest

from edgekit.stats.accuracy import drop
from edgekit.stats.limit import Held
from edgekit.stats.proportions import wilson


@pytest.mark.parametrize(
    ("correct", "limit", "is_held", "verdict"),
    [
        (700, 0.65, True, "passed"),
        (700, 0.69, True, "cannot tell"),
        (700, 0.71, False, "cannot tell"),
        (700, 0.75, False, "failed"),
        (700, 0.70, True, "cannot tell"),
    ],
)
def test_a_share_against_the_least(correct: int, limit: float, is_held: bool, verdict: str) -> None:
    held = Held(correct / 1000, wilson(correct, 1000), 1000, limit, at_least=True)
    assert (held.is_held, held.verdict) == (is_held, verdict)
    if verdict == "cannot tell" and held.enough is not None:
        n = held.enough + held.enough // 50  # it is said to two digits, and the interval is not quite symmetric
        again = Held(correct / 1000, wilson(correct * n // 1000, n), n, limit, at_least=True)
        assert held.enough > 1000 and again.verdict == ("passed" if is_held else "failed")
        assert held.doubt() == f"about {held.enough:,} images would"
    elif verdict == "cannot tell":
        assert held.doubt() == "no number of images would"
    else:
        assert held.doubt() == ""
    told = held.outcome("--min-top1")
    assert told.startswith(f"{'holds' if is_held else 'fails'} --min-top1 {100 * limit:g}")
    assert ("1,000 images cannot tell it from the limit" in told) is (verdict == "cannot tell")


def test_a_count_that_is_the_limit_holds_it() -> None:
    base, new = "1" * 1000, "-" * 7 + "1" * 993
    assert drop(base, new, 0.7 / 100).is_held and not drop(base, "-" + new[:-1], 0.7 / 100).is_held  # 7 / 1000 > 0.007


def test_a_gain_is_a_drop_below_nothing() -> None:
    held = drop("1" * 500 + "-" * 500, "1" * 600 + "-" * 400, 0.0)
    assert held.value == pytest.approx(-0.1) and held.verdict == "passed"
