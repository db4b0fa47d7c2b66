"""The axes of a grid, and what one cell of it is.

An axis that is empty, and a value that is None (`null` in YAML), leave the choice to the network, the file or the
device. Options of `edgekit export` are axes where a list of values is given (VARIED).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictFloat, StrictInt, create_model

from edgekit.exporting.options import HINTS, OPTIONS


class Pool(NamedTuple):
    """Devices of the same kind under one name: any of them may take a measurement."""

    name: str
    members: tuple[str, ...]


class Point(NamedTuple):
    """One variant of one network, exported in one way.

    `options`: the options of export that the grid varies, with their values; None where a file does not heed one.
    """

    model: str
    alpha: float | None = None
    res: int | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def way(self) -> str:
        """What tells its files from those with other values of the options, also as the name of their folder."""
        return ",".join(f"{name}={value}" for name, value in self.options if value is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the point under its documented keys."""
        return {"model": self.model, "alpha": self.alpha, "res": self.res, **dict(self.options)}


class How(NamedTuple):
    """One way to run a file. `device` is a device or a pool; None: its latency is not measured."""

    device: str | None
    runtime: str | None = None
    provider: str | None = None
    delegate: str | None = None
    threads: int = 1
    batch: int = 1
    power_mode: str | None = None


@dataclass(frozen=True)
class SweepCell:
    """One cell of the grid: one file, run in one way."""

    point: Point
    format: str
    precision: str
    how: How

    @property
    def device(self) -> str | None:
        """Where it is measured."""
        return self.how.device

    def to_json(self) -> dict[str, Any]:
        """Return the cell under its documented keys."""
        own = {"format": self.format, "precision": self.precision}
        return self.point.to_json() | own | self.how._asdict()


def several(value: Any) -> Any:
    """Return a list of values; one alone stands for a list of it."""
    return value if isinstance(value, (list, tuple)) else (value,)


def _devices(value: Any) -> Any:
    """Names, and pools as {NAME: [device, device]}."""
    found: list[Any] = []
    for one in (value,) if isinstance(value, (Mapping, Pool)) else several(value):
        if not isinstance(one, (str, Mapping, Pool)):
            raise ValueError("a device is a name, and a pool {NAME: [device, device]}")
        found += [_pool(*pair) for pair in one.items()] if isinstance(one, Mapping) else [one]
    return tuple(found)


def _pool(name: Any, members: Any) -> Pool:
    members = several(members)
    if not isinstance(name, str) or not members or not all(isinstance(one, str) and one for one in members):
        raise ValueError("a pool is a name with a list of devices")
    if len(set(members)) < len(members):
        raise ValueError(f"the pool {name} names a device twice")
    return Pool(name, tuple(members))


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(several), Field(min_length=1)]
Choices = Annotated[tuple[Text | None, ...], BeforeValidator(several)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(several), Field(min_length=1)]
Floats = Annotated[tuple[StrictFloat | None, ...], BeforeValidator(several)]
Integers = Annotated[tuple[StrictInt | None, ...], BeforeValidator(several)]
Devices = Annotated[tuple[Text | Pool, ...], BeforeValidator(_devices), Field(min_length=1)]

# In the order in which cells are listed: the last one changes first.
AXES: dict[str, Any] = {
    "model": Texts,
    "alpha": Floats,
    "res": Integers,
    "format": Texts,
    "precision": Texts,
    "device": Devices,
    "runtime": Choices,
    "provider": Choices,
    "delegate": Choices,
    "threads": Counts,
    "batch": Counts,
    "power_mode": Choices,
}
# The options of export that say how a file is made, in one word or number.
_WORDS = (bool, str, str | None, int | None)
_ELSEWHERE = ("weights", "device", "synthetic_calibration", "res")  # a key of the grid that means something else
VARIED = tuple(
    name for name in OPTIONS if HINTS[name] in _WORDS and not OPTIONS[name].is_limit and name not in _ELSEWHERE
)
Options = Annotated[tuple[Any, ...], BeforeValidator(several)]
_FIELDS: dict[str, Any] = {name: (hint, ()) for name, hint in AXES.items()} | dict.fromkeys(VARIED, (Options, ()))
# An entry of `exclude` or `include`: values of some axes.
Entry: type[BaseModel] = create_model("Entry", __config__=ConfigDict(frozen=True, extra="forbid"), **_FIELDS)


def named(entry: BaseModel) -> dict[str, tuple[Any, ...]]:
    """Return the axes that an entry names, with its values."""
    return {name: getattr(entry, name) for name in (*AXES, *VARIED) if name in entry.model_fields_set}


def label(value: Any) -> Any:
    """Return what a value of an axis is called in a cell: of a pool, its name."""
    return value.name if isinstance(value, Pool) else value


def as_pool(one: str | Pool) -> Pool:
    """Return a device as a pool of one, and a pool as it is."""
    return one if isinstance(one, Pool) else Pool(one, (one,))
