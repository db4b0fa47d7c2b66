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
