"""How far the top-1 of each file is under that of the float file it comes from, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgekit.records.measurement import Accuracy
from edgekit.stats.accuracy import drop, gained
from edgekit.stats.limit import Held

FLOAT = "fp32"


@dataclass(frozen=True)
class Loss:
    """What a file lost against the float file `base`, held against the most that it may."""

    held: Held
    base: str

    @property
    def reason(self) -> str:
        """What was lost, against the limit, in the words of `eval`."""
        told = f"{gained(self.held, self.base)} {'holds' if self.held.is_held else 'fails'}"
        doubt = self.held.doubt()
        so_few = f", but {self.held.n:,} images cannot tell it from the limit; {doubt}" if doubt else ""
        return f"{told} --max-drop {100 * self.held.limit:g}{so_few}"


Losses = Mapping[str, Loss]  # by a file's sha256


def losses(accuracies: Iterable[Accuracy], limit: float | None) -> Losses:
    """Return the loss of each file but the float ones against the float file of the same network and weights.

    That is the one of its format, if there is one. Of each file the latest accuracy counts, and both must be of
    the same images. Nothing without a limit.
    """
    if limit is None:
        return {}
    latest = {one.sha256: one for one in sorted(accuracies, key=lambda one: one.created)}
    full = [one for one in latest.values() if one.manifest is not None and one.manifest.precision == FLOAT]
    found = {}
    for one in latest.values():
        fits = [base for base in full if _are_comparable(one, base)]
        if fits and one not in full:
            base = min(fits, key=lambda base: base.format != one.format)
            found[one.sha256] = Loss(drop(base.hits, one.hits, limit), base.artifact)
    return found


def _are_comparable(one: Accuracy, base: Accuracy) -> bool:
    is_same = one.dataset_hash == base.dataset_hash and len(one.hits) == len(base.hits) > 0
    return is_same and _network(one) is not None and _network(one) == _network(base)


def _network(record: Accuracy) -> object:
    known = record.manifest
    return known and (known.variant, known.weights.id, known.source and known.source.sha256)
