"""Limits on accuracy: how they are written, which files they hold, and what is said where the images are too few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.evaluation.gates import Limits, held, limits
from edgekit.evaluation.result import EvalResult
from tests.reporting.conftest import accuracy, manifest

BASE, NEW = Path("base.onnx"), Path("new.onnx")
DONE = [(BASE, accuracy(manifest(), 0.7, n=100)), (NEW, accuracy(manifest(), 0.6, n=100))]


def test_the_base_is_held_against_nothing() -> None:
    found = list(held(DONE, 0, Limits(top1=0.5, drop=0.2, against=BASE)))
    assert [(one.kind, one.artifact, one.base) for one in found] == [("min-top1", NEW, None), ("max-drop", NEW, BASE)]
    assert len(list(held(DONE, None, Limits(top1=0.5)))) == 2
    assert not list(held(DONE[1:], None, Limits(drop=0.2, against=BASE)))  # what failed is told as that


@pytest.mark.parametrize(
    ("wanted", "passed", "verdict", "reason"),
    [
        (Limits(top1=0.5), True, "passed", "top-1 of 60.0 % (95 % 50.2 .. 69.1) holds --min-top1 50"),
        (Limits(top1=0.7), False, "failed", "top-1 of 60.0 % (95 % 50.2 .. 69.1) fails --min-top1 70"),
        (
            Limits(top1=0.55),
            True,
            "cannot tell",
            "holds --min-top1 55, but 100 images cannot tell it from the limit; about 390 images would",
        ),
        (Limits(top1=0.6), True, "cannot tell", "cannot tell it from the limit; no number of images would"),
        (Limits(drop=0.2), True, "passed", "a loss of 10.00 points against base.onnx (95 % paired -"),
        (Limits(drop=0.01), False, "failed", "fails --max-drop 1"),
        (Limits(drop=0.09), False, "cannot tell", "fails --max-drop 9, but 100 images cannot tell"),
    ],
)
def test_the_exit_code_goes_by_what_was_measured(wanted: Limits, passed: bool, verdict: str, reason: str) -> None:
    gate = next(one for one in held(DONE, 0, wanted) if one.artifact == NEW)
    told = gate.to_json()
    assert (told["passed"], told["verdict"], told["enough"] is None) == (
        passed,
        verdict,
        verdict != "cannot tell" or "no number" in reason,
    )
    assert reason in told["reason"]
    assert EvalResult((), gates=(gate,)).exit_code == (0 if passed else 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_drop": 1}, "--max-drop was not told from which file"),
        ({"against": "./new.onnx"}, "--against ./new.onnx is the only file"),
        ({"min_top1": 0.7}, "--min-top1 is in percent"),
        ({"max_drop": "some", "against": "b.onnx"}, "--max-drop is in points"),
    ],
)
def test_what_is_no_limit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        limits([NEW], **{"min_top1": None, "max_drop": None, "against": None, **given})


def test_the_other_file_is_known_by_another_path() -> None:
    found = limits([NEW, BASE], 70, "0.5", BASE.resolve())
    assert found == Limits(0.7, 0.005, BASE)
