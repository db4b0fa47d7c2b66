"""What stands between a Graph and a TFLite file: stored tensors and TFLite's own operators, as plain data.

Nothing here knows flatbuffers, and nothing in flatbuffer.py knows torch's layouts: `lower` (lowering_table) makes a
Program, the file writer reads it. A constant is a *view* of the network's own tensor, in whatever strides; it is copied
only while its bytes are written, so a Program costs no memory for weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from edgekit.ir.quantized import QParams, QWeight

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
}


@dataclass(frozen=True)
class Grid:
    """How stored integers become real numbers: real = (integer - zero_point) * scale, one scale a channel of `axis`."""

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0


def channel_grid(weight: QWeight, channels: int, axis: int) -> Grid:
    """Return the grid of a layer's integers; a group's scales serve each group of a transposed convolution."""
    return Grid(tuple(weight.scale.double().repeat(channels // weight.scale.numel()).tolist()), 0, axis)


@dataclass(frozen=True)
class Stored:
    """A tensor of the file. The elements of `constant`, in their order, fill `shape`; None for an activation."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    constant: Tensor | None = None
    grid: Grid | None = None


@dataclass(frozen=True)
class Node:
    """One TFLite operator by its builtin name; `options` has the schema's field names."""

    builtin: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Program:
    """Tensors and operators in an order in which they can run."""

    def __init__(self) -> None:
        self.tensors: list[Stored] = []
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._taken: dict[str, int] = {}
        self._constants: dict[tuple[Any, ...], int] = {}

    def activation(self, name: str, shape: Sequence[int], q: QParams | None, dtype: str = "float32") -> int:
        """Return a tensor that is computed: of `dtype`, or 8-bit integers where `q` says how."""
        dtype = dtype if q is None else ("uint8" if q.low == 0 else "int8")
        return self._add(
            Stored(self._unique(name), dtype, tuple(shape), None, Grid((q.scale,), q.zero_point) if q else None)
        )

    def constant(
        self,
        name: str,
        view: Tensor,
        shape: Sequence[int] | None = None,
        dtype: str = "float32",
        grid: Grid | None = None,
    ) -> int:
        """Add a constant tensor; the same view asked for twice is one tensor."""
        shape = tuple(view.shape if shape is None else shape)
        # The storage cannot be freed and reused under a second key: the first Stored keeps it alive.
        key = (view.data_ptr(), view.dtype, tuple(view.shape), view.stride(), shape, dtype, grid)
        if view.is_meta or key not in self._constants:
            self._constants[key] = self._add(Stored(self._unique(name), dtype, shape, view.detach(), grid))
        return self._constants[key]

    def integers(self, values: Sequence[int]) -> int:
        """Add a vector of int32 that an operator takes as its argument."""
        key = ("integers", *values)
        if key not in self._constants:
            view = torch.tensor(list(values), dtype=torch.int32)
            name = self._unique("const/" + "_".join(map(str, values)))
            self._constants[key] = self._add(Stored(name, "int32", (len(values),), view))
        return self._constants[key]

    def node(self, builtin: str, inputs: Sequence[int], *outputs: int, **options: Any) -> None:
        """Append an operator."""
        self.nodes.append(Node(builtin, tuple(inputs), outputs, options))

    def rename(self, index: int, name: str) -> None:
        """Give a tensor a name; another one that has it gets a new one."""
        for other, tensor in enumerate(self.tensors):
            if tensor.name == name and other != index:
                self.tensors[other] = replace(tensor, name=self._unique(f"{name}/inside"))
        self.tensors[index] = replace(self.tensors[index], name=name)

    def _add(self, tensor: Stored) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else self._unique(f"{name}/{count}")
