"""How much worse a new file may be, as it is written on the command line."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.stats.ratio import NOISE
from edgekit.util.quantity import points

Share = str | float
LATENCY, ACCURACY, SIZE, MEMORY = "latency", "accuracy", "size", "memory"
DEFAULT, NOT_HELD = "5%", "none"  # of --max-slowdown
WORDS = {LATENCY: "% slowdown", ACCURACY: " points of top-1", SIZE: "% growth", MEMORY: "% growth in memory"}


@dataclass(frozen=True)
class Limits:
    """Fractions of 1; a drop is of top-1. None: not held against a limit.

    `is_default`: nobody gave the slowdown, so that two sides without a latency may do without it.
    """

    slowdown: float | None
    drop: float | None = None
    growth: float | None = None  # of the file
    memory_growth: float | None = None
    is_default: bool = False

    @property
    def is_of_files(self) -> bool:
        """Whether a file counts that was evaluated and never measured."""
        return self.drop is not None or self.growth is not None

    @property
    def asked(self) -> dict[str, float]:
        """Each limit that is held, by its gate."""
        every = {LATENCY: self.slowdown, ACCURACY: self.drop, SIZE: self.growth, MEMORY: self.memory_growth}
        return {gate: limit for gate, limit in every.items() if limit is not None}

    def told(self, gates: Collection[str]) -> str:
        """These of the limits in words, for the last line of a comparison."""
        return ", ".join(f"{100 * limit:g}{WORDS[gate]}" for gate, limit in self.asked.items() if gate in gates)


def limits(
    max_slowdown: Share | None, max_drop: Share | None, max_growth: Share | None, max_memory_growth: Share | None
) -> Limits:
    """Return the limits: a fraction or "5%", and a drop in points. Raises UsageError for what is no limit.

    The slowdown is 5 % where none is given; "none" leaves latency out, and then another limit must be given.
    """
    slowdown = _slowdown(DEFAULT if max_slowdown is None else max_slowdown)
    if slowdown is None and max_drop is None and max_growth is None and max_memory_growth is None:
        raise UsageError(
            "--max-slowdown none leaves no limit to hold", "give --max-drop, --max-growth or --max-memory-growth too"
        )
    growth = None if max_growth is None else _share(max_growth, "--max-growth", "10%")
    memory = None if max_memory_growth is None else _share(max_memory_growth, "--max-memory-growth", "10%")
    return Limits(slowdown, points(max_drop, "--max-drop"), growth, memory, max_slowdown is None)


def _slowdown(given: Share) -> float | None:
    if str(given).strip().lower() == NOT_HELD:
        return None
    slowdown = _share(given, "--max-slowdown", "5%, or none")
    if slowdown < NOISE:
        raise UsageError(
            f"--max-slowdown {given} is below the noise of {NOISE:.0%} that the same file shows",
            f"give {NOISE:.0%} or more, or none to leave latency out",
        )
    return slowdown


def _share(value: Share, option: str, example: str) -> float:
    text = str(value).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"{option} cannot be '{value}'", f"write a percentage, say {option} {example}")
    return share
