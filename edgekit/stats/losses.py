"""How far the top-1 of each file is under that of the float file it comes from, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgekit.records.measurement import Accuracy
from edgekit.records.own_float import own_float
from edgekit.stats.accuracy import drop, gained
from edgekit.stats.limit import Held
from edgekit.util.formatting import escaped


@dataclass(frozen=True)
class Loss:
    """What a file lost against the float file `base`. `held` is against the most that it may, or against no loss."""

    held: Held
    base: str
    is_limited: bool = False

    @property
    def told(self) -> str:
        """What was lost, with its interval, and whether so few images can tell it."""
        if self.is_limited:
            return self.reason
        doubt = self.held.doubt() if self.held.value else ""
        change, images = gained(self.held, escaped(self.base)), f"{self.held.n:,} images"
        return f"{change}: {images} cannot tell it from no change; {doubt}" if doubt else f"{change} on {images}"

    def within(self, limit: float) -> Held:
        """Return the same against another limit."""
        return replace(self.held, limit=limit)

    @property
    def reason(self) -> str:
        """What was lost, against the limit, in the words of `eval`."""
        return f"{gained(self.held, escaped(self.base))} {self.held.outcome('--max-drop')}"

    def to_json(self) -> dict[str, Any]:
        """Fractions of 1; what is above 0 is lost."""
        held = self.held
        return {"against": self.base, "top1": held.value, "ci95": list(held.ci95), "images": held.n, "told": self.told}


Losses = Mapping[str, Loss]  # by a file's sha256


def losses(accuracies: Iterable[Accuracy], limit: float | None = None) -> Losses:
    """Return the loss of each file but the float ones against the float file of the same network and weights.

    That is the one of its format, if there is one. Of each file the latest accuracy counts, and both must be of
    the same images.
    """
    latest = {one.sha256: one for one in sorted(accuracies, key=lambda one: one.created)}
    alike: dict[object, list[Accuracy]] = {}
    for one in latest.values():
        alike.setdefault(_group(one), []).append(one)
    found = {}
    for one in latest.values():
        base = own_float(one, alike[_group(one)]) if one.hits else None
        if base is not None:
            found[one.sha256] = Loss(drop(base.hits, one.hits, limit or 0.0), base.artifact, limit is not None)
    return found


def _group(record: Accuracy) -> object:
    """What two files share that may be compared image by image."""
    known = record.manifest
    return record.dataset_hash, len(record.hits), known and known.weights.id
