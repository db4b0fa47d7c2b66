"""Waits for pipes without an end, for tests of what may take its time."""

from __future__ import annotations

from typing import IO

import pytest

from edgekit.bench.links import silence


def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no silence be too long; return the list of how long each wait was allowed to be, in seconds."""
    waits, ready = list[float](), silence.ready

    def wait(stream: IO[bytes], event: int, seconds: float) -> bool:
        waits.append(seconds)
        return ready(stream, event, None)

    monkeypatch.setattr(silence, "ready", wait)
    return waits
