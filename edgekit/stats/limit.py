"""Whether a measured fraction holds a limit, and how many observations would tell where its interval holds the limit.

Pure functions and values. A gate ends by what was measured: `is_held`. Whether so few observations can tell is the
`verdict`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgekit.stats.medians import Interval

PASSED, FAILED, CANNOT_TELL = "passed", "failed", "cannot tell"
TINY = 1e-9  # below every difference that a count of observations can make: 7 / 1000 holds a limit of 0.7 %


@dataclass(frozen=True)
class Held:
    """A value of `n` observations with its 95 % interval, against the most that it may be, or the least: `at_least`."""

    value: float
    ci95: Interval
    n: int
    limit: float
    at_least: bool = False

    @property
    def is_held(self) -> bool:
        """Whether the value as measured holds the limit."""
        return self._holds(self.value)

    @property
    def verdict(self) -> str:
        """passed, failed, or cannot tell: where the limit lies within the interval, the observations are too few."""
        held = {self._holds(bound) for bound in self.ci95}
        return CANNOT_TELL if len(held) > 1 else PASSED if True in held else FAILED

    @property
    def enough(self) -> int | None:
        """About how many observations would tell, were the value what was measured; None where it is the limit."""
        margin = abs(self.limit - self.value)
        if margin < TINY:
            return None
        low, high = self.ci95
        reach = high - self.value if self.limit > self.value else self.value - low
        wanted = self.n * (reach / margin) ** 2
        digits = int(10 ** max(len(str(int(wanted))) - 2, 0))
        return math.ceil(wanted / digits) * digits

    def doubt(self, what: str = "images") -> str:
        """Return how many observations would tell, in words; nothing where these do."""
        if self.verdict != CANNOT_TELL:
            return ""
        more = f"no number of {what}" if self.enough is None else f"about {self.enough:,} {what}"
        return f"{more} would"

    def outcome(self, option: str) -> str:
        """Return what came of a limit in percent, in words: "holds --max-drop 2", and whether so few images tell it."""
        doubt = self.doubt()
        few = f", but {self.n:,} images cannot tell it from the limit; {doubt}" if doubt else ""
        return f"{'holds' if self.is_held else 'fails'} {option} {100 * self.limit:g}{few}"

    def _holds(self, value: float) -> bool:
        return value >= self.limit - TINY if self.at_least else value <= self.limit + TINY
