"""Waits for pipes without an end, for tests of what may take its time."""

from __future__ import annotations

import select
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.bench.links import silence


def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no silence be too long; return the list of how long each wait was allowed to be, in seconds."""
    waits: list[float] = []

    def wait(reading: Any, writing: Any, failing: Any, seconds: float) -> Any:
        waits.append(seconds)
        return select.select(reading, writing, failing)

    monkeypatch.setattr(silence, "select", SimpleNamespace(select=wait))
    return waits
