"""Permutations that cancel: a program that holds maps channels-last turns them for each layer, and back behind it.

Each permutation is put off: what treats all axes alike is computed on the axes from before it, so that it meets the one
that turns back, and layers stand beside their normalization again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from edgekit.ir.graph import Graph, Op, rebuilt
from edgekit.ir.reference import ELEMENTWISE

Dims = tuple[int, ...]  # of a value: which axis of its source each of its axes is
_ALIKE = ELEMENTWISE | {"cast", "logical_not"}
_PAIRS = frozenset({"add", "sub", "mul", "div", "pow", "maximum", "minimum"})
_OVER = frozenset({"mean", "sum", "max", "min"})


def cancel_permutes(graph: Graph) -> Graph:
    """Return the same network with fewer permutations; itself where putting them off saves none."""
    turned = _Turned(graph).whole()
    return turned if _count(turned) < _count(graph) else graph


def _count(graph: Graph) -> int:
    return sum(op.kind == "permute" for op in graph)


def _inverse(dims: Dims) -> Dims:
    return tuple(dims.index(axis) for axis in range(len(dims)))


class _Turned:
    """Goes through a graph. A view is a value that is a permutation of another one, and is not computed yet."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._before = graph, graph.by_name
        self._ops: list[Op] = []
        self._params: dict[str, Tensor] = dict(graph.params)
        self._views: dict[str, tuple[str, Dims]] = {}
        self._made: dict[tuple[str, Dims], str] = {}

    def whole(self) -> Graph:
        """Return the graph afterwards."""
        for op in self._graph:
            self._take(op)
        outputs = {public: self._value(name) for public, name in self._graph.outputs.items()}
        return rebuilt(self._graph, self._ops, outputs, self._params)

    def _take(self, op: Op) -> None:
        if op.kind == "permute" and op.attrs["dims"][0] == 0:
            source, dims = self._views.get(op.inputs[0], (op.inputs[0], tuple(range(len(op.shape)))))
            self._views[op.name] = source, tuple(dims[axis] for axis in op.attrs["dims"])
            return
        views = [self._views.get(name) for name in op.inputs]
        dims = views[0][1] if views and views[0] is not None else ()
        moved = self._moved(op, dims) if dims and all(one is not None and one[1] == dims for one in views) else None
        if moved is None:
            self._ops.append(op.with_(inputs=tuple(map(self._value, op.inputs))))
            return
        changed, after = moved
        shape = tuple(op.shape[axis] for axis in _inverse(after))
        sources = tuple(one[0] for one in views if one is not None)
        self._ops.append(changed.with_(inputs=sources, shape=shape))
        self._views[op.name] = op.name, after

    def _value(self, name: str) -> str:
        """The operator that computes a value: for a view a permutation, unless it turns nothing."""
        source, dims = self._views.get(name, (name, ()))
        if list(dims) == sorted(dims):
            return source
        if (source, dims) not in self._made:
            op = self._before[name]
            own = f"{name}/permuted" if source == name else name
            self._ops.append(op.with_(name=own, kind="permute", inputs=(source,), params={}, attrs={"dims": dims}))
            self._made[source, dims] = own
        return self._made[source, dims]

    def _moved(self, op: Op, dims: Dims) -> tuple[Op, Dims] | None:
        """An operator on the axes from before its views, and what its value then is; None where it cannot be moved."""
        if op.kind in _ALIKE:
            return op, dims
        if op.kind in _PAIRS:
            return (self._paired(op, dims), dims) if len(dims) == len(op.shape) else None
        if op.kind in _OVER:
            return _reduced(op, dims)
        change = _AXES.get(op.kind)
        changed = change(op.attrs, dims) if change is not None else None
        return None if changed is None else (op.with_(attrs={**op.attrs, **changed}), dims)

    def _paired(self, op: Op, dims: Dims) -> Op:
        """An operator of two values, or of one and a tensor of the network, whose axes then lie otherwise."""
        name = op.params.get("other")
        other = self._params[name] if name is not None else None
        if other is None or other.numel() == 1:
            return op
        own = f"{op.name}.other/permuted"  # not in the place of what others may read, too
        whole = other.reshape([1] * (len(dims) - other.dim()) + list(other.shape))
        self._params[own] = whole.permute(_inverse(dims)).contiguous()
        return op.with_(params={"other": own})


def _reduced(op: Op, dims: Dims) -> tuple[Op, Dims]:
    """A reduction over the same axes. Those that are left keep their order, so that less may be left to turn."""
    over = tuple(op.attrs["dims"])
    changed = op.with_(attrs={**op.attrs, "dims": tuple(sorted(dims[axis] for axis in over))})
    if op.attrs["keepdim"]:
        return changed, dims
    left = [dims[axis] for axis in range(len(dims)) if axis not in over]
    return changed, tuple(sorted(left).index(axis) for axis in left)


def _one_axis(attrs: Mapping[str, Any], dims: Dims) -> dict[str, Any]:
    return {"dim": dims[attrs["dim"]]}


def _padded(attrs: Mapping[str, Any], dims: Dims) -> dict[str, Any] | None:
    if attrs.get("mode", "constant") != "constant":
        return None  # of the other modes torch has those behind the channels alone
    return {"pads": tuple(attrs["pads"][axis] for axis in _inverse(dims))}


# What an operator's attributes become on the axes from before.
_AXES: dict[str, Callable[[Mapping[str, Any], Dims], dict[str, Any] | None]] = {
    "cat": _one_axis,
    "slice": _one_axis,
    "softmax": _one_axis,
    "log_softmax": _one_axis,
    "pad": _padded,
    "flip": lambda attrs, dims: {"dims": tuple(dims[axis] for axis in attrs["dims"])},
    "tile": lambda attrs, dims: {"repeats": tuple(attrs["repeats"][axis] for axis in _inverse(dims))},
}
