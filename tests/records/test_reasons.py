"""The reasons of verdicts in short: each once, without the verdict's word, with the range of its numbers."""

from __future__ import annotations

import pytest

from edgekit.records.reasons import causes, each_once, pooled

QUIET = "stop what else runs there"


def busy(level: str, number: str, share: str = "3 of 3") -> str:
    return f"{level}: other processes kept {number} processors busy in {share} processes; {QUIET}"


def test_causes_that_differ_in_numbers_are_one_with_their_range() -> None:
    many = [
        [busy("invalid", "0.42")],
        [busy("invalid", "1.9", "2 of 3")],
        ["invalid: too hot"],
        [busy("invalid", "0.5")],
    ]
    first, second = pooled("invalid", many)
    assert str(first) == f"other processes kept 0.42 to 1.9 processors busy in 2 to 3 of 3 processes; {QUIET}"
    assert (first.places, second.places, str(second)) == ((0, 1, 3), (2,), "too hot")


@pytest.mark.parametrize(
    ("verdict", "reasons", "told"),
    [
        ("invalid", ["invalid: a; b", "suspect: c; d", "unknown on this device: speed"], "a; b"),
        ("suspect", ["suspect: a 1,200.5 x; b", "suspect: c; b"], "a 1,200.5 x, c; b"),  # an advice is said once
        ("invalid", ["throttled"], "throttled"),
        ("invalid", [], "no reason was recorded"),
        ("invalid", ["invalid: int8 of 1.2.3"], "int8 of 1.2.3"),
    ],
)
def test_the_causes_of_one_measurement(verdict: str, reasons: list[str], told: str) -> None:
    assert causes(verdict, reasons) == told


def test_signs_and_names_are_kept_in_a_range() -> None:
    (one,) = pooled("suspect", [["suspect: int8 changed by -4.2%"], ["suspect: int8 changed by +31.0%"]])
    assert one.cause == "int8 changed by -4.2 to +31.0%"


def test_what_is_said_of_many_measurements() -> None:
    unknown = "unknown on this device: speed"
    measured = [("valid", [unknown]), ("suspect", ["suspect: warm", unknown]), ("invalid", ["invalid: hot"])]
    assert list(each_once(measured)) == [("invalid: hot", (2,)), ("suspect: warm", (1,)), (unknown, (0, 1))]
