"""Operators that change a tensor in place: which one they change, and the same without changing it."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.symbolic import IN_PLACE
from edgekit.frontend.values import Own, Ref, leaves, mapped

_OPERATORS = frozenset({operator.setitem, *(getattr(operator, name) for name in IN_PLACE)})
_METHODS = frozenset({"__setitem__", *(f"__{name}__" for name in IN_PLACE)})


@dataclass(frozen=True)
class Stale:
    """A tensor whose memory was changed through another one: what is in it now, no operator of the graph computes."""

    name: str
    by: str


class Values:
    """What each node stands for. A change in place gives a new value to every node that stands for the same tensor."""

    def __init__(self) -> None:
        self._values: dict[fx.Node, Any] = {}
        self._holders: dict[int | str, list[fx.Node]] = {}
        self._places: dict[str, str] = {}  # who first gave the memory that an operator's result lies in

    def keep(self, node: fx.Node, value: Any) -> None:
        """Give a node its value."""
        self._values[node] = value
        for key in {_key(leaf) for leaf in leaves(value) if isinstance(leaf, (Ref, Own))}:
            self._holders.setdefault(key, []).append(node)

    def arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The node's arguments by value. Raises UsageError where it reads what was changed through another view."""
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._values.__getitem__)
        parts = node.target is operator.getitem and isinstance(args[0], (tuple, list))  # another part may be good
        stale = [] if parts else [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Stale)]
        if stale:
            raise UsageError(
                f"{node.name} reads {stale[0].name}, which {stale[0].by} changes in place through a view of it",
                "write the change without working in place, as in y = torch.relu(y)",
            )
        return args, kwargs

    def overwrite(self, old: Ref | Own, new: Ref, apart: Callable[[str, str], bool]) -> None:
        """From now on `old` is `new`, and what shares its memory cannot be read, unless it is `apart`, by names."""
        if new.name == old.name:
            return
        memory = old.memory if isinstance(old, Ref) else new.memory
        place = self._places[new.name] = self._places.get(old.name, old.name)

        def after(value: Any) -> Any:
            if isinstance(value, (Ref, Own)) and value in (old, new):
                return Ref(new.name, memory)
            if isinstance(value, Ref) and isinstance(old, Ref) and value.memory == memory:
                other = self._places.get(value.name, value.name)
                return value if apart(other, place) else Stale(value.name, new.name)
            return value

        holders = [*self._holders.pop(_key(old), []), *self._holders.pop(_key(new), [])]
        for node in dict.fromkeys(holders):
            self.keep(node, mapped(self._values[node], after))


def _key(value: Ref | Own) -> int | str:
    return value.memory if isinstance(value, Ref) else value.name


def changed(node: fx.Node, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The argument that a call changes in place, or None."""
    first = args[0] if args else kwargs.get("input")
    if node.op == "call_module":
        return first if getattr(module.get_submodule(str(node.target)), "inplace", False) else None
    if node.op == "call_method":
        return first if node.target in _METHODS or _ends_in_one(str(node.target)) else None
    if node.op != "call_function":
        return None
    if kwargs.get("out") is not None:
        return kwargs["out"]
    target: Any = node.target
    if target in _OPERATORS or _ends_in_one(getattr(target, "__name__", "")):
        return first
    return first if _asked_to(target, args, kwargs) else None


def _ends_in_one(name: str) -> bool:
    """torch's mark of what works in place; two at the end are Python's own."""
    return name.endswith("_") and not name.endswith("__")


def _asked_to(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if "inplace" in kwargs:
        return bool(kwargs["inplace"])
    place = _place_of_inplace(function)
    return place is not None and len(args) > place and bool(args[place])


@cache
def _place_of_inplace(function: Any) -> int | None:
    try:
        names = list(inspect.signature(function).parameters)
    except (ValueError, TypeError):  # written in C, where none has this argument
        return None
    return names.index("inplace") if "inplace" in names else None


def plain(target: Any) -> Any:
    """The function or the method's name that computes the same and changes nothing; itself where there is none."""
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if not _ends_in_one(name):
        return target
    if isinstance(target, str):
        return name[:-1]
    return getattr(F, name[:-1], None) or getattr(torch, name[:-1], target)


def on_a_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which changes a copy of its first argument and returns that."""

    def run(x: Any, *rest: Any, **named: Any) -> Any:
        x = x.clone()
        function(x, *rest, **named)
        return x

    run.__name__ = str(getattr(function, "__name__", function))
    return run
