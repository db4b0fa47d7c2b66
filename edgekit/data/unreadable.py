"""Images of a set that cannot be read: they are left out, counted and said, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.util.formatting import some


class Unreadable(UsageError):
    """One file of a set cannot be read, whatever the set is used for."""


@dataclass
class LeftOut:
    """What could not be read, by its name in the set, in the order in which it was met."""

    found: list[tuple[str, Unreadable]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.found)

    def add(self, name: str, error: Unreadable) -> None:
        """Leave one out."""
        self.found.append((name, error))

    def check(self, folder: Path, read: int) -> None:
        """Raise UsageError where more is left out than was read: that is not the set that was meant."""
        if len(self) > read:
            first = self.found[0][1]
            raise UsageError(
                f"{len(self):,} of {len(self) + read:,} images in {folder} cannot be read; the first: {first.message}",
                "fetch or write the images again; fewer than half of a set may be left out",
            )

    def notes(self, read: int) -> tuple[str, ...]:
        """Return how many were left out, and which; nothing where all were read."""
        if not self.found:
            return ()
        verb = "is" if len(self) == 1 else "are"
        how_many = f"{len(self):,} of {len(self) + read:,} images {verb} left out, unreadable"
        return (f"{how_many}: {some([name for name, _ in self.found])} ({self.found[0][1].message})",)
