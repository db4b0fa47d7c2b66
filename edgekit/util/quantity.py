"""Quantities as a person writes them on a command line."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from typing import SupportsIndex

from edgekit.errors import UsageError

TIMES_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "": 1.0}
SIZES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
Quantity = str | float | None


def milliseconds(value: Quantity, option: str) -> float | None:
    """Return a time, "10ms", "250us" or a number of milliseconds, in milliseconds. Raises UsageError."""
    return _quantity(value, option, TIMES_MS, "10ms")


def size(value: Quantity, option: str, example: str = "5MB") -> int | None:
    """Return a size, "5MB", "5MiB" or a number of bytes, in bytes: at least 1. Raises UsageError."""
    number = _quantity(value, option, SIZES, example)
    if number is not None and number < 1:
        raise UsageError(f"{option} must be at least 1 byte, not '{value}'", f"write, say, {option} {example}")
    return None if number is None else int(number)


def _quantity(value: Quantity, option: str, units: Mapping[str, float], example: str) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)\s*([a-zµ]*)\s*", str(value).lower())
    factor = units.get(found[2]) if found else None
    number = float(found[1]) * factor if found and factor else math.nan
    if not 0 < number < math.inf:
        known = ", ".join(unit for unit in units if unit)
        raise UsageError(f"{option} cannot be '{value}'", f"write, say, {option} {example}; units are {known}")
    return number


def count(value: SupportsIndex, option: str, without: str) -> int:
    """Return a whole number from 1 on. Raises UsageError; `without` is what leaving the option out gives."""
    remedy = f"leave {option} out for {without}"
    try:
        number = int(operator.index(value))
    except TypeError:
        raise UsageError(f"{option} must be a whole number, not {value!r}", remedy) from None
    if number < 1:
        raise UsageError(f"{option} must be at least 1, not {number}", remedy)
    return number


def top1_limit(value: str | float | None, option: str, between: str = " ") -> float | None:
    """Return a top-1 in percent, 70 or "70%", as a fraction of 1.

    Raises UsageError, also for a fraction; its remedy has an option and a number, with `between` between them.
    """
    if value is None:
        return None
    number = _number(str(value).strip().removesuffix("%"))
    if not 0 <= number <= 100:
        raise UsageError(f"{option} cannot be '{value}'", f"write percent, 0 to 100, say {option}{between}70")
    if 0 < number < 1:
        raise UsageError(
            f"{option} is in percent, and {value} is less than one", f"write {option}{between}{100 * number:.4g}%"
        )
    return number / 100


def points(value: str | float | None, option: str) -> float | None:
    """Return points of top-1, 0.5 or "0.5", as a fraction of 1. Raises UsageError."""
    return None if value is None else number_of_points(value, option) / 100


def number_of_points(value: str | float, option: str) -> float:
    """Return points of top-1, 0.5 or "0.5", as a number. Raises UsageError, whose remedy has the number of "0.5%"."""
    text = str(value).strip()
    number = _number(text)
    if not 0 <= number <= 100:
        meant = _number(text.removesuffix("%"))
        remedy = f"write {option} {meant:g}" if 0 <= meant <= 100 else f"write, say, {option} 1.0"
        raise UsageError(f"{option} is in points of top-1, 0 to 100, not {value}", remedy)
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
