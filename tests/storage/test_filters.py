"""Filters of a store as a user writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from edgekit.errors import UsageError
from edgekit.storage.filters import filters


def test_times_back_from_now() -> None:
    for text, back in (("7d", timedelta(days=7)), ("24h", timedelta(hours=24))):
        since = filters(None, None, text, None).since
        assert since is not None
        assert abs(datetime.now(timezone.utc) - back - datetime.fromisoformat(since)) < timedelta(minutes=5)


@pytest.mark.parametrize("text", ["", "yesterday", "7w", "99999999d", "2026-13-01", "0001-01-01T00:00+14:00", "-7d"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--since cannot be"):
        filters(None, None, text, None)


@pytest.mark.parametrize("count", [0, -1])
def test_numbers_that_are_none(count: int) -> None:
    with pytest.raises(UsageError, match="--latest cannot be"):
        filters(None, None, None, count)


def test_names_are_canonical_and_each_once() -> None:
    found = filters(None, None, None, None, "tflite, onnx,tflite", ["int8", "half"], "ort")
    assert (found.format, found.precision) == (("tflite", "onnx"), ("int8", "fp16")), "as `export` takes them"
    assert found.runtime == ("onnxruntime",) and found
    assert not filters(None, None, None, None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"format": "tflight"}, "unknown format 'tflight'; did you mean 'tflite'"),
        ({"precision": "int9"}, "unknown precision 'int9'; did you mean 'int8'"),
        ({"runtime": "none"}, "unknown runtime 'none'"),
        ({"format": " , "}, "names nothing"),
        ({"precision": ()}, "names nothing"),
    ],
)
def test_names_that_are_none(asked: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        filters(None, None, None, None, **asked)
