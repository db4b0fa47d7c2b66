"""What a mask takes that the network computes, as x[x > 0]: how many elements these are, nobody knows.

They are kept as the whole of x, with the mask. What treats every element alike may be done to them, and linear layers
where the mask takes whole rows. x[mask] = what the same mask has taken is then a choice between two wholes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgekit.frontend.calls import Call
from edgekit.frontend.node import Node, leaves
from edgekit.frontend.operators.indexing import by_mask
from edgekit.frontend.refusals import takes_by_mask
from edgekit.ir.reference import ELEMENTWISE

if TYPE_CHECKING:
    from edgekit.frontend.recorder import Recorder

_OF_TWO = frozenset(
    {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "floor_div", "remainder", "equal", "not_equal", "less"}
    | {"less_equal", "greater", "greater_equal", "logical_and", "logical_or", "where"}
)
_ALIKE = ELEMENTWISE | _OF_TWO | {"logical_not", "cast"}
_ASKED = frozenset({"dtype", "device", "is_floating_point", "is_complex", "layout", "requires_grad", "is_cuda"})


class Masks:
    """The tensors of forward() that a mask has taken of others."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._taken: dict[int, tuple[Tensor, Node]] = {}  # with the mask

    def answer(self, func: Callable[..., Any], call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call gives that is about such tensors; NotImplemented for others.

        Raises UsageError where it needs to know which elements were taken.
        """
        masks = [self._taken[id(x)][1] for x in leaves((args, kwargs), Tensor) if id(x) in self._taken]
        if not masks:
            return self._take(args) if call.name == "__getitem__" else NotImplemented
        if call.name in _ASKED:
            return NotImplemented
        if call.name == "__setitem__":
            return self._set(call, *args)
        return self._changed(masks, func, call, args, kwargs)

    def output(self, value: Any) -> Any:
        """Return what an output is in the graph. Raises UsageError for one that a mask has taken."""
        if isinstance(value, Tensor) and id(value) in self._taken:
            raise takes_by_mask("the output")
        return self._recorder.node_of(value)

    def _take(self, args: tuple[Any, ...]) -> Any:
        """x[mask]"""
        x, mask = (self._recorder.node_of(value) for value in args)
        if not (isinstance(mask, Node) and mask.dtype == torch.bool and isinstance(x, (Node, Tensor))):
            return NotImplemented
        if not mask.rank or tuple(x.shape[: mask.rank]) != mask.shape or x.dtype.is_complex:
            return NotImplemented
        whole = x if isinstance(x, Node) else self._recorder.builder.constant("getitem/of", x)
        tensor = whole.meta()
        self._recorder.storage.fresh(tensor, whole)
        self._taken[id(tensor)] = tensor, mask
        return tensor

    def _changed(self, masks: list[Node], func: Any, call: Call, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a function of taken elements gives, which are still as many."""
        nodes, mask = self._recorder.builder.nodes, masks[0]
        computed = [x for x in leaves((args, kwargs), Tensor) if x in self._recorder.storage]
        if len(computed) > len(masks):  # others have all elements
            raise takes_by_mask(call.shown)
        before, wholes = len(nodes), {id(self._recorder.node_of(x)) for x in computed}
        result = self._recorder.about_tensors(func, call, args, kwargs)
        made = nodes[before:]
        known = wholes | set(map(id, made))
        alike = all(_is_alike(node, known, mask) for node in made)
        if not isinstance(result, Tensor) or not alike or not all(_same(one, mask) for one in masks):
            raise takes_by_mask(call.shown)
        self._taken[id(result)] = result, mask
        return result

    def _set(self, call: Call, target: Tensor, index: Any, value: Any) -> None:
        """x[mask] = what the same mask has taken."""
        taken, mask = self._taken.get(id(value)), self._recorder.node_of(index)
        fits = taken is not None and isinstance(mask, Node) and _same(mask, taken[1])
        if not fits or id(target) in self._taken or tuple(value.shape[: mask.rank]) != tuple(target.shape[: mask.rank]):
            raise takes_by_mask(call.shown)
        x = self._recorder.ready(target)
        name = self._recorder.scope.name("setitem")
        chosen = by_mask(self._recorder.builder, name, x, mask, self._recorder.node_of(value))
        self._recorder.storage.write(target, chosen)


def _is_alike(node: Node, known: set[int], mask: Node) -> bool:
    """Whether an operator does the same to every element, or to every row, that a mask may take."""
    numbers = all(tensor.numel() == 1 for tensor in node.params.values())
    if node.kind == "constant":
        return numbers
    fits = numbers if node.kind in _ALIKE else node.kind == "linear" and node.rank > mask.rank
    return fits and node.shape[: mask.rank] == mask.shape and all(id(x) in known for x in node.inputs)


def _same(one: Node, other: Node) -> bool:
    """Whether two operators give the same, as the two masks of x[x > 0] = y[x > 0] do."""
    if one is other:
        return True
    if one.kind == "input" or (one.kind, one.attrs, one.params.keys()) != (
        other.kind,
        other.attrs,
        other.params.keys(),
    ):
        return False
    owned = all(tensor is other.params[role] for role, tensor in one.params.items())
    pairs = zip(one.inputs, other.inputs, strict=False)
    return owned and len(one.inputs) == len(other.inputs) and all(_same(*pair) for pair in pairs)
