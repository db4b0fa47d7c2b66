"""A layer of a Keras file, as the functions of table.py get it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edgekit.errors import UsageError
from edgekit.importers.held import Held, first, maps, plain, plainly


@dataclass(frozen=True)
class Node:
    """One layer. `config` is what it was made with, `weights` are its arrays by role, as the file has them.

    `old` says that Keras 2 wrote the file, where some activations are others.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    old: bool = False

    def __str__(self) -> str:
        return f"layer {self.name[:80]} ({self.kind[:40]})"

    def refusal(self, why: str, remedy: str = "make the model without it") -> UsageError:
        """The error for a layer that cannot be read."""
        return UsageError(f"{self} {why}", remedy)

    def get(self, key: str, default: Any = None) -> Any:
        """A setting; the default where the file has none."""
        found = self.config.get(key)
        return default if found is None else found

    def number(self, key: str, default: float = 0.0) -> float:
        """A setting that is a number, which Keras writes as an array sometimes."""
        found = self.get(key, default)
        if isinstance(found, Mapping):
            found = found["config"]["value"]
        return float(found)

    def sizes(self, key: str, rank: int, default: Any = 1) -> tuple[int, ...]:
        """A setting that is one whole number for each spatial axis, or one for all."""
        found = self.get(key, default)
        several = [found] * rank if isinstance(found, int) else list(found)
        if len(several) != rank or min(several) < 1:
            raise self.refusal(f"has {key} {found}", "save it with Keras again")
        return tuple(int(one) for one in several)

    @property
    def rank(self) -> int:
        """How many spatial axes the class is for, which its name tells."""
        found = re.search(r"([123])D", self.kind)
        if found is None:
            raise self.refusal("does not tell its axes")
        return int(found[1])

    @property
    def channels_first(self) -> bool:
        """Whether it takes maps with their channels first."""
        return bool(self.get("data_format") == "channels_first")

    def maps(self, x: Held) -> Tensor:
        """A map as torch has it."""
        return plain(x) if self.channels_first else first(x)

    def held(self, tensor: Tensor) -> Held:
        """A map of torch's as the layer gives it."""
        return plainly(tensor) if self.channels_first else maps(tensor)

    def axis(self, x: Held, default: int = -1) -> int:
        """The only axis in `axis`, counted from 0."""
        found = self.get("axis", default)
        several = [found] if isinstance(found, int) else list(found)
        if len(several) != 1 or not -x.rank <= several[0] < x.rank:
            raise self.refusal(f"has axis {found} of {x.rank}")
        return int(several[0]) % x.rank

    def pairs(self, key: str, rank: int) -> tuple[tuple[int, int], ...]:
        """A setting with (before, after) of each spatial axis, in any of the forms that Keras takes."""
        given = self.get(key, 1)
        sides: Sequence[Any] = [given] * rank if isinstance(given, int) else given
        if rank == 1 and len(sides) == 2:
            sides = [sides]
        found = tuple((one, one) if isinstance(one, int) else tuple(map(int, one)) for one in sides)
        if len(found) != rank or any(len(one) != 2 or min(one) < 0 for one in found):
            raise self.refusal(f"has {key} {given}", "save it with Keras again")
        return found  # type: ignore[return-value]
