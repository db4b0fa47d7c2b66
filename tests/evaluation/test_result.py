"""What an evaluation gives: the first file is the base, and what failed decides the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, Failure, UsageError
from edgekit.evaluation.result import EvalResult, Evaluated
from edgekit.records.measurement import Accuracy

FAILURE = Failure({"artifact": "x.onnx"}, UsageError("x.onnx is missing", "correct the path"))


def evaluated(hits: str, correct5: int | None = None) -> Evaluated:
    """A file with these hits."""
    known = {"id": "1", "created": "2026", "artifact": "a.onnx", "sha256": "0", "format": "onnx", "manifest": None}
    record = Accuracy(
        **known, device="local", runtime="onnxruntime", dataset="d", dataset_hash="0", n=len(hits), hits=hits,
        correct1=hits.count("1"), correct5=correct5, images_per_second=9.0,
    )  # fmt: skip
    return Evaluated(Path("a.onnx"), record)


def test_each_further_file_is_compared_with_the_first_image_by_image() -> None:
    result = EvalResult((evaluated("11--"), evaluated("1-1-"), evaluated("1111")))
    found = [(one["only_base"], one["only_artifact"], one["top1_difference"]) for one in result.to_json()["paired"]]
    assert found == [(1, 1, 0.0), (0, 2, 0.5)]
    below = repr(result).splitlines()[-2:]
    assert [line.partition(" (")[0] for line in below] == ["a.onnx: +0.0 points", "a.onnx: +50.0 points"]
    assert below[0].endswith(" against a.onnx")
    assert EvalResult(()).paired() == () == EvalResult((evaluated("1"),)).paired()


def test_one_index_has_no_top_five() -> None:
    (one, other) = EvalResult((evaluated("1-5-"), evaluated("1-5-", 2))).to_json()["results"]
    assert (one["top1"], one["top5"], other["top5"]) == (0.25, None, 0.5) and one["foreign"]


@pytest.mark.parametrize(
    ("failed", "unstored", "code"),
    [((), None, 0), ((FAILURE,), None, 2), ((), EnvironmentRefused("full", "free some"), 7)],
)
def test_the_exit_code(failed: tuple[Failure, ...], unstored: EnvironmentRefused | None, code: int) -> None:
    result = EvalResult((evaluated("1"),), failed, unstored=unstored)
    assert result.exit_code == code
    wanted = {"artifact": "x.onnx", "reason": "x.onnx is missing", "remedy": "correct the path"}
    assert result.to_json()["failed"] == [wanted] * len(failed)
