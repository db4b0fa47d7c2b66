"""What is said where no file is known to fit: why, which one is likely, and what would tell."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.choosing.decide import Decision
from edgekit.choosing.limits import Limits
from edgekit.choosing.result import ChooseResult
from tests.choosing.test_decide import BUSY, Shelf

OTHER = {"dataset": "easy", "dataset_hash": "ef" * 32}


def likely(found: Decision) -> str | None:
    assert found.chosen is None
    return found.provisional.row.variant if found.provisional else None


def exit_code(found: Decision) -> int:
    return ChooseResult(
        "local", Limits(), found.verdict, found.reason, None, found.others, provisional=found.provisional
    ).exit_code


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({}, "b"),  # as accurate as `a`, and quicker as far as an invalid latency tells
        ({"max_latency_ms": 10}, "b"),
        ({"max_latency_ms": 1.5}, "d"),  # the others are above the limit as they were measured
        ({"max_latency_ms": 0.001}, "b"),  # all of them are: none is likelier
    ],
)
def test_on_a_busy_machine_the_likely_file_is_named(limits: dict[str, Any], name: str) -> None:
    shelf = Shelf().add("a", 5.0, 0.701, **BUSY).add("b", 2.0, 0.70, **BUSY).add("d", 1.0, 0.4, **BUSY)
    found = shelf.decide(**limits)
    assert likely(found) == name and found.others[0] is found.provisional and exit_code(found) == 6
    assert found.provisional and found.provisional.condition == "its latency holds when it is measured again"
    assert found.remedy and found.remedy.startswith("run `edgekit bench` on these files again")


def test_files_that_the_images_cannot_tell_apart_are_not_called_equal() -> None:
    """44 and 39 of 60 images, of which 15 were right in one of the two alone."""
    best, quick = "1" * 44 + "-" * 16, "-" * 10 + "1" * 39 + "-" * 11
    found = Shelf().add("a", 5.0, 44 / 60, best, n=60, **BUSY).add("b", 2.0, 39 / 60, quick, n=60, **BUSY).decide()
    assert found.reason.startswith("60 images cannot tell 2 candidates apart (a_fp32.onnx, b_fp32.onnx), and none has")
    assert likely(found) == "b", "the quicker one as far as an invalid latency tells"
    said = "its top-1 is 65.0 %, and 73.3 % that of a_fp32.onnx, the most accurate that is open"
    assert found.beside_best == said
    alone = Shelf().add("a", 2.0, 44 / 60, best, n=60, **BUSY).add("b", 5.0, 39 / 60, quick, n=60, **BUSY).decide()
    assert likely(alone) == "a" and alone.beside_best is None


def test_a_stray_evaluation_hides_neither_the_reason_nor_the_likely_file() -> None:
    shelf = Shelf().add("a", 5.0, 0.7, **BUSY).add("b", 2.0, 0.5, **BUSY).add("stray", 1.0, 0.99, **BUSY, **OTHER)
    found = shelf.decide(max_latency_ms=10)
    assert "3 with an invalid latency (throttled: 2.4 to 1.2 GHz; cool it)" in found.reason
    assert "1 with an accuracy on other images than most (stray_fp32.onnx)" in found.reason
    assert likely(found) == "a" and exit_code(found) == 6 and found.remedy and "again" in found.remedy
    elsewhere = Shelf().add("a", 5.0, None).add("b", 2.0, None).add("stray", None, 0.9).decide(max_latency_ms=10)
    assert "2 with no accuracy (a_fp32.onnx, b_fp32.onnx); 1 with no latency (stray_fp32.onnx)" in elsewhere.reason
    assert elsewhere.remedy and "edgekit bench" in elsewhere.remedy and "edgekit eval" in elsewhere.remedy


def test_a_limit_inside_an_interval_says_what_would_narrow_it() -> None:
    found = Shelf().add("near", 2.0, 0.7).decide(min_top1=0.71)
    assert likely(found) == "near" and exit_code(found) == 3 and found.remedy and "on more images" in found.remedy
    both = Shelf().add("near", 2.0, 0.7, **BUSY).decide(min_top1=0.71, max_latency_ms=9)
    assert both.provisional and " on more images and its latency " in (both.provisional.condition or "")
    assert exit_code(both) == 3, "a quiet machine alone would not decide"


@pytest.mark.parametrize(
    ("trained", "top1", "remedy"), [(True, None, "edgekit eval"), (False, 0.001, "export with --weights")]
)
def test_none_is_likely_where_no_accuracy_is_known(trained: bool, top1: float | None, remedy: str) -> None:
    found = Shelf().add("a", 2.0, top1, trained=trained).add("b", 1.0, top1, trained=trained).decide()
    assert likely(found) is None and found.remedy and remedy in found.remedy


def test_where_all_fail_nothing_helps() -> None:
    found = Shelf().add("a", 2.0, 0.7, **BUSY).decide(min_top1=0.9, max_latency_ms=10)
    assert (found.verdict, likely(found), found.remedy, exit_code(found)) == ("none fits", None, None, 3)
