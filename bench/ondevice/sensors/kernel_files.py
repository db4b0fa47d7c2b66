"""Small files of /proc and /sys in which the kernel tells one thing each."""

from __future__ import annotations

import re
from pathlib import Path

_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def text(path: Path) -> str | None:
    """Return what a file holds, without the zeros and line ends around it.

    None where it is missing or does not answer.
    """
    try:
        return path.read_text().strip("\0\n ")
    except (OSError, UnicodeDecodeError):  # some answer only while they have power
        return None


def number(path: Path) -> int | None:
    """Return the whole number that a file holds; None where it holds anything else."""
    found = text(path) or ""
    return int(found) if _WHOLE.fullmatch(found) else None
