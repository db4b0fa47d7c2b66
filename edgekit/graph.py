"""A network as data: a flat list of operators with their shapes, and the tensors they own.

Everything after the torch module works on this: fold, layer table, calibration, simulation and the exporters.
Layouts and meanings are torch's (N, C, *spatial). One input, one output, static shapes; only the batch may vary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from edgekit.kernels import KERNELS

SAME = 1e-3  # of the largest output: another order of the same arithmetic


@dataclass(frozen=True)
class Op:
    """One operator. Its name is also the name of its only output.

    `params` maps a role ("weight", "bias", "mean", "var", "other") to a tensor's name in `Graph.params`. What `attrs`
    holds for each kind stands in edgekit.kernels. `shape` is the output's, batch first.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32

    def with_(self, **changes: Any) -> Op:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Graph:
    """Operators in an order in which they can run; the first is the input (kind "input")."""

    ops: tuple[Op, ...]
    output: str
    params: Mapping[str, Tensor]

    @property
    def input(self) -> Op:
        """The operator that stands for the input."""
        return self.ops[0]

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __getitem__(self, name: str) -> Op:
        return self.by_name()[name]

    def by_name(self) -> dict[str, Op]:
        """Operators by name."""
        return {op.name: op for op in self.ops}

    def consumers(self) -> dict[str, list[Op]]:
        """For each operator's name, the operators that read it (once per reading). The output reads like one more."""
        readers: dict[str, list[Op]] = {op.name: [] for op in self.ops}
        for op in self.ops:
            for name in op.inputs:
                readers[name].append(op)
        return readers

    def tensors(self, op: Op) -> dict[str, Tensor]:
        """The operator's own tensors by role."""
        return {role: self.params[name] for role, name in op.params.items()}

    def to(self, target: torch.dtype | torch.device | str) -> Graph:
        """The same graph with its floating-point tensors converted (to a dtype) or all moved (to a device)."""
        only_floats = isinstance(target, torch.dtype)
        moved = {
            name: tensor.to(target) if tensor.is_floating_point() or not only_floats else tensor
            for name, tensor in self.params.items()
        }
        return replace(self, params=moved)

    @cached_property
    def takes_several(self) -> bool:
        """Whether each of several images is answered as it is alone; not where a shape holds the batch of 1."""
        shapes = {op.name: op.shape for op in self.ops}
        if not all(_keeps_batch(self, op, shapes) for op in self.ops):
            return False
        return all(op.kind != "call" for op in self.ops) or self._answers_two()

    def _answers_two(self) -> bool:
        """What a function does with a batch, only running it tells."""
        two = torch.randn((2, *self.input.shape[1:]), generator=torch.Generator().manual_seed(0))
        kept: list[bool] = []
        try:
            together = self.run(two, lambda op, y: kept.append(tuple(y.shape) == (2, *op.shape[1:])))
        except (RuntimeError, ValueError, IndexError, TypeError):
            return False
        if not all(kept):
            return False
        alone = torch.cat([self.run(x[None]) for x in two])
        return bool((together - alone).abs().max() <= SAME * alone.abs().max())

    @torch.no_grad()
    def run(self, x: Tensor, observe: Callable[[Op, Tensor], Tensor | None] | None = None) -> Tensor:
        """Run on a batch (N, *input shape).

        `observe(op, output)` is called after each operator, the input included; a tensor that it returns replaces the
        output. A value is dropped after its last reading, so that memory stays at the peak of what is live.
        """
        last = {name: index for index, op in enumerate(self.ops) for name in op.inputs}
        last[self.output] = len(self.ops)
        values: dict[str, Tensor] = {}
        for index, op in enumerate(self.ops):
            y = (
                x
                if op.kind == "input"
                else KERNELS[op.kind](op, [values[name] for name in op.inputs], self.tensors(op))
            )
            changed = observe(op, y) if observe else None
            values[op.name] = y if changed is None else changed
            for name in {*op.inputs, op.name}:
                if last.get(name, -1) <= index:
                    del values[name]
        return values[self.output]


def _keeps_batch(graph: Graph, op: Op, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether an operator leaves the batch in front and its images apart; a function is not looked into."""
    a, rank = op.attrs, len(op.shape)
    if op.kind == "reshape":
        return bool(a["shape"]) and a["shape"][0] == -1
    if op.kind == "permute":
        return bool(a["dims"][0] == 0)
    if op.kind == "mean":
        return 0 not in a["dims"]
    if op.kind == "pad":
        return bool(a["pads"][0] == (0, 0))
    if op.kind in ("slice", "cat", "softmax", "log_softmax", "argmax"):
        return bool(a["dim"] != 0)
    if op.kind in ("add", "sub", "mul", "div"):
        other = graph.tensors(op).get("other")
        beside = {len(shapes[name]) for name in op.inputs}
        return beside == {rank} and (other is None or other.dim() < rank or other.shape[0] == 1)
    return True


def rebuilt(
    graph: Graph, ops: list[Op], output: str | None = None, params: Mapping[str, Tensor] | None = None
) -> Graph:
    """A graph of new operators that keeps only the tensors which they still use."""
    pool = {**graph.params, **(params or {})}
    used = {name for op in ops for name in op.params.values()}
    return Graph(tuple(ops), output or graph.output, {name: pool[name] for name in pool if name in used})
