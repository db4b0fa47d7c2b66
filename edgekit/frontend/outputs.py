"""What forward() returns, as outputs with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node

LEAVE_OUT = "leave it out of what forward() returns, or of the outputs of the file"


def named_outputs(result: Any, node_of: Callable[[Any], Any], builder: Builder) -> dict[str, Node]:
    """The outputs by public name, in order; the only one of a network without a name of its own has "".

    Names are the keys of dictionaries, the fields of named tuples, or output_0, output_1 ... One that an input has, as
    of a state that comes back, gets _out behind it: ONNX has a name once. Raises UsageError for a result without
    tensors, or one that holds anything else.
    """
    if isinstance(result, Tensor):
        return {"": _checked("the network returns", node_of(result), builder, set())}
    found: dict[str, Node] = {}
    used: set[int] = set()
    inputs = {node.name for node in builder.nodes if node.kind == "input"}
    for path, value in flat(result):
        if not path:
            raise UsageError(f"the network returns {_told(value)}, not a tensor", "return a tensor, or several")
        own = _name(path)
        name = f"{own}_out" if own in inputs else own
        if name in found:
            raise UsageError(f"two outputs of the network are called {name}", "give them names of their own")
        node = node_of(value) if isinstance(value, Tensor) else value
        found[name] = _checked(f"output {own} of the network is", node, builder, used)
    if not found:
        raise UsageError(f"the network returns {_told(result)}, not a tensor", "return a tensor, or several")
    if len(found) == 1 and not isinstance(result, Mapping):
        return {"": next(iter(found.values()))}
    return found


def flat(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What stands in a result, in order, with the keys that lead there."""
    if value is None and path:
        return  # what is there in training only
    if isinstance(value, Mapping):
        parts: Any = value.items()
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = zip(value._fields, value, strict=True)
    elif isinstance(value, (tuple, list)):
        parts = enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    else:
        yield path, value
        return
    for key, part in parts:
        yield from flat(part, (*path, key))


def _name(path: tuple[Any, ...]) -> str:
    first = f"output_{path[0]}" if isinstance(path[0], int) else str(path[0])
    return ".".join([first, *map(str, path[1:])])


def _checked(what: str, node: Node | Any, builder: Builder, used: set[int]) -> Node:
    """An operator of its own for each output."""
    if isinstance(node, Tensor):
        raise UsageError(f"{what} a tensor that does not depend on the input", LEAVE_OUT)
    if not isinstance(node, Node):
        raise UsageError(f"{what} {_told(node)}, not a tensor", "return tensors only")
    if node.dtype.is_complex:
        raise UsageError(
            f"{what} complex numbers, which no format has", "return torch.view_as_real(y), or y.real and y.imag"
        )
    if node.kind == "input":
        raise UsageError(
            f"{what} its input {node.name} unchanged" if "returns" in what else f"{what} the input {node.name}",
            LEAVE_OUT,
        )
    if not node.shape:
        raise UsageError(
            f"{what} one number without axes for all of its inputs together",
            "keep the batch in front, as x.mean((1, 2, 3)) does",
        )
    if 0 in node.shape:
        raise UsageError(f"{what} a tensor without elements, of shape {node.shape}", LEAVE_OUT)
    if id(node) in used:
        node = builder.emit(f"{node.name}/again", "reshape", [node], shape=(-1, *node.shape[1:]))
    used.add(id(node))
    found: Node = node
    return found


def _told(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (str, int, float, bool)):
        return f"{type(value).__name__} {value!r}"[:60]
    return type(value).__name__ + (" of nothing" if isinstance(value, (tuple, list, dict)) and not value else "")
