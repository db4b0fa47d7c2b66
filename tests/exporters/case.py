"""One kind of operator: its inputs, own tensors and attributes, and the function of torch that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op

Shape = tuple[int, ...]

VECTORS, SIGNAL, MAP, VOLUME = (2, 6), (1, 6, 7), (1, 6, 5, 7), (1, 4, 3, 5, 6)

RANKS: tuple[Shape, ...] = ((6,), VECTORS, SIGNAL, MAP, VOLUME)


@dataclass(frozen=True)
class Case:
    """One operator. `inputs` are drawn by `draw` where they are given as shapes."""

    kind: str
    function: Callable[..., Tensor]
    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Tensor] = field(default_factory=dict)
    draw: str = "normal"
    close: float = 2e-6  # of the largest value

    def values(self) -> list[Tensor]:
        """The inputs."""
        drawn = torch.Generator().manual_seed(3)
        return [x if isinstance(x, Tensor) else DRAWN[self.draw](x, drawn) for x in self.inputs]

    def graph(self) -> Graph:
        """The network that is this operator."""
        values = self.values()
        want = self.function(*values)
        names = tuple(f"x{i}" for i in range(len(values)))
        ops = [Op(n, "input", (), tuple(x.shape), dtype=x.dtype) for n, x in zip(names, values, strict=True)]
        own = {role: f"own.{role}" for role in self.params}
        ops.append(Op("y", self.kind, names, tuple(want.shape), own, dict(self.attrs), want.dtype))
        return Graph(tuple(ops), {"y": "y"}, {f"own.{role}": t for role, t in self.params.items()})


DRAWN: dict[str, Callable[[Shape, torch.Generator], Tensor]] = {
    "normal": lambda shape, g: torch.randn(shape, generator=g) * 2,
    "positive": lambda shape, g: torch.rand(shape, generator=g) * 3 + 0.1,
    "apart": lambda shape, g: (
        torch.where(torch.rand(shape, generator=g) < 0.5, -1.0, 1.0) * (torch.rand(shape, generator=g) + 0.5)
    ),
    "whole": lambda shape, g: torch.randint(-3, 4, shape, generator=g),
    "few": lambda shape, g: torch.randint(-3, 4, shape, generator=g).float(),
    "bool": lambda shape, g: torch.rand(shape, generator=g) < 0.5,
}


def own(*shape: int, seed: int = 5, low: float | None = None) -> Tensor:
    """A tensor of the operator's own."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=drawn) if low is None else torch.rand(shape, generator=drawn) + low
