"""Arguments of forward() that hold several tensors: a dictionary, list, named tuple or dataclass of them.

A dot in an input's name leads into one: `batch.image` and `batch.state` give forward(batch) a batch with these keys,
and `maps.0` and `maps.1` give forward(maps) a list. The file has an input for each tensor.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_type_hints

from torch import nn

from edgekit.errors import UsageError, first_line

# An argument: the place of its tensor among the inputs, or its parts by key.
Part = int | Mapping[str, "Part"]


def names_in_file(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a file's inputs: the last key of each, with what leads to it where that is no name, or two's.

    Raises UsageError where two inputs get one name in spite of that.
    """
    paths = [name.split(".") for name in names]
    keys = Counter(path[-1] for path in paths)
    found = tuple(
        path[-1] if keys[path[-1]] == 1 and _is_name(path[-1]) else re.sub(r"\W", "_", "_".join(path)) for path in paths
    )
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise UsageError(f"two inputs are called {twice[0]} in a file", "give one of them another key in forward()")
    return found


def _is_name(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key) and key != "self"


def taking_tensors(module: nn.Module, names: Sequence[str]) -> nn.Module:
    """Return a module like this one, whose forward() takes one tensor for each name; itself where it does already.

    It shares the tensors of this one, which stays as it is. Raises UsageError for names that do not fit an argument.
    """
    if not any("." in name for name in names):
        return module
    kind, parts = type(module), _parts(names)
    hints = _hints(kind.forward)
    for name, part in parts.items():
        _check(name, hints.get(name), part)

    @functools.wraps(kind.forward)
    def forward(self: nn.Module, *tensors: Any) -> Any:
        return kind.forward(self, *(_made(hints.get(name), part, tensors) for name, part in parts.items()))

    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names_in_file(names))
    ]
    forward.__dict__["__signature__"] = inspect.Signature(parameters)
    found = copy.copy(module)
    found.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return found


def _parts(names: Sequence[str]) -> dict[str, Part]:
    """The arguments by name, with the places of their tensors."""
    found: dict[str, Any] = {}
    for place, name in enumerate(names):
        *path, last = name.split(".")
        inside = found
        for key in path:
            inside = inside.setdefault(key, {})
            if not isinstance(inside, dict):
                break
        if not isinstance(inside, dict) or last in inside or not all((*path, last)):
            raise UsageError(
                f"--input {name} names no tensor of its own", "write ARGUMENT.KEY once for each tensor of an argument"
            )
        inside[last] = place
    return found


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # names that only a type checker knows
        return {}


def _named(annotation: Any) -> Any:
    """The named tuple or dataclass that an annotation asks for; None for others."""
    for kind in (annotation, *get_args(annotation)):
        is_class = isinstance(kind, type)
        if is_class and (dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))):
            return kind
    return None


def _is_list(part: Mapping[str, Part]) -> bool:
    return list(part) == [str(place) for place in range(len(part))]


def _check(name: str, annotation: Any, part: Part) -> None:
    kind = _named(annotation)
    if isinstance(part, int) or kind is None or _is_list(part):
        return
    try:
        inspect.signature(kind).bind(**dict.fromkeys(part))
    except TypeError as error:
        fields = " ".join(f"--input {name}.{field}=1,..." for field in inspect.signature(kind).parameters)
        raise UsageError(
            f"{name} of forward() is a {kind.__name__}: {first_line(error)}", f"name its fields: {fields}"
        ) from error
    hints = _hints(kind)
    for key, inside in part.items():
        _check(f"{name}.{key}", hints.get(key), inside)


def _made(annotation: Any, part: Part, tensors: Sequence[Any]) -> Any:
    """An argument, of the inputs' tensors."""
    if isinstance(part, int):
        return tensors[part]
    kind = _named(annotation)
    hints = {} if kind is None else _hints(kind)
    values = {key: _made(hints.get(key), inside, tensors) for key, inside in part.items()}
    if _is_list(part):
        return list(values.values()) if kind is None else kind(*values.values())
    return values if kind is None else kind(**values)
