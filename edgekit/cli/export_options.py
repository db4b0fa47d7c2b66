"""The options of `export` and of `sweep` on the command line, made from edgekit.exporting.options.

A command line has texts where Python has values: lists are words between commas, a network's options NAME=VALUE.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from edgekit.cli import options as o
from edgekit.exporting.options import DEFAULTS, HINTS, OPTIONS, Preprocess, StrPath, flag
from edgekit.network.inputs import Input

_PATHS = (StrPath, StrPath | None, Preprocess | None)
Command = TypeVar("Command", bound=Callable[..., Any])


def parameter(name: str, **other: Any) -> inspect.Parameter:
    """Return an option of ExportOptions as a parameter of a command.

    `other` replaces its default, its `hint` (the type on the command line), `help` or `metavar`.
    """
    option, hint = OPTIONS[name], other.get("hint", _on_command_line(name))
    names = option.names or (flag(name),)
    shown = typer.Option(
        *names,
        help=other.get("help", option.help),
        metavar=other.get("metavar", option.metavar or "|".join(option.choices) or None),
        show_default="default" not in other,
    )
    return keyword(name, Annotated[hint, shown], other.get("default", _as_text(name)))


def keyword(name: str, hint: Any, default: Any) -> inspect.Parameter:
    """Return a parameter of a command that is of no export."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def from_text(name: str, value: Any) -> Any:
    """Return what was given on the command line as ExportOptions takes it; None for what was not given."""
    if value is None:
        return None
    if HINTS[name] == Sequence[str]:
        return o.words(value, flag(name))
    if name == "input":
        return o.inputs(value)
    return o.pairs(value) if name == "options" else value


def takes(parameters: Sequence[inspect.Parameter]) -> Callable[[Command], Command]:
    """Give a command that takes any keywords the parameters by which typer reads its arguments.

    They stand after its own positional ones, and before the keywords that are not among them.
    """
    names = {one.name for one in parameters}

    def given(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        fixed = [one for one in own.parameters.values() if one.kind != inspect.Parameter.VAR_KEYWORD]
        first = [one for one in fixed if one.kind != inspect.Parameter.KEYWORD_ONLY]
        last = [one for one in fixed if one.kind == inspect.Parameter.KEYWORD_ONLY and one.name not in names]
        signature = own.replace(parameters=[*first, *parameters, *last])
        command.__dict__["__signature__"] = signature
        command.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        return command

    return given


def _on_command_line(name: str) -> Any:
    hint = HINTS[name]
    if hint in _PATHS:
        return Path if hint == StrPath else Path | None
    if hint == Sequence[str]:
        return str
    if hint in (Input, Mapping[str, str] | None):
        return list[str] | None
    return str | None if OPTIONS[name].read else hint


def _as_text(name: str) -> Any:
    default = DEFAULTS[name]
    if HINTS[name] in _PATHS and default is not None:
        return Path(default)
    return ",".join(default) if isinstance(default, tuple) else default
