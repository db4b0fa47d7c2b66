"""What an evaluation gives: the first file is the base, and what failed decides the exit code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgekit.cli.views import accuracy
from edgekit.errors import EnvironmentRefused, Failure, UsageError
from edgekit.evaluation.answers import Answers
from edgekit.evaluation.result import EvalResult, Evaluated
from edgekit.records.measurement import Accuracy

FAILURE = Failure({"artifact": "x.onnx"}, UsageError("x.onnx is missing", "correct the path"))


def evaluated(hits: str, correct5: int | None = None, classes: int = 0) -> Evaluated:
    """A file with these hits, which knows so many classes."""
    known = {"id": "1", "created": "2026", "artifact": "a.onnx", "sha256": "0", "format": "onnx", "manifest": None}
    record = Accuracy(
        **known, device="local", runtime="onnxruntime", dataset="d", dataset_hash="0", n=len(hits), hits=hits,
        correct1=hits.count("1"), correct5=correct5, images_per_second=9.0,
    )  # fmt: skip
    return Evaluated(Path("a.onnx"), record, Answers(None, None, classes=classes) if classes else None)


def test_each_further_file_is_compared_with_the_first_image_by_image() -> None:
    result = EvalResult((evaluated("11--"), evaluated("1-1-"), evaluated("1111")))
    found = [(one["only_base"], one["only_artifact"], one["top1_difference"]) for one in result.to_json()["paired"]]
    assert found == [(1, 1, 0.0), (0, 2, 0.5)]
    below = repr(result).splitlines()[-2:]
    assert [line.partition(" (")[0] for line in below] == ["a.onnx: +0.00 points", "a.onnx: +50.00 points"]
    assert below[0].endswith(" against a.onnx")
    assert EvalResult(()).paired() == () == EvalResult((evaluated("1"),)).paired()


def test_one_index_has_no_top_five() -> None:
    (one, other) = EvalResult((evaluated("1-5-"), evaluated("1-5-", 2))).to_json()["results"]
    assert (one["top1"], one["top5"], other["top5"]) == (0.25, None, 0.5) and one["foreign"]


@pytest.mark.parametrize(("classes", "is_shown"), [(3, False), (5, False), (6, True), (0, True)])
def test_among_few_classes_a_top_five_is_not_shown(classes: int, is_shown: bool) -> None:
    result = EvalResult((evaluated("1-5-", 2, classes),))
    (row,) = result.to_json()["results"]
    assert (row["classes"], row["top5"]) == (classes or None, 0.5)
    console = Console(file=(stream := io.StringIO()), width=120, markup=False)
    for part in accuracy.eval(result.to_json(), 120):
        console.print(part)
    assert ("top-5" in stream.getvalue()) is is_shown is ("top5" in repr(result))


@pytest.mark.parametrize(
    ("failed", "unstored", "code"),
    [((), None, 0), ((FAILURE,), None, 2), ((), EnvironmentRefused("full", "free some"), 7)],
)
def test_the_exit_code(failed: tuple[Failure, ...], unstored: EnvironmentRefused | None, code: int) -> None:
    result = EvalResult((evaluated("1"),), failed, unstored=unstored)
    assert result.exit_code == code
    wanted = {"artifact": "x.onnx", "reason": "x.onnx is missing", "remedy": "correct the path"}
    assert result.to_json()["failed"] == [wanted] * len(failed)
