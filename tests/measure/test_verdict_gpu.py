"""What a GPU and a board say of a measurement, on hand-made records."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.measure.verdict import Verdict, assess
from edgekit.records.measurement import Sensed
from tests.measure.test_verdict import run, sensed


def card(held: list[str] | None = None, busy: int | None = 0) -> list[dict[str, Any]]:
    return [{"name": "T4", "held_down_by": held, "utilization.gpu": busy}]


def judged(before: Any = (), after: Any = (), **fields: Any) -> Verdict:
    facts = sensed(before=dict(before), **dict(after))
    return assess([run(Sensed(**{**facts.model_dump(), **fields}))])


def test_a_gpu_that_is_ours_alone_is_valid() -> None:
    assert judged(gpus=(card(), card([])), gpu_others=0).word == "valid"
    assert judged(gpus=(card(None, None), card())).word == "valid"
    assert judged(gpus=([], []), gpu_others=None).word == "valid"


def test_of_several_gpus_the_one_that_was_used_counts() -> None:
    (slow,), (fast,) = card(["software power cap"], busy=90), card([], busy=0)
    quiet = [{**slow, "used": False}, {**fast, "used": True}]
    assert judged(gpus=(quiet, quiet), gpu_others=0).word == "valid"
    disturbed = [{**fast, "used": False}, {**slow, "used": True}]
    assert judged(gpus=(disturbed, disturbed), gpu_others=0).word == "suspect"
    nobody = [{**slow, "used": None}, {**fast, "used": None}]
    found = judged(gpus=(nobody, nobody))
    assert found.word == "valid" and "which GPU was used" in found.unknown


@pytest.mark.parametrize(
    ("fields", "word", "said"),
    [
        ({"gpu_others": 2}, "suspect", "other processes computed on the GPU (2)"),
        ({"gpus": (card(busy=37), card([]))}, "suspect", "the GPU was 37% busy"),
        ({"gpus": (card(), card(["software power cap"]))}, "suspect", "held the GPU's clock down"),
        ({"before": {"gpu_mhz": 1300.0}, "after": {"gpu_mhz": 1170.0}}, "suspect", "GPU's clock fell by 10%"),
        ({"before": {"gpu_mhz": 1300.0}, "after": {"gpu_mhz": 650.0}}, "invalid", "GPU's clock fell by 50%"),
        ({"before": {"power_events": 3}, "after": {"power_events": 4}}, "suspect", "the chip drew too much"),
        ({"after": {"celsius": {"7 tj-thermal": 96.0}}}, "suspect", "the chip was at 96 degrees"),
    ],
)
def test_what_speaks_against_a_measurement(fields: dict[str, Any], word: str, said: str) -> None:
    found = judged(**fields)
    assert found.word == word and any(said in reason for reason in found.reasons)
