"""The runtime `benchmark_model`: a program on a phone, driven by edgekit.device.android. No Python can open it."""

from __future__ import annotations

from typing import Any


def open_session(path: str, options: dict[str, Any]) -> Any:
    """Raise ImportError: it runs on devices whose link is adb, as a process of its own."""
    raise ImportError("benchmark_model is a program on a phone")
