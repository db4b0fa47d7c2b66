"""What the fields of a grid cannot mean together, told before the first step with the key and its line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgekit.errors import UsageError, nearest
from edgekit.exporting.options import OPTIONS, ExportOptions, check_calibration, check_heeded, flag
from edgekit.records.formats import FORMATS, PRECISIONS
from edgekit.records.measurement import PRESETS
from edgekit.records.runtime import RUNTIMES
from edgekit.sweeps.grid.axes import VARIED, Entry, as_pool, label, named
from edgekit.sweeps.grid.fields import Grid, Shared
from edgekit.sweeps.grid.file import Origin

CANONICAL: dict[str, Callable[[str], str]] = {
    "format": FORMATS.canonical,
    "precision": PRECISIONS.canonical,
    "runtime": RUNTIMES.canonical,
}


def checked(grid: Grid) -> Grid:
    """Return a grid with its values under their own names. Raises UsageError for what cannot be meant."""
    _refuse_unknown_preset(grid)
    grid = _under_own_names(grid)
    for axis, values in grid.axes.items():
        _refuse_twice(axis, values, grid.origin)
    _check_entries(grid)
    _check_pools(grid)
    if grid.export_only:
        _refuse_measuring(grid)
    for one in _every_export(grid):
        check_heeded(one)
    if not grid.random_where_missing:
        check_calibration(grid.export)
    return grid


def _refuse_unknown_preset(grid: Grid) -> None:
    if grid.preset not in PRESETS:
        where, hint = grid.origin.of("preset"), nearest(grid.preset, PRESETS)
        raise UsageError(f"unknown preset '{grid.preset}'{where}{hint}", f"choose one of: {', '.join(PRESETS)}")


def _under_own_names(grid: Grid) -> Grid:
    """The grid with one name for each format, precision, runtime and value of an option, and all files' in `export`."""
    changes: dict[str, Any] = {}
    for name in CANONICAL:
        with grid.origin.at(name):
            changes[name] = _canonical(name, getattr(grid, name))
    for key in ("exclude", "include"):
        entries = map(named, getattr(grid, key))
        changes[key] = tuple(Entry(**{axis: _canonical(axis, one[axis]) for axis in one}) for one in entries)
    changes["varied"] = tuple((name, _canonical(name, values)) for name, values in grid.varied)
    grid = grid.model_copy(update=changes)
    formats, precisions = ([*getattr(grid, name), *_included(grid, name)] for name in ("format", "precision"))
    return grid.model_copy(update={"export": replace(grid.export, format=formats, precision=precisions)})


def _canonical(axis: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if axis in VARIED:
        return tuple(getattr(Shared.model_validate({axis: value}), axis) for value in values)
    own = CANONICAL.get(axis)
    return tuple(value if own is None or value is None else own(value) for value in values)


def _every_export(grid: Grid) -> Iterator[ExportOptions]:
    """What all files have in common, and each value of each option that is varied with the files that may heed it."""
    whole = grid.export
    yield whole
    for name, values in grid.options.items():
        formats = [one for one in whole.format if name in FORMATS[one].options] or whole.format
        precisions = ("int8",) if OPTIONS[name].of_int8 and whole.has_int8 else whole.precision
        for value in filter(None, (*values, *_included(grid, name))):
            yield replace(whole.for_files(formats, precisions), **{name: value})


def _included(grid: Grid, axis: str) -> list[Any]:
    return [value for entry in grid.include for value in named(entry).get(axis, ())]


def _check_entries(grid: Grid) -> None:
    """Refuse an entry that says nothing, and one that excludes what the grid does not have: a slip of the hand."""
    origin, whole = grid.origin, {name: [label(value) for value in values] for name, values in grid.axes.items()}
    for key in ("exclude", "include"):
        if not all(named(entry) and all(named(entry).values()) for entry in getattr(grid, key)):
            raise UsageError(
                f"an entry of '{key}'{origin.of(key)} names no values", "write, say, {device: pi, batch: 8}"
            )
    for entry in grid.exclude:
        for name, values in named(entry).items():
            has = whole.get(name, [])
            other = next((value for value in map(label, values) if value not in has), Ellipsis)
            if other is not Ellipsis:
                known = ", ".join(map(str, has)) or "those of a list under that key"
                raise UsageError(
                    f"'exclude'{origin.of('exclude')}: '{name}' has no {other}", f"its values are: {known}"
                )


def _check_pools(grid: Grid) -> None:
    """Refuse two meanings of one name."""
    seen: dict[str, tuple[str, ...]] = {}
    for one in map(as_pool, [*grid.device, *_included(grid, "device")]):
        if seen.setdefault(one.name, one.members) != one.members:
            raise UsageError(
                f"'device'{grid.origin.of('device')}: {one.name} is two things", "give each pool a name of its own"
            )


def _refuse_measuring(grid: Grid) -> None:
    """Refuse what says how to measure, where nothing is measured."""
    of_runs = () if grid.eval else ("runtime", "threads")
    for name in ("device", "batch", "preset", "provider", "delegate", "power_mode", *of_runs):
        if getattr(grid, name) != Grid.model_fields[name].default:
            raise UsageError(f"{flag(name)} is not for --export-only", "leave one of them out")


def _refuse_twice(axis: str, values: Sequence[Hashable], origin: Origin) -> None:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"'{axis}'{origin.of(axis)} holds {value} twice", "name each value once")
        seen.add(value)
