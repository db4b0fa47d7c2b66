"""What a sweep is asked for: a grid of variants, formats, precisions and devices, from the command line or a YAML file.

    model: mobilenet
    alpha: [1.0, 0.75, 0.5, 0.25]
    res: [224, 192, 160, 128]
    precision: [fp32, int8]
    weights: weights/          # random, pretrained, a file, or a folder with one file for each variant
    data: images/calibration
    eval: images/test

The keys are the fields of `Grid`, and every other option of `edgekit export`. Paths are relative to the file's folder.
"""

from __future__ import annotations

import itertools
import math
import reprlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    create_model,
)

from edgekit.errors import UsageError, first_line, nearest
from edgekit.exporting.options import (
    DEFAULTS,
    HINTS,
    OPTIONS,
    ExportOptions,
    StrPath,
    canonical_precision,
    check_calibration,
    check_heeded,
)
from edgekit.network.names import is_own_name
from edgekit.records.formats import FORMATS
from edgekit.records.measurement import PRESETS
from edgekit.sweeps.weights import Source
from edgekit.util import yaml_text

Point = tuple[float | None, int | None]  # alpha, resolution
MANY = 1000  # cells: beyond it, a slip of the hand is likelier than a wish
LARGEST_FILE = 1_000_000  # bytes of YAML
SUFFIXES = (".yaml", ".yml")


def _several(value: Any) -> Any:
    """A list of values; one alone stands for a list of it."""
    return value if isinstance(value, (list, tuple)) else (value,)


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Field(min_length=1)]
Floats = Annotated[tuple[StrictFloat, ...], BeforeValidator(_several)]
Integers = Annotated[tuple[StrictInt, ...], BeforeValidator(_several)]
Count = Annotated[StrictInt, Field(ge=1)]


class Grid(BaseModel):
    """A whole sweep. `alpha` and `res` empty: the network's own, or what the weights tell.

    `export` holds what all files have in common: the options of `edgekit export` that are no fields here (SHARED).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Text
    alpha: Floats = ()
    res: Integers = ()
    format: Texts = ("onnx", "tflite")
    precision: Texts = ("fp32",)
    device: Texts = ("local",)
    runtime: Text | None = None
    threads: Count = 1
    batch: Count = 1
    preset: Text = "default"
    weights: Text = "random"
    random_where_missing: StrictBool = False  # variants without a file in the folder: random weights, latency only
    eval: Path | None = None
    export_only: StrictBool = False
    out: Path = Path("artifacts")
    export: Annotated[ExportOptions, InstanceOf()]

    @property
    def devices(self) -> tuple[str | None, ...]:
        """Where to measure; (None,): nowhere."""
        return (None,) if self.export_only else self.device

    @property
    def points(self) -> list[tuple[float | None, int | None]]:
        """Each (alpha, resolution), in the order given."""
        return list(itertools.product(self.alpha or (None,), self.res or (None,)))

    @property
    def count(self) -> int:
        """How many cells there are."""
        axes = (self.alpha or (None,), self.res or (None,), self.format, self.precision, self.devices)
        return math.prod(len(axis) for axis in axes)

    def cells(self) -> Iterator[SweepCell]:
        """Every cell, the files of one variant together."""
        for alpha, res in self.points:
            for format, precision, device in itertools.product(self.format, self.precision, self.devices):
                yield SweepCell(alpha, res, format, precision, device)

    def asked(self, point: Point, weights: Source, format: Sequence[str], precision: Sequence[str]) -> ExportOptions:
        """The export of some files of a variant. Random weights in the place of missing ones heed no images."""
        alpha, res = point
        own: dict[str, Any] = {"alpha": alpha, "res": res, "out": self.out, "weights": weights.weights}
        if self.is_own and weights.weights == "random":
            own["weights"] = None  # the function brings its weights
        if weights.random or self.export.synthetic_calibration:
            own |= {"data": None, "synthetic_calibration": "int8" in precision}
        if weights.random:
            own |= {"preprocess": None, "ranges": DEFAULTS["ranges"], "max_drop": None}
        return replace(self.export.for_files(format, precision), **own)

    @property
    def is_own(self) -> bool:
        """Whether it is a user's own network, which brings its weights."""
        return is_own_name(self.model)


@dataclass(frozen=True)
class SweepCell:
    """One point of the grid: one file on one device."""

    alpha: float | None
    res: int | None
    format: str
    precision: str
    device: str | None


