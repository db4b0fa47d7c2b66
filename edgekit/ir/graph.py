"""A network as data: a flat list of operators with their shapes, and the tensors they own.

Everything after the torch module works on this: fold, layer table, calibration, simulation and the exporters.
Layouts and meanings are torch's (N, C, *spatial). Static shapes; only the batch may vary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from edgekit.ir.reference import ELEMENTWISE, KERNELS
from edgekit.ir.whole_inputs import drawn

SAME = 1e-3  # of the largest output: another order of the same arithmetic


@dataclass(frozen=True)
class Op:
    """One operator. Its name is also the name of its only output.

    `params` maps a role ("weight", "bias", "mean", "var", "other") to a tensor's name in `Graph.params`. What `attrs`
    holds for each kind stands in edgekit.ir.reference. `shape` is the output's, batch first. `where` is the line of the
    user's code that asked for it ("net.py:14"), empty where nobody's did.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    where: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """The operator with the line that asked for it, as messages name it."""
        return f"{self.where}: {self.name}" if self.where else self.name

    def with_(self, **changes: Any) -> Op:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def computed_in(self, dtype: torch.dtype) -> Op:
        """Return the operator with real numbers of one type; itself where it has no others."""
        if not self.dtype.is_floating_point or dtype == self.dtype:
            return self
        attrs = {**self.attrs, "dtype": dtype} if "dtype" in self.attrs else self.attrs
        return self.with_(dtype=dtype, attrs=attrs)


Observe = Callable[[Op, Tensor], Tensor | None]


@dataclass(frozen=True)
class Graph:
    """Operators in an order in which they can run, the inputs (kind "input") first, in the order of forward().

    `outputs` maps the public name of each output, in forward()'s order, to the operator that computes it.
    """

    ops: tuple[Op, ...]
    outputs: Mapping[str, str]
    params: Mapping[str, Tensor]

    @cached_property
    def inputs(self) -> tuple[Op, ...]:
        """The operators that stand for the inputs."""
        return tuple(op for op in self.ops if op.kind == "input")

    @property
    def input(self) -> Op:
        """The only input. Raises ValueError where there are several."""
        (only,) = self.inputs
        return only

    @property
    def output(self) -> str:
        """The name of the operator that computes the only output. Raises ValueError where there are several."""
        (only,) = self.outputs.values()
        return only

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __getitem__(self, name: str) -> Op:
        return self.by_name[name]

    @cached_property
    def by_name(self) -> Mapping[str, Op]:
        """Operators by name."""
        return {op.name: op for op in self.ops}

    @cached_property
    def consumers(self) -> Mapping[str, Sequence[Op]]:
        """For each operator's name, the operators that read it (once per reading); outputs are not among them."""
        readers: dict[str, list[Op]] = {op.name: [] for op in self.ops}
        for op in self.ops:
            for name in op.inputs:
                readers[name].append(op)
        return readers

    def is_output(self, name: str) -> bool:
        """Whether an operator computes an output."""
        return name in self.outputs.values()

    def tensors(self, op: Op) -> dict[str, Tensor]:
        """Return the operator's own tensors by role."""
        return {role: self.params[name] for role, name in op.params.items()}

    @torch.no_grad()  # or what comes out keeps what went in, for its gradient
    def to(self, target: torch.dtype | torch.device | str) -> Graph:
        """Return the same graph with its real numbers converted (to a dtype), or all tensors moved (to a device).

        A dtype holds for all real numbers of a graph: a conversion among such types on the way changes nothing then.
        """
        only_floats = isinstance(target, torch.dtype)
        moved = {
            name: tensor.to(target) if tensor.is_floating_point() or not only_floats else tensor
            for name, tensor in self.params.items()
        }
        ops = tuple(op.computed_in(target) for op in self.ops) if isinstance(target, torch.dtype) else self.ops
        return replace(self, ops=ops, params=moved)

    @cached_property
    def takes_several(self) -> bool:
        """Whether each of several images is answered as it is alone; not where a shape holds the batch of 1."""
        shapes = {op.name: op.shape for op in self.ops}
        kept = [_keeps_batch(self, op, shapes) for op in self.ops]
        return False not in kept and (None not in kept or self._answers_two())

    def _answers_two(self) -> bool:
        """What some operators do with a batch, only running them tells."""
        two = drawn(self, 2)
        kept: list[bool] = []
        constant = {op.name for op in self.ops if op.kind == "constant"}

        def look(op: Op, y: Tensor) -> None:
            kept.append(op.name in constant or tuple(y.shape) == (2, *op.shape[1:]))

        try:
            together = self._all(two, look)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return False
        if not all(kept):
            return False
        alone = [self._all([x[index : index + 1] for x in two]) for index in range(2)]
        pairs = ((y, torch.cat(parts)) for y, parts in zip(together, zip(*alone, strict=True), strict=True))
        return all(bool((y - one).abs().max() <= SAME * one.abs().max()) for y, one in pairs if y.is_floating_point())

    def run(self, *xs: Tensor, observe: Observe | None = None) -> Any:
        """Run on a batch (N, *input shape) of each input: the output, or a tuple of them where there are several.

        `observe(op, output)` is called after each operator, the inputs included; a tensor that it returns replaces the
        output. A value is dropped after its last reading, so that memory stays at the peak of what is live.
        """
        found = self._all(xs, observe)
        return found[0] if len(found) == 1 else found

    @torch.no_grad()
    def _all(self, xs: Sequence[Tensor], observe: Observe | None = None) -> tuple[Tensor, ...]:
        last = {name: index for index, op in enumerate(self.ops) for name in op.inputs}
        last |= dict.fromkeys(self.outputs.values(), len(self.ops))
        given = dict(zip((op.name for op in self.inputs), xs, strict=True))
        values: dict[str, Tensor] = {}
        for index, op in enumerate(self.ops):
            if op.kind == "input":
                y = given[op.name]
            else:
                y = KERNELS[op.kind](op, [values[name] for name in op.inputs], self.tensors(op))
            changed = observe(op, y) if observe else None
            values[op.name] = y if changed is None else changed
            for name in {*op.inputs, op.name}:
                if last.get(name, -1) <= index:
                    del values[name]
        return tuple(values[name] for name in self.outputs.values())


