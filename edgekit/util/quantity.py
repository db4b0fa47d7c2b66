"""Quantities as a person writes them on a command line."""

from __future__ import annotations

import math

from edgekit.errors import UsageError


def top1_limit(value: str | float | None, option: str) -> float | None:
    """Return a top-1 in percent, 70 or "70%", as a fraction of 1. Raises UsageError, also for a fraction."""
    if value is None:
        return None
    try:
        number = float(str(value).strip().removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise UsageError(f"{option} cannot be '{value}'", f"write percent, 0 to 100, say {option} 70")
    if 0 < number < 1:
        raise UsageError(f"{option} is in percent, and {value} is less than one", f"write {option} {number:.0%}")
    return number / 100


def points(value: str | float | None, option: str) -> float | None:
    """Return points of top-1, 0.5 or "0.5", as a fraction of 1. Raises UsageError."""
    if value is None:
        return None
    try:
        number = float(str(value).strip())
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise UsageError(f"{option} is in points of top-1, 0 to 100, not {value}", f"write, say, {option} 1.0")
    return number / 100
