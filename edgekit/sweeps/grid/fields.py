"""The grid of a sweep as a whole: its fields, and the options of `edgekit export` that all of its files share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, InstanceOf, Strict, StrictBool, create_model

from edgekit.exporting.options import DEFAULTS, HINTS, OPTIONS, ExportOptions, Preprocess, StrPath, number
from edgekit.network.names import is_own_name
from edgekit.sweeps.grid.axes import (
    AXES,
    VARIED,
    Choices,
    Counts,
    Devices,
    Entry,
    Floats,
    Integers,
    Point,
    Text,
    Texts,
    as_pool,
    named,
    several,
)
from edgekit.sweeps.grid.file import Origin
from edgekit.sweeps.weights import Source

Entries = Annotated[tuple[Entry, ...], BeforeValidator(several)]


class Grid(BaseModel):
    """A whole sweep: its axes (edgekit.sweeps.grid.axes), and what its cells share.

    `alpha` and `res` empty: the network's own, or what the weights tell. `export` holds what all files have in common:
    the options of `edgekit export` that are no fields here (SHARED); `varied` has those with several values, and
    `own` the weights and the preprocessing of networks that have theirs, where other networks share the grid's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Texts
    alpha: Floats = ()
    res: Integers = ()
    format: Texts = ("onnx", "tflite")
    precision: Texts = ("fp32",)
    device: Devices = ("local",)
    runtime: Choices = ()
    provider: Choices = ()
    delegate: Choices = ()
    threads: Counts = (1,)
    batch: Counts = (1,)
    power_mode: Choices = ()
    exclude: Entries = ()
    include: Entries = ()
    preset: Text = "default"
    weights: Text = "random"
    random_where_missing: StrictBool = False  # variants without a file in the folder: random weights, latency only
    eval: Path | None = None
    export_only: StrictBool = False
    out: Path = Path("artifacts")
    export: Annotated[ExportOptions, InstanceOf()]
    varied: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    own: tuple[tuple[str, dict[str, Any]], ...] = ()
    origin: Annotated[Origin, InstanceOf()] = Origin()

    @property
    def options(self) -> dict[str, tuple[Any, ...]]:
        """The values of each option of export that is an axis, or that an entry of `include` names."""
        added = {name for entry in self.include for name in named(entry)}
        found = dict.fromkeys((name for name in VARIED if name in added), (None,))
        return found | dict(self.varied)

    @property
    def pools(self) -> dict[str, tuple[str, ...]]:
        """The devices that may measure for each name of the axis `device`."""
        added = (one for entry in self.include for one in named(entry).get("device", ()))
        every = dict.fromkeys((*self.device, *added))
        return {one.name: one.members for one in map(as_pool, every)}

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that may measure; none where nothing is measured."""
        members = (name for members in self.pools.values() for name in members)
        return () if self.export_only else tuple(dict.fromkeys(members))

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values of each axis; (None,) where the choice is left open."""
        found = {name: getattr(self, name) or (None,) for name in AXES} | self.options
        return found | ({"device": (None,)} if self.export_only else {})

    @property
    def bound(self) -> int:
        """How many cells there are at most, counted without making one."""
        whole = self.axes
        grids = [whole, *(whole | named(entry) for entry in self.include)]
        return sum(math.prod(len(values) or 1 for values in axes.values()) for axes in grids)

    def of(self, model: str) -> Grid:
        """Return the same as one network has it: with its own weights and preprocessing for those of all."""
        own = dict(self.own).get(model, {})
        export = replace(self.export, preprocess=own["preprocess"]) if "preprocess" in own else self.export
        return self.model_copy(update={"export": export, "weights": own.get("weights", self.weights)}) if own else self

    def asked(self, point: Point, weights: Source, format: Sequence[str], precision: Sequence[str]) -> ExportOptions:
        """Return the export of some files of a variant. Random weights in the place of missing ones heed no images."""
        own: dict[str, Any] = {name: value for name, value in point.options if value is not None}
        own |= {"model": point.model, "alpha": point.alpha, "res": point.res, "weights": weights.weights}
        own["out"] = self.out / point.way
        if is_own_name(point.model) and weights.weights == "random":
            own["weights"] = None  # the function brings its weights
        if weights.random or self.export.synthetic_calibration:
            own |= {"data": None, "synthetic_calibration": "int8" in precision}
        if weights.random:
            own |= {"preprocess": None, "ranges": DEFAULTS["ranges"], "max_drop": None}
        return replace(self.export.for_files(format, precision), **own, **self.unheeded(point.model))

    def unheeded(self, model: str) -> dict[str, Any]:
        """Return the options that a network does not take and others of the grid do, as it takes them: left out."""
        if len(self.model) == 1:
            return {}
        return dict.fromkeys(("classes", "options") if is_own_name(model) else ("input",))


# What all files of a sweep have in common, checked as YAML has it: a path is text, and so is a limit with a unit.
SHARED = tuple(name for name in OPTIONS if name not in {*Grid.model_fields, "devices"})
PATHS = tuple(name for name in SHARED if HINTS[name] in (StrPath | None, Preprocess | None))
_FIELDS: dict[str, Any] = {
    name: (Annotated[HINTS[name], BeforeValidator(partial(number, name))], DEFAULTS[name]) for name in SHARED
}
_FIELDS |= {name: (Annotated[Path, Strict(False)] | None, None) for name in PATHS}
_FIELDS["preprocess"] = (Annotated[Path, Strict(False)] | dict[str, Any] | None, None)
Shared: type[BaseModel] = create_model("Shared", __config__=ConfigDict(strict=True), **_FIELDS)
KEYS = (*(name for name in Grid.model_fields if name not in ("export", "varied", "own", "origin")), *SHARED)
