"""A user's own networks beside published ones: exact counts; for the zoo a top-1 that is given, or the store's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError, first_line
from edgekit.network.catalog import chosen, summary_of
from edgekit.reporting.rows import Row
from edgekit.util.files import make_folder
from edgekit.util.quantity import Quantity, top1_limit

SIDE = 224  # of the images of the zoo's networks


@dataclass(frozen=True)
class Asked:
    """A network as it was given, what it is called in messages, and its top-1 in percent where that was given."""

    model: Any  # text, or a module
    name: str
    top1: Quantity


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


def each(own: Any) -> list[Any]:
    """Return the networks that are given, one or several, each as a user writes it (`asked`)."""
    alone = not isinstance(own, Sequence) or isinstance(own, str) or _has_top1(own)
    return [own] if alone else list(own)


def asked(one: Any) -> Asked:
    """Read a network as a user writes it: `FILE.py:function`, a module, or a file of a network.

    Its top-1 in percent may stand behind a name, as in `FILE.py:function=71.5`, or beside it in a pair. Raises
    UsageError for what is no network.
    """
    model, top1 = one if _has_top1(one) else (one, None)
    if isinstance(model, str):
        name, _, written = model.partition("=")
        return Asked(name, name, written or top1)
    if not callable(getattr(model, "forward", None)):
        raise UsageError(
            f"--with takes a network of your own, not a value of type {type(model).__name__}",
            "give a module, FILE.py:function, or a pair of one and its top-1 in percent",
        )
    return Asked(model, type(model).__name__.lower(), top1)


def _has_top1(one: Any) -> bool:
    """Whether it is a pair of a network and its accuracy."""
    return isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], (int, float))


def own(given: Any, measured: Sequence[Row]) -> Own:
    """Count a network that stands beside the zoo. Imports torch.

    Without a percentage the fp32 accuracy of its variant in the store counts. Raises UsageError where there is none,
    for what is no percentage, and what `edgekit.summary` raises.
    """
    one = asked(given)
    counted = summary_of(one.model, input=_input(one.model, SIDE))
    found = _evaluated(counted.variant, one.name, measured) if one.top1 is None else (_percentage(one), "given")
    return Own(counted.variant, one.name.rpartition("/")[2], *found, counted.table.macs, counted.table.params)


def to_measure(given: Any, side: int, folder: Path) -> Counted:
    """Count a network that is measured on images of `side` pixels; a module is written into `folder`. Imports torch.

    Raises UsageError for a percentage, for a module that torch.export does not take, and what `edgekit.summary` raises.
    """
    one = asked(given)
    if one.top1 is not None:
        raise UsageError(
            f"--with {one.name}={one.top1}: reproduce mobilenet measures the accuracy itself",
            f"write --with {one.name}, and give labeled images with --data",
        )
    shape = _input(one.model, side)
    counted = summary_of(one.model, input=shape)
    is_text = isinstance(one.model, str)
    model = one.model if is_text else str(_archived(one, shape, folder))
    return Counted(model, shape if is_text else None, counted.variant, counted.table.macs, counted.table.params)


def _archived(one: Asked, shape: tuple[int, ...] | None, folder: Path) -> Path:
    """A module as a file, because exports run in other processes."""
    import torch

    network = chosen(one.model, None, None, None, None, shape).build()
    path = make_folder(folder) / f"{one.name}.pt2"
    try:
        torch.export.save(torch.export.export(network, (torch.zeros(shape or ()),)), path)
    except Exception as error:  # whatever torch makes of a user's network
        raise UsageError(
            f"torch.export does not take {one.name}: {first_line(error)}",
            "give the function that builds it, as FILE.py:function",
        ) from error
    return path


def _input(model: Any, side: int) -> tuple[int, ...] | None:
    """An image, which a module and a function's network take. None for a file of a network, which knows its own."""
    is_file = isinstance(model, str) and ":" not in model.rpartition("/")[2]
    return None if is_file else (1, 3, side, side)


def _percentage(one: Asked) -> float:
    share = top1_limit(one.top1, f"--with {one.name}", "=")
    if not share:
        raise UsageError(
            f"--with {one.name}={one.top1}: a top-1 of 0 has no place in the chart", f"write --with {one.name}=70"
        )
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
