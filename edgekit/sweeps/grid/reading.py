"""Making a grid of what was typed and of what its file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekit.errors import UsageError
from edgekit.exporting.options import ExportOptions
from edgekit.network.names import is_own_name
from edgekit.sweeps.grid.axes import VARIED
from edgekit.sweeps.grid.checks import checked
from edgekit.sweeps.grid.fields import KEYS, PATHS, SHARED, Grid, Shared
from edgekit.sweeps.grid.file import Origin, invalid, read, refuse_unknown
from edgekit.sweeps.weights import OWN

SUFFIXES = (".yaml", ".yml")  # of a grid's file, which stands in the place of a network
# A network that has something of its own, as a mapping: its keys, and what their values are.
ENTRY: dict[str, tuple[type, ...]] = {"model": (str,), "weights": (str, Path), "preprocess": (str, Path, Mapping)}
Models = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def grid(model: Models, **asked: Any) -> Grid:
    """The checked grid of networks by name, or of a YAML file; what is asked for here replaces what the file says.

    A network with weights or a preprocessing of its own is a mapping: {"model": "mynet.py:build", "weights": "own"}.

    Values that are None were not asked for. Raises UsageError, naming the key.
    """
    models = (model,) if isinstance(model, (str, Mapping)) else tuple(model)
    file = next((name for name in models if isinstance(name, str) and name.endswith(SUFFIXES)), None)
    if file is not None and len(models) > 1:
        raise UsageError(f"{file} is a grid, and other networks stand beside it", "name the networks in the file")
    values, origin = read(Path(file), PATHS) if file else ({"model": models}, Origin())
    typed = {key: value for key, value in asked.items() if value is not None}
    origin = replace(origin, lines={key: line for key, line in origin.lines.items() if key not in typed})
    values |= typed
    refuse_unknown(tuple(values), KEYS, origin)
    values |= _own(values.get("model"), origin)
    with origin.told():
        return _validated(values, origin)


def _own(model: Any, origin: Origin) -> dict[str, Any]:
    """The networks of a grid by name, and what those that are written as a mapping have of their own."""
    entries = model if isinstance(model, (list, tuple)) else [model]
    own = [(str(one.get("model")), _own_of(one, origin)) for one in entries if isinstance(one, Mapping)]
    names = tuple(one["model"] if isinstance(one, Mapping) else one for one in entries)
    twice = next((name for name, _ in own if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"'model'{origin.of('model')} names {twice} twice", "make a grid of each, with the same store")
    return {"model": names, "own": tuple(own)} if own else {}


def _own_of(entry: Mapping[Any, Any], origin: Origin) -> dict[str, Any]:
    """What an entry has of its own; weights that a function brings are `random`, as where none are given."""
    fault = _fault(entry)
    if fault:
        raise UsageError(
            f"an entry of 'model'{origin.of('model')} {fault}",
            "write a name, or {model: mynet.py:build, weights: own, preprocess: mine.yaml}",
        )
    own = {key: str(value) if key == "weights" else value for key, value in entry.items() if key != "model"}
    if own.get("weights") == OWN:
        if not is_own_name(entry["model"]):
            raise UsageError(f"{entry['model']} brings no weights{origin.of('model')}", "name a file, or pretrained")
        own["weights"] = "random"
    return own


def _fault(entry: Mapping[Any, Any]) -> str | None:
    """What is wrong with the keys of a network that is written as a mapping."""
    for key, value in entry.items():
        if key not in ENTRY:
            return f"cannot have the key '{key}' of its own"
        if not isinstance(value, ENTRY[key]):
            return f"has a wrong value of '{key}'"
    if "model" not in entry:
        return "names no network"
    return "has nothing of its own" if len(entry) == 1 else None


def _validated(values: Mapping[str, Any], origin: Origin) -> Grid:
    try:
        varied = {key: value for key, value in values.items() if key in VARIED and _is_several(value)}
        alone = {key: _alone(key, value) for key, value in values.items() if key in SHARED and key not in varied}
        shared = ExportOptions("", **dict(Shared.model_validate(alone)))
        own = {key: value for key, value in values.items() if key not in SHARED}
        found = Grid.model_validate({**own, "export": shared, "varied": tuple(varied.items()), "origin": origin})
        return checked(found)
    except ValidationError as error:
        raise invalid(error, origin) from error


def _is_several(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 1


def _alone(name: str, value: Any) -> Any:
    """The value of an option that all files share; a list of one stands for it."""
    return value[0] if name in VARIED and isinstance(value, (list, tuple)) and value else _tuple(value)


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
