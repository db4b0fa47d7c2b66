"""What a value of forward() is in a graph, and the arguments of a call as a structure with places for tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx


@dataclass(frozen=True)
class Ref:
    """A tensor that an operator computes; those of one `memory` change together where one is changed in place."""

    name: str
    memory: int


@dataclass(frozen=True)
class Own:
    """A tensor that the network owns, by its qualified name, or one that forward() makes of these alone."""

    name: str


@dataclass(frozen=True)
class Slot:
    """Where a tensor goes in the arguments of a call: the index of an input, or the role of an own tensor."""

    key: int | str


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure of lists, tuples and dictionaries with each leaf changed."""
    if isinstance(value, (tuple, list)):
        return type(value)(mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(item, change) for item in (value.start, value.stop, value.step)))
    return change(value)


def leaves(value: Any) -> list[Any]:
    """What stands in a structure of lists, tuples and dictionaries."""
    found: list[Any] = []
    mapped(value, found.append)
    return found


def placed(arguments: Any) -> tuple[Any, list[Ref], dict[str, Own | None]]:
    """The arguments with a place for each tensor: what an operator computes, in order, and what is owned, by role."""
    refs: list[Ref] = []
    owns: dict[str, Own | None] = {}

    def place(value: Any) -> Any:
        if isinstance(value, Ref):
            refs.append(value)
            return Slot(len(refs) - 1)
        if isinstance(value, Own):
            role = f"p{len(owns)}"
            owns[role] = value
            return Slot(role)
        return value

    return mapped(arguments, place), refs, owns


def filling(function: Callable[..., Any], template: Any) -> Callable[..., Any]:
    """A function of tensors, and of own ones by role, that calls `function` with these in the template's places."""

    def run(*tensors: Tensor, **own: Tensor) -> Any:
        def fill(value: Any) -> Any:
            if not isinstance(value, Slot):
                return value
            return tensors[value.key] if isinstance(value.key, int) else own[value.key]

        args, kwargs = mapped(template, fill)
        return function(*args, **kwargs)

    return run


def method(name: str) -> Callable[..., Any]:
    """The method of a tensor as a function."""

    def function(x: Any, *rest: Any, **named: Any) -> Any:
        return getattr(x, name)(*rest, **named)

    function.__name__ = name
    return function


def scoped(node: fx.Node) -> str:
    """A readable name for a call outside any leaf module: the module that it stands in, and its own."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    scope = str(stack[-1][0]) if stack and isinstance(stack[-1], tuple) else ""
    return f"{scope}.{node.name}" if scope else node.name
