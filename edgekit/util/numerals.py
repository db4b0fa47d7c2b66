"""Numbers out of texts that other programs wrote.

Such a text can hold anything: a number of thousands of digits, which Python refuses to read, or 1e999, which is none.
What is read here fits into 64 bits, and so do a thousand times it.
"""

from __future__ import annotations

import re

LARGEST_64 = 2**63 - 1  # in 64 bits with a sign
LARGEST = 10**15  # bytes, nanoseconds and hertz of any device are fewer
_WHOLE = re.compile(r"[-+]?[0-9]{1,16}")
_REAL = re.compile(r"[-+]?(?:[0-9]{1,16}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")


def whole(text: str | None) -> int | None:
    """Return the whole number that a text is; None for anything else, and for one that is larger than any is meant."""
    if text is None or not _WHOLE.fullmatch(text):
        return None
    value = int(text)
    return value if abs(value) <= LARGEST else None


def real(text: str | None) -> float | None:
    """The number that a text is, whole or not; None for anything else, and for one that is larger than any is meant."""
    if text is None or not _REAL.fullmatch(text):
        return None
    value = float(text)
    return value if abs(value) <= LARGEST else None


def kibibytes(text: str | None) -> int | None:
    """Bytes, where the text is a number of kB as Linux tells it; None for anything else."""
    value = whole(text)
    return None if value is None else value * 1024
