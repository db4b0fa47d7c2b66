"""What a sweep is asked for: a grid of variants, formats, precisions and devices, from the command line or a YAML file.

    model: [mobilenet, resnet50, mynet.py:build]
    alpha: [1.0, 0.5]
    precision: [fp32, int8]
    device: [desktop, {pi: [pi-1, pi-2, pi-3]}]   # a pool: any of the three
    exclude: [{device: pi, precision: int8}]
    include: [{model: mobilenet, alpha: 0.25, res: 128}]
    weights: weights/          # random, pretrained, a file, or a folder with one file for each variant
    data: images/calibration
    eval: images/test

The keys are the fields of `Grid`, and every other option of `edgekit export`; one that says how a file is made, such as
`io: [float32, uint8]`, may have several values. Paths are relative to the file's folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    Strict,
    StrictBool,
    ValidationError,
    create_model,
)

from edgekit.errors import UsageError, nearest
from edgekit.exporting.options import (
    DEFAULTS,
    HINTS,
    OPTIONS,
    ExportOptions,
    Preprocess,
    StrPath,
    canonical_precision,
    check_calibration,
    check_heeded,
    number,
)
from edgekit.network.names import is_own_name
from edgekit.records.formats import FORMATS
from edgekit.records.measurement import PRESETS
from edgekit.records.runtime import RUNTIMES
from edgekit.sweeps.axes import (
    AXES,
    VARIED,
    Choices,
    Counts,
    Devices,
    Entry,
    Floats,
    Integers,
    Point,
    Pool,
    Text,
    Texts,
    as_pool,
    label,
    named,
    several,
)
from edgekit.sweeps.grid_file import Origin, invalid, read, refuse_unknown
from edgekit.sweeps.weights import Source

Entries = Annotated[tuple[Entry, ...], BeforeValidator(several)]
CANONICAL: dict[str, Callable[[str], str]] = {
    "format": FORMATS.canonical,
    "precision": canonical_precision,
    "runtime": RUNTIMES.canonical,
}
MANY = 1000  # cells: beyond it, a slip of the hand is likelier than a wish
MOST = 100_000  # cells of one sweep, which are all held in memory
SUFFIXES = (".yaml", ".yml")


class Grid(BaseModel):
    """A whole sweep: its axes (edgekit.sweeps.axes), and what its cells share.

    `alpha` and `res` empty: the network's own, or what the weights tell. `export` holds what all files have in common:
    the options of `edgekit export` that are no fields here (SHARED); `varied` has those with several values.
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
        return {one.name: one.members if isinstance(one, Pool) else (one,) for one in map(as_pool, every)}

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

    def asked(self, point: Point, weights: Source, format: Sequence[str], precision: Sequence[str]) -> ExportOptions:
        """The export of some files of a variant. Random weights in the place of missing ones heed no images."""
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
        """The options that a network does not take and others of the grid do, as it takes them: left out."""
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
_Shared: type[BaseModel] = create_model("_Shared", __config__=ConfigDict(strict=True), **_FIELDS)
KEYS = (*(name for name in Grid.model_fields if name not in ("export", "varied", "origin")), *SHARED)


def is_grid(name: str) -> bool:
    """Whether a sweep is named by a file rather than by a network."""
    return name.endswith(SUFFIXES)


def grid(model: str | Sequence[str], **asked: Any) -> Grid:
    """The checked grid of networks by name, or of a YAML file; what is asked for here replaces what the file says.

    Values that are None were not asked for. Raises UsageError, naming the key.
    """
    models = (model,) if isinstance(model, str) else tuple(model)
    file = next((name for name in models if is_grid(name)), None)
    if file is not None and len(models) > 1:
        raise UsageError(f"{file} is a grid, and other networks stand beside it", "name the networks in the file")
    values, origin = read(Path(file), PATHS) if file else ({"model": models}, Origin())
    values |= {key: value for key, value in asked.items() if value is not None}
    typed = [key for key, value in asked.items() if value is not None]
    origin = replace(origin, lines={key: line for key, line in origin.lines.items() if key not in typed})
    refuse_unknown(tuple(values), KEYS, origin)
    with origin.told():
        return _validated(values, origin)


def _validated(values: Mapping[str, Any], origin: Origin) -> Grid:
    try:
        varied = {key: value for key, value in values.items() if key in VARIED and _is_several(value)}
        alone = {key: _alone(key, value) for key, value in values.items() if key in SHARED and key not in varied}
        shared = ExportOptions("", **dict(_Shared.model_validate(alone)))
        own = {key: value for key, value in values.items() if key not in SHARED}
        found = Grid.model_validate({**own, "export": shared, "varied": tuple(varied.items()), "origin": origin})
        return _checked(found, origin)
    except ValidationError as error:
        raise invalid(error, origin) from error