# Kinds that treat every image of a batch alike, whatever their attributes.
_ALIKE = (
    ELEMENTWISE
    | {"input", "conv", "conv_transpose", "linear", "batch_norm", "scale", "group_norm", "lrn", "prelu", "cast"}
    | {"max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "upsample", "grid_sample", "logical_not"}
)
_BINARY = frozenset({"add", "sub", "mul", "div", "pow", "maximum", "minimum", "floor_div", "remainder"})


def _keeps_batch(graph: Graph, op: Op, shapes: Mapping[str, tuple[int, ...]]) -> bool | None:
    """Whether an operator leaves the batch in front and its images apart; None: that must be tried."""
    a, rank = op.attrs, len(op.shape)
    if op.kind in _ALIKE:
        return True
    if op.kind == "reshape":
        return bool(a["shape"]) and a["shape"][0] == -1
    if op.kind == "permute":
        return bool(a["dims"][0] == 0)
    if op.kind in ("mean", "sum", "max", "min", "prod"):
        return 0 not in a["dims"]
    if op.kind == "pad":
        return bool(a["pads"][0] == (0, 0))
    if op.kind in ("slice", "cat", "softmax", "log_softmax", "argmax", "argmin", "cumsum"):
        return bool(a["dim"] != 0)
    if op.kind in _BINARY:
        other = graph.tensors(op).get("other")
        beside = {len(shapes[name]) for name in op.inputs}
        fits = other is None or other.dim() < rank or other.shape[0] == 1
        return fits if beside == {rank} else (False if op.kind in ("add", "sub", "mul", "div") else None)
    return None


def same_steps(one: Op, other: Op) -> bool:
    """Whether two recurrent operators are results of the same steps."""
    return (one.inputs, one.params, one.attrs) == (other.inputs, other.params, other.attrs)


def rebuilt(
    graph: Graph, ops: list[Op], outputs: Mapping[str, str] | None = None, params: Mapping[str, Tensor] | None = None
) -> Graph:
    """Return a graph of new operators that keeps only the tensors which they still use."""
    pool = {**graph.params, **(params or {})}
    used = {name for op in ops for name in op.params.values()}
    return Graph(tuple(ops), outputs or graph.outputs, {name: pool[name] for name in pool if name in used})
