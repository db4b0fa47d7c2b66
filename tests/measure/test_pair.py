"""Two measurements against each other, without a store."""

from __future__ import annotations

import pytest

from edgekit.measure import pair
from edgekit.records.measurement import Measurement
from edgekit.stats import ratio
from tests.comparison.records import record


def test_measurements_apart_that_differ_less_than_their_processes_cannot_be_told() -> None:
    lucky = [-0.002, 0.0, 0.001, 0.003, 0.002, 0.5]  # one process of six fell into a burst
    base, new = record(spread=tuple(lucky)), record(ms=13, spread=(*lucky[:5], 0.004))
    assert ratio.decide(ratio.unpaired(pair.medians(base), pair.medians(new)), 0.05) != "same"
    found = pair.compared(base, new, 0.05)
    assert found["verdict"] == "cannot tell"
    steady, slow = record(spread=(0.0, 0.12) * 3), record(ms=10.5, spread=(0.1, 0.12) * 3)
    assert ratio.decide(ratio.unpaired(pair.medians(steady), pair.medians(slow)), 0.02) == "slower"
    found = pair.compared(steady, slow, 0.02)
    assert (found["verdict"], found["status"]) == ("cannot tell", "measured")
    assert "differ by 12%" in found["reason"] and "--versus" in found["reason"]
    assert pair.compared(record(), record(ms=11), 0.05)["verdict"] == "slower"


def test_turns_of_one_round_are_compared_with_each_other() -> None:
    """What slows the machine for half of a process moves its median, and not the ratio of two turns."""
    weather = [1.0] * 5 + [1.5] * 5
    one, two = record(blocks=True), record("b.onnx", blocks=True)

    def in_turns(found: Measurement, factor: float, seen: list[float]) -> Measurement:
        samples = tuple(int(1e6 * factor * slow) for slow in seen for _ in range(3))
        run = found.runs[0].model_copy(update={"samples_ns": samples, "turns": (3,) * 10})
        runs = tuple(run.model_copy(update={"block": block}) for block in range(6))
        return found.model_copy(update={"runs": runs})

    one, two = in_turns(one, 1.0, weather), in_turns(two, 1.1, [1.0, *weather[:-1]])
    assert pair.ratios_by_block(one, two) == pytest.approx([1.1] * 6)
    assert pair.medians_by_turn(one.runs[0]) == pytest.approx([1e6 * slow for slow in weather])
    assert pair.compared(one, two, 0.02)["verdict"] == "slower"
    apart = two.model_copy(update={"session": "another"})
    assert pair.ratios_by_block(one, apart) == []