def _is_several(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 1


def _alone(name: str, value: Any) -> Any:
    """The value of an option that all files share; a list of one stands for it."""
    return value[0] if name in VARIED and isinstance(value, (list, tuple)) and value else _tuple(value)


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _checked(found: Grid, origin: Origin) -> Grid:
    if found.preset not in PRESETS:
        hint = nearest(found.preset, PRESETS)
        raise UsageError(
            f"unknown preset '{found.preset}'{origin.of('preset')}{hint}", f"choose one of: {', '.join(PRESETS)}"
        )
    changes: dict[str, Any] = {}
    for name in CANONICAL:
        with origin.at(name):
            changes[name] = _canonical(name, getattr(found, name))
    for key in ("exclude", "include"):
        entries = map(named, getattr(found, key))
        changes[key] = tuple(Entry(**{axis: _canonical(axis, one[axis]) for axis in one}) for one in entries)
    changes["varied"] = tuple((name, _canonical(name, values)) for name, values in found.varied)
    found = found.model_copy(update=changes)
    every = {name: [*getattr(found, name), *_included(found, name)] for name in ("format", "precision")}
    export = replace(found.export, format=every["format"], precision=every["precision"])
    found = found.model_copy(update={"export": export})
    for axis, values in found.axes.items():
        _refuse_twice(axis, values, origin)
    _check_entries(found, origin)
    _check_pools(found, origin)
    if found.export_only:
        names: tuple[str, ...] = ("device", "batch", "preset", "provider", "delegate", "power_mode")
        names = (*names, *(() if found.eval else ("runtime", "threads")))
        _refuse(found, names, "not for --export-only", "leave one of them out")
    for one in _every_export(found):
        check_heeded(one)
    if not found.random_where_missing:
        check_calibration(export)
    return found


def _canonical(axis: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if axis in VARIED:
        return tuple(getattr(_Shared.model_validate({axis: value}), axis) for value in values)
    own = CANONICAL.get(axis)
    return tuple(value if own is None or value is None else own(value) for value in values)


def _every_export(found: Grid) -> Iterator[ExportOptions]:
    """What all files have in common, and each value of each option that is varied with the files that may heed it."""
    whole = found.export
    yield whole
    for name, values in found.options.items():
        formats = [one for one in whole.format if name in FORMATS[one].options] or whole.format
        precisions = ("int8",) if OPTIONS[name].of_int8 and whole.has_int8 else whole.precision
        for value in filter(None, (*values, *_included(found, name))):
            yield replace(whole.for_files(formats, precisions), **{name: value})


def _included(found: Grid, axis: str) -> list[Any]:
    return [value for entry in found.include for value in named(entry).get(axis, ())]


def _check_entries(found: Grid, origin: Origin) -> None:
    """Refuse an entry that says nothing, and one that excludes what the grid does not have: a slip of the hand."""
    whole = {name: [label(value) for value in values] for name, values in found.axes.items()}
    for key in ("exclude", "include"):
        for entry in getattr(found, key):
            empty = not named(entry) or next((name for name, values in named(entry).items() if not values), None)
            if empty:
                raise UsageError(
                    f"an entry of '{key}'{origin.of(key)} names no values", "write, say, {device: pi, batch: 8}"
                )
    for entry in found.exclude:
        for name, values in named(entry).items():
            has = whole.get(name, [])
            other = next((value for value in map(label, values) if value not in has), Ellipsis)
            if other is not Ellipsis:
                known = ", ".join(map(str, has)) or "those of a list under that key"
                raise UsageError(
                    f"'exclude'{origin.of('exclude')}: '{name}' has no {other}", f"its values are: {known}"
                )


def _check_pools(found: Grid, origin: Origin) -> None:
    """Refuse two meanings of one name."""
    seen: dict[str, tuple[str, ...]] = {}
    for one in map(as_pool, [*found.device, *_included(found, "device")]):
        if seen.setdefault(one.name, one.members) != one.members:
            raise UsageError(
                f"'device'{origin.of('device')}: {one.name} is two things", "give each pool a name of its own"
            )


def _refuse(found: Grid, names: Sequence[str], why: str, remedy: str) -> None:
    for name in names:
        if getattr(found, name) != Grid.model_fields[name].default:
            raise UsageError(f"--{name.replace('_', '-')} is {why}", remedy)


def _refuse_twice(axis: str, values: Sequence[Hashable], origin: Origin) -> None:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"'{axis}'{origin.of(axis)} holds {value} twice", "name each value once")
        seen.add(value)
