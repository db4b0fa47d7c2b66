"""Making a grid of what was typed and of what its file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekit.errors import UsageError
from edgekit.exporting.options import ExportOptions
from edgekit.sweeps.grid.axes import VARIED
from edgekit.sweeps.grid.checks import checked
from edgekit.sweeps.grid.fields import KEYS, PATHS, SHARED, Grid, Shared
from edgekit.sweeps.grid.file import Origin, invalid, read, refuse_unknown

SUFFIXES = (".yaml", ".yml")  # of a grid's file, which stands in the place of a network
OWN = ("model", "preprocess")  # of a network with a preprocessing of its own
Models = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def grid(model: Models, **asked: Any) -> Grid:
    """The checked grid of networks by name, or of a YAML file; what is asked for here replaces what the file says.

    A network with a preprocessing of its own is a mapping: {"model": "mynet.py:build", "preprocess": "mine.yaml"}.

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
    values |= _own_preprocess(values.get("model"), origin)
    with origin.told():
        return _validated(values, origin)


def _own_preprocess(model: Any, origin: Origin) -> dict[str, Any]:
    """The networks of a grid by name, and the preprocessing of those that are written as a mapping with their own."""
    entries = model if isinstance(model, (list, tuple)) else [model]
    own = [one for one in entries if isinstance(one, Mapping)]
    for one in own:
        if not _is_own(one):
            raise UsageError(
                f"an entry of 'model'{origin.of('model')} has the keys {', '.join(map(str, one)) or 'of nothing'}",
                "write a name, or {model: mynet.py:build, preprocess: mine.yaml}",
            )
    names = tuple(one["model"] if isinstance(one, Mapping) else one for one in entries)
    return {"model": names, "own_preprocess": tuple((one["model"], one["preprocess"]) for one in own)} if own else {}


def _is_own(entry: Mapping[Any, Any]) -> bool:
    """Whether an entry is a network with a preprocessing: its name, and a file or its keys."""
    kinds = isinstance(entry.get("model"), str), isinstance(entry.get("preprocess"), (str, Path, Mapping))
    return set(entry) == set(OWN) and all(kinds)


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