# What all files of a sweep have in common, checked as YAML has it: a number is none in quotes, a path is text.
SHARED = tuple(name for name in OPTIONS if name not in {*Grid.model_fields, "devices"})
PATHS = tuple(name for name in SHARED if HINTS[name] == StrPath | None)
_FIELDS: dict[str, Any] = {name: (HINTS[name], DEFAULTS[name]) for name in SHARED}
_FIELDS |= {name: (Annotated[Path, Strict(False)] | None, None) for name in PATHS}
_Shared: type[BaseModel] = create_model("_Shared", __config__=ConfigDict(strict=True), **_FIELDS)
KEYS = (*(name for name in Grid.model_fields if name != "export"), *SHARED)


def is_grid(name: str) -> bool:
    """Whether a sweep is named by a file rather than by a network."""
    return name.endswith(SUFFIXES)


def grid(model: str, **asked: Any) -> Grid:
    """The checked grid of a network's name or of a YAML file; what is asked for here replaces what the file says.

    Values that are None were not asked for. Raises UsageError, naming the key.
    """
    values = _file(Path(model)) if is_grid(model) else {"model": model}
    values |= {key: value for key, value in asked.items() if value is not None}
    origin = f" in {model}" if is_grid(model) else ""
    _refuse_unknown(values, origin)
    try:
        shared = _Shared.model_validate({key: _tuple(value) for key, value in values.items() if key in SHARED})
        named = values.get("model")
        export = ExportOptions(named if isinstance(named, str) else "", **dict(shared))
        own = {key: value for key, value in values.items() if key not in SHARED}
        found = Grid.model_validate({**own, "export": export})
    except ValidationError as error:
        raise _told(error, origin) from error
    return _checked(found, origin)


def _refuse_unknown(values: Mapping[str, Any], origin: str) -> None:
    unknown = next((key for key in values if key not in KEYS), None)
    if unknown is not None:
        raise UsageError(f"unknown key '{unknown}'{origin}{nearest(unknown, KEYS)}", f"the keys are: {', '.join(KEYS)}")


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _checked(found: Grid, origin: str) -> Grid:
    formats = tuple(FORMATS.canonical(name) for name in found.format)
    precisions = tuple(map(canonical_precision, found.precision))
    if found.preset not in PRESETS:
        hint = nearest(found.preset, PRESETS)
        raise UsageError(f"unknown preset '{found.preset}'{hint}", f"choose one of: {', '.join(PRESETS)}")
    export = replace(found.export, format=formats, precision=precisions)
    found = found.model_copy(update={"format": formats, "precision": precisions, "export": export})
    for axis in ("alpha", "res", "format", "precision", "device"):
        _refuse_twice(axis, getattr(found, axis), origin)
    if found.export_only:
        names = ("device", "batch", "preset", *(() if found.eval else ("runtime", "threads")))
        _refuse(found, names, "not for --export-only", "leave one of them out")
    check_heeded(export)
    if not found.random_where_missing:
        check_calibration(export)
    return found


def _refuse(found: Grid, names: Sequence[str], why: str, remedy: str) -> None:
    for name in names:
        if getattr(found, name) != Grid.model_fields[name].default:
            raise UsageError(f"--{name.replace('_', '-')} is {why}", remedy)


def _refuse_twice(axis: str, values: Sequence[Hashable], origin: str) -> None:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"'{axis}'{origin} holds {value} twice", "name each value once")
        seen.add(value)


_SHORT = reprlib.Repr()  # aliases can make a short text a value without end
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 60, 60


def _told(error: ValidationError, origin: str) -> UsageError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).endswith("]"))
    if first["type"] == "missing":
        return UsageError(f"there is no '{where}'{origin}", "name a network, as in model: mobilenet")
    return UsageError(
        f"'{where}'{origin}: {first['msg'].lower()}, not {_SHORT.repr(first['input'])}", "correct the value"
    )


def _file(path: Path) -> dict[str, Any]:
    """The keys of a YAML file, its paths made relative to where it stands."""
    example = "write a mapping, as in model: mobilenet"
    if not path.is_file():
        raise UsageError(f"the grid {path} does not exist", "give a network, or a YAML file")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"the grid {path} has {path.stat().st_size:,} bytes", "a grid names values, not cells")
        values = yaml_text.values(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the grid {path} cannot be read: {first_line(error)[:200]}", "correct the YAML") from error
    if not isinstance(values, Mapping):
        raise UsageError(f"the grid {path} is no mapping of keys to values", example)
    found = {str(key): value for key, value in values.items()}
    for key in ("eval", "out", *PATHS):
        if isinstance(found.get(key), str):
            found[key] = path.parent / Path(found[key]).expanduser()
    source = found.get("weights")
    if isinstance(source, str) and source.partition(":")[0] not in ("random", "pretrained"):
        found["weights"] = str(path.parent / Path(source).expanduser())
    return found
