"""A user's own networks beside published ones: exact counts; for the zoo a top-1 that is given, or the store's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.network.catalog import summary
from edgekit.reporting.rows import Row
from edgekit.util.quantity import top1_limit

SIDE = 224  # of the images of the zoo's networks


@dataclass(frozen=True)
class Counted:
    """A network that is measured here: its name on the command line, its variant, and exact counts."""

    model: str
    input: tuple[int, ...] | None  # None: the network's file says it
    variant: str
    macs: int
    params: int


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
    counted = summary(name, input=_input(name, SIDE))
    top1, source = (_percentage(given, name), "given") if given else _evaluated(counted.variant, name, measured)
    return Own(counted.variant, name.rpartition("/")[2], top1, source, counted.table.macs, counted.table.params)


def to_measure(text: str, side: int) -> Counted:
    """Count a network that is measured on images of `side` pixels. Imports torch.

    Raises UsageError for a percentage, and what `edgekit.summary` raises.
    """
    name, _, given = text.partition("=")
    if given:
        raise UsageError(
            f"--with {text}: reproduce mobilenet measures the accuracy itself",
            f"write --with {name}, and give labeled images with --data",
        )
    shape = _input(name, side)
    counted = summary(name, input=shape)
    return Counted(name, shape, counted.variant, counted.table.macs, counted.table.params)


def _input(name: str, side: int) -> tuple[int, ...] | None:
    """The input of a function's network: an image. None for a file of a network, which knows its own."""
    return (1, 3, side, side) if ":" in name.rpartition("/")[2] else None


def _percentage(given: str, name: str) -> float:
    share = top1_limit(given, f"--with {name}", "=")
    if not share:
        raise UsageError(f"--with {name}={given}: a top-1 of 0 has no place in the chart", f"write --with {name}=70")
    return share


def _evaluated(variant: str, name: str, measured: Sequence[Row]) -> tuple[float, str]:
    found = [row for row in measured if row.variant == variant and row.precision == "fp32" and row.top1 is not None]
    if not found:
        raise UsageError(
            f"the store has no fp32 accuracy of {variant}",
            f"say it, as in --with {name}=71.5, or run `edgekit export` and `edgekit eval` first",
        )
    last = max(found, key=lambda row: row.created)
    return last.top1 or 0.0, f"evaluated here on {last.images:,} images of {last.dataset}"
