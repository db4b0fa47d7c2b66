"""A call without a form: the function itself, with places for the tensors among its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.calls import Call
from edgekit.frontend.node import Node, mapped
from edgekit.frontend.refusals import REFUSALS, at, refused


@dataclass(frozen=True)
class Slot:
    """Where a tensor goes in the arguments of a call: the index of an input, or the role of an own tensor."""

    key: int | str


def calling(b: Builder, name: str, call: Call, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operator or operators of a call that has no form: one for each tensor that it gives."""
    nodes: list[Node] = []
    owns: dict[str, Tensor] = {}

    def place(value: Any) -> Any:
        if isinstance(value, Node):
            nodes.append(value)
            return Slot(len(nodes) - 1)
        if isinstance(value, Tensor):
            owns[f"p{len(owns)}"] = value
            return Slot(f"p{len(owns) - 1}")
        return value

    template = mapped((args, kwargs), place)
    run = _filling(function, template)
    try:
        with torch.no_grad():
            tried = run(*(node.meta() for node in nodes), **{role: t.detach().to("meta") for role, t in owns.items()})
    except REFUSALS as error:
        raise refused(f"{name} ({call.shown})", nodes, error) from error
    if isinstance(tried, Tensor):
        return b.call(name, call.shown, run, nodes, owns)
    if not isinstance(tried, (tuple, list)):
        raise UsageError(
            at(scope.line(), f"{call.shown} gives {type(tried).__name__}, which is no tensor"),
            "write forward() with operators that give tensors",
        )
    return tuple(
        b.call(f"{name}/{index}", call.shown, _part(run, index), nodes, owns) if isinstance(value, Tensor) else value
        for index, value in enumerate(tried)
    )


def _filling(function: Callable[..., Any], template: Any) -> Callable[..., Any]:
    """A function of tensors, and of own ones by role, that calls `function` with these in the template's places."""

    def run(*tensors: Tensor, **own: Tensor) -> Any:
        def fill(value: Any) -> Any:
            if not isinstance(value, Slot):
                return value
            return tensors[value.key] if isinstance(value.key, int) else own[value.key]

        args, kwargs = mapped(template, fill)
        return function(*args, **kwargs)

    return run


def _part(run: Callable[..., Any], index: int) -> Callable[..., Any]:
    def part(*tensors: Tensor, **own: Tensor) -> Any:
        return run(*tensors, **own)[index]

    return part
