"""Which memory a tensor of forward() lies in, and what is in it now.

A call that works in place changes a memory; every tensor that lies in it, views among them, then has other values. A
tensor is therefore remembered with the steps that lead to it from the whole of its memory: reading one that was changed
behind its back takes these steps again, and writing to one puts the new values back through them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Complex, Node
from edgekit.frontend.refusals import at

STEPS = frozenset({"slice", "reshape", "permute"})  # what a view is made of


@dataclass(eq=False)
class Memory:
    """A memory: the operator that gives the whole of it now, and how often it was changed."""

    whole: Node
    version: int = 0


@dataclass(eq=False)
class Held:
    """A tensor of forward(): its memory, the steps from there (None: unknown), and its operator as of `version`."""

    tensor: Tensor
    memory: Memory
    steps: tuple[Node, ...] | None
    node: Node
    version: int = 0


class Storage:
    """What each tensor of forward() stands for."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._held: dict[int, Held] = {}
        self._adopted: dict[int, tuple[Memory, int]] = {}  # memories of constants that were written to

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._held or (bool(self._adopted) and self._adopt_view(tensor))

    def fresh(self, tensor: Tensor, node: Node) -> None:
        """A tensor with memory of its own."""
        self._held[id(tensor)] = Held(tensor, Memory(node), (), node)

    def emptied(self, tensor: Tensor) -> Tensor:
        """A tensor that was given an empty memory, as set_() does to free the one before; which others may lie in."""
        self.fresh(tensor, self._builder.constant("empty", torch.empty(0, dtype=tensor.dtype)))
        return tensor

    def view(self, tensor: Tensor, node: Node, of: Tensor) -> None:
        """A tensor that lies in the memory of another one."""
        base = self._held[id(of)]
        path = _path(base.node, node)
        steps = None if base.steps is None or path is None else (*base.steps, *path)
        self._held[id(tensor)] = Held(tensor, base.memory, steps, node, base.memory.version)

    def read(self, tensor: Tensor) -> Node:
        """The operator that gives a tensor's values now."""
        held = self._held[id(tensor)]
        if held.version != held.memory.version:
            if held.steps is None:
                raise _lost()
            held.node = held.memory.whole
            for step in held.steps:
                held.node = self._again(step, held.node)
            held.version = held.memory.version
        return held.node

    def write(self, tensor: Tensor, node: Node) -> None:
        """Change a tensor in place: from now on it, and what shares its memory, has the values of `node`."""
        held = self._held[id(tensor)]
        current = self.read(tensor)
        if node.dtype != current.dtype:
            node = self._builder.emit(f"{node.name}/cast", "cast", [node], dtype=current.dtype)
        if held.steps is None:
            raise _lost()
        wholes = [held.memory.whole]
        for step in held.steps[:-1]:
            wholes.append(self._again(step, wholes[-1]))
        value = node
        for step, whole in zip(reversed(held.steps), reversed(wholes), strict=False):
            value = self._back(step, whole, value)
        held.memory.whole = value
        held.memory.version += 1
        held.node, held.version = node, held.memory.version

    def adopt(self, tensor: Tensor) -> None:
        """From now on a constant is a value of the network's: it is about to be written to."""
        if tensor in self:
            return
        memory = Memory(self._builder.constant("constant", tensor.clone()))
        self._adopted[tensor.untyped_storage().data_ptr()] = memory, id(tensor)
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        self._held[id(tensor)] = Held(tensor, memory, () if whole else None, memory.whole)
        if not whole:
            self._flat(tensor, memory)

    def _flat(self, tensor: Tensor, memory: Memory) -> None:
        """A constant that is part of a larger memory: the memory is adopted as a vector."""
        size = tensor.untyped_storage().nbytes() // tensor.element_size()
        everything = tensor.as_strided((size,), (1,), 0)
        memory.whole = self._builder.constant("constant", everything.clone())
        held = self._held[id(tensor)]
        held.steps = self._strided(tensor, memory.whole)
        held.node = held.steps[-1] if held.steps else memory.whole

    def _adopt_view(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in the memory of a constant that was written to, seen for the first time."""
        if tensor.is_meta:
            return False
        found = self._adopted.get(tensor.untyped_storage().data_ptr())
        if found is None:
            return False
        memory, _ = found
        flat = self._builder.emit("view", "reshape", [memory.whole], shape=(_count(memory.whole),))
        path = self._strided(tensor, flat)
        first = (flat,) if memory.whole.rank != 1 else ()
        self._held[id(tensor)] = Held(tensor, memory, (*first, *path), path[-1], memory.version)
        return True

    def _strided(self, tensor: Tensor, flat: Node) -> tuple[Node, ...]:
        """The steps from the vector of a memory to a tensor that lies densely in it; others are found by index."""
        b, start, count = self._builder, tensor.storage_offset(), tensor.numel()
        if not tensor.is_contiguous():
            places = torch.arange(_count(flat)).as_strided(tensor.shape, tensor.stride(), start).reshape(-1)
            part = b.emit("view", "gather", [flat], {"indices": places}, dim=0)
        else:
            part = b.emit("view", "slice", [flat], dim=0, start=start, stop=start + count, step=1)
        return part, b.emit("view", "reshape", [part], shape=tuple(tensor.shape))

    def _again(self, step: Node, x: Node) -> Node:
        """A step from another state of the memory."""
        if isinstance(x, Complex):
            return Complex.of(self._again(step, x.real), self._again(step, x.imag))
        if step.kind == "slice":
            part = _part_of(x, step)
            if part is not None:
                return part
        return self._builder.add(
            Node(step.name, step.kind, (x,), step.shape, x.dtype, step.params, step.attrs, step.where)
        )

    def _back(self, step: Node, whole: Node, value: Node) -> Node:
        """The whole with new values where a step takes its part."""
        if isinstance(whole, Complex) and isinstance(value, Complex):
            return Complex.of(self._back(step, whole.real, value.real), self._back(step, whole.imag, value.imag))
        b, name = self._builder, f"{value.name}/back"
        if step.kind == "reshape":
            return b.emit(name, "reshape", [value], shape=_kept(value.shape, whole.shape))
        if step.kind == "permute":
            dims = step.attrs["dims"]
            return b.emit(name, "permute", [value], dims=tuple(dims.index(axis) for axis in range(len(dims))))
        if step.kind == "gather":
            places = step.params["indices"]
            return put(b, name, whole, value, 0, places)
        a = step.attrs
        size = whole.shape[a["dim"]]
        places = torch.arange(size)[a["start"] : a["stop"] : a["step"]]
        return put(b, name, whole, value, a["dim"], places)


def put(b: Builder, name: str, whole: Node, value: Node, dim: int, places: Tensor) -> Node:
    """`whole` with `value` at some places along an axis."""
    size, count = whole.shape[dim], len(places)
    first = int(places[0]) if count else 0
    if count == size and torch.equal(places, torch.arange(size)):
        return value
    if torch.equal(places, torch.arange(first, first + count)):
        before = _cut(b, name, whole, dim, 0, first)
        after = _cut(b, name, whole, dim, first + count, size)
        return b.emit(name, "cat", [*before, value, *after], dim=dim)
    order = torch.arange(size)
    order[places] = size + torch.arange(count)
    both = b.emit(f"{name}/both", "cat", [whole, value], dim=dim)
    return b.emit(name, "gather", [both], {"indices": order}, dim=dim)


def _cut(b: Builder, name: str, x: Node, dim: int, start: int, stop: int) -> list[Node]:
    if start >= stop:
        return []
    step = Node(f"{name}/part", "slice", (x,), attrs={"dim": dim, "start": start, "stop": stop, "step": 1})
    part = _part_of(x, step)
    return [part or b.emit(step.name, "slice", [x], **step.attrs)]


def _part_of(x: Node, step: Node) -> Node | None:
    """What a slice takes where it takes exactly one of the tensors that were put together."""
    a = step.attrs
    if x.kind != "cat" or x.attrs["dim"] != a["dim"] or a["step"] != 1:
        return None
    start = 0
    for part in x.inputs:
        if (start, start + part.shape[a["dim"]]) == (a["start"], a["stop"]):
            return part
        start += part.shape[a["dim"]]
    return None


def _path(start: Node, end: Node) -> tuple[Node, ...] | None:
    """The steps from one operator to another; those of a complex tensor are the same in both of its parts."""
    if isinstance(start, Complex) and isinstance(end, Complex):
        return _path(start.real, end.real)
    steps: list[Node] = []
    while end is not start:
        if end.kind not in STEPS:
            return None
        steps.append(end)
        (end,) = end.inputs
    return tuple(reversed(steps))


def _count(node: Node) -> int:
    return int(torch.Size(node.shape).numel())


def _kept(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a reshape, whose batch stays free where it is kept."""
    return (-1, *after[1:]) if before[:1] == after[:1] and before else after


def _lost() -> UsageError:
    return UsageError(
        at(scope.line(), "forward() changes a tensor in place through a view that cannot be followed"),
        "write the change without working in place, as in y = torch.relu(y)",
    )
