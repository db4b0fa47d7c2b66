"""How much worse a new file may be, as it is written on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.stats.ratio import NOISE
from edgekit.util.quantity import points

Share = str | float


@dataclass(frozen=True)
class Limits:
    """Fractions of 1; a drop is of top-1. None: not held against a limit, while latency always is."""

    slowdown: float
    drop: float | None = None
    growth: float | None = None  # of the file
    memory_growth: float | None = None

    @property
    def is_of_files(self) -> bool:
        """Whether a file counts that was evaluated and never measured."""
        return self.drop is not None or self.growth is not None

    def __str__(self) -> str:
        """In words, for the last line of a comparison."""
        said = [f"{100 * self.slowdown:g}% slowdown"]
        said += [f"{100 * self.drop:g} points of top-1"] if self.drop is not None else []
        said += [f"{100 * self.growth:g}% growth"] if self.growth is not None else []
        said += [f"{100 * self.memory_growth:g}% growth in memory"] if self.memory_growth is not None else []
        return ", ".join(said)


def limits(
    max_slowdown: Share, max_drop: Share | None, max_growth: Share | None, max_memory_growth: Share | None
) -> Limits:
    """Return the limits: a fraction or "5%", and a drop in points. Raises UsageError for what is none."""
    slowdown = _share(max_slowdown, "--max-slowdown", "5%")
    if slowdown < NOISE:
        raise UsageError(
            f"--max-slowdown {max_slowdown} is below the noise of {NOISE:.0%} that the same file shows",
            f"give {NOISE:.0%} or more",
        )
    growth = None if max_growth is None else _share(max_growth, "--max-growth", "10%")
    memory = None if max_memory_growth is None else _share(max_memory_growth, "--max-memory-growth", "10%")
    return Limits(slowdown, points(max_drop, "--max-drop"), growth, memory)


def _share(value: Share, option: str, example: str) -> float:
    text = str(value).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"{option} cannot be '{value}'", f"write a percentage, say {option} {example}")
    return share
