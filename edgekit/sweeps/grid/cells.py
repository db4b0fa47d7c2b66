"""From a grid to its cells: every combination that means something, each once.

A value takes effect where something heeds it, like an option of `edgekit export`: a device and a runtime on the formats
that they run, a provider on what onnxruntime runs, a delegate on what LiteRT runs, a power mode on devices that have
it. Among several networks, alpha takes effect on those with a width multiplier, and res on those whose resolution is
free. An option of export takes effect on the formats and precisions that heed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from edgekit.device.config import AnyDevice
from edgekit.device.registry import DeviceList
from edgekit.errors import UsageError, nearest
from edgekit.exporting.options import unheeded
from edgekit.network import shipped
from edgekit.network.names import is_own_name
from edgekit.records.runtime import RUNTIMES
from edgekit.sweeps.grid.axes import How, Point, SweepCell, label, named
from edgekit.sweeps.grid.fields import Grid

Values = Mapping[str, Sequence[Any]]
# What heeds an option of a runtime: the format, and the runtimes (None: the one that is chosen for the format).
HEEDED = {
    "provider": ("onnx", (None, "onnxruntime")),
    "delegate": ("tflite", (None, "litert", "benchmark_model")),
}
OF_NETWORK = ("alpha", "res")


def cells(grid: Grid, known: DeviceList) -> tuple[SweepCell, ...]:
    """Return every cell of a grid, the files of one variant together; entries of `include` come last.

    Raises UsageError for a device that is not known, for devices in a pool that differ, for a value that nothing heeds,
    and where nothing is left.
    """
    modes, formats = _modes(grid, known), _formats(grid, known)
    _refuse_unheeded(grid, modes)
    excluded = [{name: set(map(label, values)) for name, values in named(one).items()} for one in grid.exclude]
    found = dict.fromkeys(_without(_combined(grid.axes, grid, modes, formats, ()), excluded))
    for entry in grid.include:
        own = named(entry)
        found |= dict.fromkeys(_combined(grid.axes | own, grid, modes, formats, tuple(own)))
    if not found:
        raise UsageError("'exclude' leaves no cell of the grid", "exclude less")
    return tuple(found)


def _combined(axes: Values, grid: Grid, modes: Values, formats: Values, meant: Sequence[str]) -> Iterator[SweepCell]:
    """Every combination of the axes; those that are `meant` for a network are kept whatever it heeds."""
    several = len(grid.axes["model"]) > 1 or bool(grid.include)
    for model in axes["model"]:
        open_to = {name: _heeds(model, name) or name in meant or not several for name in OF_NETWORK}
        values = {name: axes[name] if heeded else (None,) for name, heeded in open_to.items()}
        for alpha, res, format, precision in itertools.product(
            values["alpha"], values["res"], axes["format"], axes["precision"]
        ):
            for options, how in itertools.product(
                _options(axes, grid, model, format, precision), _ways(axes, format, modes, formats)
            ):
                yield SweepCell(Point(model, alpha, res, options), format, precision, how)


def _options(
    axes: Values, grid: Grid, model: str, format: str, precision: str
) -> Iterator[tuple[tuple[str, Any], ...]]:
    """Every choice of the options of export that a file heeds; None for the others."""
    others = {*unheeded((format,), (precision,)), *grid.unheeded(model)}
    names = tuple(grid.options)
    for values in itertools.product(*((None,) if name in others else axes[name] for name in names)):
        yield tuple(zip(names, values, strict=True))


def _ways(axes: Values, format: str, modes: Values, formats: Values) -> Iterator[How]:
    """Every way to run a file of a format. One that no runtime or no device runs keeps one or all, which refuse it."""
    every = [*map(label, axes["device"])]
    devices = [name for name in every if format in formats.get(name, (format,))] or every
    fitting = [one for one in axes["runtime"] if one is None or format in RUNTIMES[one].formats]
    for device, runtime in itertools.product(devices, fitting or axes["runtime"][:1]):
        heeded = {
            name: axes[name] if format == of and runtime in runtimes else (None,)
            for name, (of, runtimes) in HEEDED.items()
        }
        allowed = [mode for mode in axes["power_mode"] if mode is None or mode in modes.get(device, ())] or [None]
        rest = (axes["threads"], axes["batch"], allowed)
        for values in itertools.product(heeded["provider"], heeded["delegate"], *rest):
            yield How(device, runtime, *values)


def _formats(grid: Grid, known: DeviceList) -> dict[str, tuple[str, ...]]:
    """The formats of the grid that a device runs. One that runs none keeps them all: it refuses them, and says why."""
    found = {}
    for pool, members in grid.pools.items() if not grid.export_only else ():
        runs = {format for runtime in known[members[0]].runtimes for format in RUNTIMES[runtime].formats}
        found[pool] = tuple(runs.intersection(grid.export.format)) or tuple(grid.export.format)
    return found


def _without(found: Iterator[SweepCell], excluded: Sequence[Mapping[str, set[Any]]]) -> Iterator[SweepCell]:
    for cell in found:
        told = cell.to_json()
        if not any(all(told[name] in values for name, values in entry.items()) for entry in excluded):
            yield cell


@cache
def _heeds(model: str, axis: str) -> bool:
    """Whether a network has a width multiplier, or a free resolution; what is not shipped may have both."""
    if is_own_name(model):
        return False
    networks = shipped.networks()
    if model not in networks:
        return True
    return bool(networks[model].alphas) if axis == "alpha" else not networks[model].fixed_resolution


def _modes(grid: Grid, known: DeviceList) -> dict[str, tuple[str, ...]]:
    """The power modes of each name of the axis `device`."""
    if grid.export_only:
        return {}
    for pool, members in grid.pools.items():
        if members != (pool,) and pool in known.devices:
            raise UsageError(f"the pool {pool} has the name of a device", "give it another name")
        _refuse_strangers(pool, {name: known[name] for name in members})
    return {pool: known[members[0]].modes for pool, members in grid.pools.items()}


def _refuse_strangers(pool: str, members: Mapping[str, AnyDevice]) -> None:
    """Raise UsageError where the devices of a pool are not of the same kind, or the same machine."""
    (first, model), *others = members.items()
    for name, other in others:
        unlike = (key for key in ("link", "runtimes", "sensors", "power_modes") if _of(model, key) != _of(other, key))
        different = next(unlike, None)
        if different:
            raise UsageError(
                f"the pool {pool}: {first} and {name} differ in '{different}'", "put devices of one kind into a pool"
            )
    addresses = [one.address for one in members.values()]
    if len(set(addresses)) < len(addresses):
        raise UsageError(f"the pool {pool} has one machine under two names", "name each machine once")


def _of(device: AnyDevice, key: str) -> Any:
    return getattr(device, key, None)


def _refuse_unheeded(grid: Grid, modes: Values) -> None:
    """Raise UsageError for a value of an axis that no cell of the grid can heed: a slip of the hand."""
    formats = grid.export.format
    for runtime in filter(None, grid.runtime if len(grid.runtime) > 1 else ()):
        if not set(RUNTIMES[runtime].formats) & set(formats):
            raise UsageError(f"{runtime} runs none of the formats {', '.join(formats)}", "leave it out of 'runtime'")
    for name, (format, _) in HEEDED.items():
        if any(getattr(grid, name)) and format not in formats:
            raise UsageError(f"--{name} is for {format} files, and none is asked for", f"add --format {format}")
    every = sorted({mode for some in modes.values() for mode in some})
    for mode in filter(None, grid.power_mode):
        if mode not in every:
            raise UsageError(
                f"no device of this grid has the power mode '{mode}'{nearest(mode, every)}",
                f"choose from: {', '.join(every)}" if every else "leave it out, or name it in devices.yaml",
            )
    for device, some in modes.items():
        if any(grid.power_mode) and some and not {None, *some} & set(grid.power_mode):
            raise UsageError(
                f"{device} has none of the power modes {', '.join(map(str, grid.power_mode))}",
                f"add one of: {', '.join(some)}; or null for the one that it is in",
            )
