"""The choice as a pure function over rows: what leads, what is level with it, and what leaves it open."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.choosing.decide import Decision, decide
from edgekit.choosing.limits import Limits
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.reporting.rows import rows
from edgekit.stats.losses import losses
from tests.reporting.conftest import accuracy, manifest, measurement

BUSY: dict[str, Any] = {"verdict": "invalid", "reasons": ("invalid: throttled: 2.4 to 1.2 GHz; cool it",)}


class Shelf:
    """Files with their latency and top-1, one call each."""

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.accuracies: list[Accuracy] = []

    def add(self, name: str, ms: float | None, top1: float | None, hits: str | None = None, **other: Any) -> Shelf:
        known = manifest(name, trained=other.pop("trained", True))
        images = {key: other.pop(key) for key in ("dataset_hash", "dataset", "n") if key in other}
        if ms is not None:
            self.measurements.append(measurement(known, ms, processes=8, **other))
        if top1 is not None:
            found = accuracy(known, top1, **images)
            self.accuracies.append(found.model_copy(update={"hits": hits}) if hits is not None else found)
        return self

    def decide(self, **limits: Any) -> Decision:
        hits = {one.sha256: one.hits for one in self.accuracies}
        return decide(rows(self.measurements, self.accuracies), hits, Limits(**limits), losses(self.accuracies))


def chosen(found: Decision) -> str:
    assert found.chosen is not None, found.reason
    return found.chosen.row.variant


def status(found: Decision) -> dict[str, str]:
    return {one.row.variant: one.status for one in found.others}


def reasons(found: Decision, variant: str) -> str:
    (one,) = (one for one in found.others if one.row.variant == variant)
    return "; ".join(one.reasons)


def test_the_most_accurate_of_those_that_fit() -> None:
    shelf = Shelf().add("big", 20.0, 0.8).add("middle", 5.0, 0.7).add("small", 1.0, 0.5)
    assert chosen(shelf.decide()) == "big"
    found = shelf.decide(max_latency_ms=10)
    assert chosen(found) == "middle" and status(found) == {"small": "fits", "big": "fails"}
    assert "is above 10 ms" in reasons(found, "big") and "less accurate: top-1 -20.00 points" in reasons(found, "small")


def test_of_equally_accurate_files_the_quickest() -> None:
    shelf = Shelf().add("a", 5.0, 0.701).add("b", 2.0, 0.70).add("c", 3.0, 0.70).add("d", 1.0, 0.4)
    found = shelf.decide()
    assert chosen(found) == "b" and "cannot tell apart" in found.reason and "quickest of 3" in found.reason
    assert "slower: 5" in reasons(found, "a") and "overlap" not in reasons(found, "a")
    assert found.chosen and found.chosen.difference == pytest.approx(-0.001, abs=1e-3)
    near = Shelf().add("a", 2.001, 0.7).add("b", 2.0, 0.7).decide()
    assert "the intervals of the latencies overlap" in reasons(near, near.others[0].row.variant)


def test_accuracy_is_compared_image_by_image_rather_than_by_intervals() -> None:
    """30 of 650 images lost and none won is a difference, though the two Wilson intervals overlap."""
    best, worse = "1" * 455 + "-" * 195, "1" * 425 + "-" * 225
    nested = Shelf().add("a", 5.0, 455 / 650, best).add("b", 1.0, 425 / 650, worse).decide()
    assert chosen(nested) == "a" and "95 %" in reasons(nested, "b")
    apart = "-" * 225 + "1" * 425  # as many right, but others: as likely noise
    assert chosen(Shelf().add("a", 5.0, 455 / 650, best).add("b", 1.0, 425 / 650, apart).decide()) == "b"
    assert chosen(Shelf().add("a", 5.0, 455 / 650, best).add("b", 1.0, 425 / 650, "").decide()) == "b"  # intervals


def test_a_limit_inside_an_interval_neither_passes_nor_fails() -> None:
    shelf = Shelf().add("near", 2.0, 0.7).add("safe", 1.0, 0.6)
    found = shelf.decide(min_top1=0.71)
    assert (
        found.chosen is None and found.verdict == "cannot decide" and "1 candidate of 2 cannot be told" in found.reason
    )
    assert status(found) == {"near": "cannot tell", "safe": "fails"}
    found = shelf.decide(min_top1=0.55)
    assert chosen(found) == "near"
    known = rows(shelf.measurements, shelf.accuracies)
    edge = next(row.median_ms for row in known if row.variant == "near")
    found = shelf.decide(max_latency_ms=edge)
    assert chosen(found) == "safe" and status(found) == {"near": "cannot tell"}
    assert "lies inside the interval" in reasons(found, "near")


def test_one_limit_that_fails_outweighs_one_that_is_open() -> None:
    found = Shelf().add("a", 2.0, 0.7).decide(min_top1=0.71, max_latency_ms=1)
    assert found.verdict == "none fits" and status(found) == {"a": "fails"}


def test_invalid_latencies_leave_it_open_with_their_cause() -> None:
    shelf = Shelf().add("a", 2.0, 0.7, **BUSY).add("b", 1.0, 0.7, **BUSY)
    for limits in ({"max_latency_ms": 10}, {}):
        found = shelf.decide(**limits)
        assert found.verdict == "cannot decide" and "invalid: " in found.reason and "throttled" in found.reason
        assert all("is invalid: throttled" in reasons(found, name) for name in "ab" if limits)
        assert all(one.is_invalid and one.status == "cannot tell" for one in found.others)
    assert chosen(shelf.add("c", 9.0, 0.7).decide()) == "c"
    one = Shelf().add("a", 2.0, 0.7, **BUSY).add("b", 1.0, 0.4).decide()
    assert chosen(one) == "a"  # its accuracy alone decides; nothing was asked of latency


def test_nothing_evaluated_says_what_to_do() -> None:
    found = Shelf().add("a", 2.0, None).add("b", 1.0, None).decide(max_latency_ms=10)
    assert found.verdict == "cannot decide" and "edgekit eval" in found.reason
    random = Shelf().add("a", 2.0, 0.001, trained=False).decide()
    assert random.verdict == "cannot decide" and "random weights" in random.reason


def test_what_never_ran_on_the_device_is_not_chosen() -> None:
    found = Shelf().add("a", None, 0.9).add("b", 1.0, 0.5).decide()
    assert chosen(found) == "b" and status(found) == {"a": "cannot tell"} and "edgekit bench" in reasons(found, "a")


def test_accuracies_on_other_images_are_not_ranked() -> None:
    shelf = Shelf().add("a", 2.0, 0.9, dataset="easy", dataset_hash="ef" * 32)
    found = shelf.add("b", 1.0, 0.5).add("c", 1.0, 0.6).decide()
    assert chosen(found) == "c" and "other images" in reasons(found, "a") and "easy" in reasons(found, "a")


def test_the_order_of_the_records_does_not_matter() -> None:
    files = [("a", 5.0, 0.701), ("b", 2.0, 0.70), ("c", 3.0, 0.70), ("d", 1.0, 0.4)]
    forward, back = Shelf(), Shelf()
    for one, two in zip(files, reversed(files), strict=True):
        forward.add(*one)
        back.add(*two)
    assert chosen(forward.decide()) == chosen(back.decide()) == "b"
    assert [one.row.variant for one in forward.decide().others] == [one.row.variant for one in back.decide().others]
