"""A user's own networks in the chart of the zoo: exact counts, and a top-1 that is given or that the store has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.network.catalog import summary
from edgekit.reporting.rows import Row

INPUT = (1, 3, 224, 224)  # of the chart's networks


@dataclass(frozen=True)
class Own:
    """One network: its variant, its exact counts, and its top-1 as a fraction with where that is from."""

    variant: str
    label: str
    top1: float
    source: str
    macs: int
    params: int


def own(text: str, measured: Sequence[Row]) -> Own:
    """Count a network that is written as `FILE.py:function` or `FILE.py:function=PERCENT`. Imports torch.

    Without a percentage the fp32 accuracy of its variant in the store counts. Raises UsageError where there is none,
    for what is no percentage, and what `edgekit.summary` raises.
    """
    name, _, given = text.partition("=")
    counted = summary(name, input=INPUT)
    top1, source = (_percentage(given, text), "given") if given else _evaluated(counted.variant, name, measured)
    return Own(counted.variant, name.rpartition("/")[2], top1, source, counted.table.macs, counted.table.params)


def _percentage(given: str, text: str) -> float:
    try:
        number = float(given.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 < number <= 100:
        raise UsageError(f"--with {text}: '{given}' is no top-1 in percent", "write, say, FILE.py:function=71.5")
    return number / 100


def _evaluated(variant: str, name: str, measured: Sequence[Row]) -> tuple[float, str]:
    found = [row for row in measured if row.variant == variant and row.precision == "fp32" and row.top1 is not None]
    if not found:
        raise UsageError(
            f"the store has no fp32 accuracy of {variant}",
            f"say it, as in --with {name}=71.5, or run `edgekit export` and `edgekit eval` first",
        )
    last = max(found, key=lambda row: row.created)
    return last.top1 or 0.0, f"evaluated here on {last.images:,} images of {last.dataset}"
