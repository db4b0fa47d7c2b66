"""A network that was read from a file: its inputs and layers bear the names of the file, which need not be Python's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Layer(nn.Module):
    """One operator of a file. What it computes bears its name in the graph."""

    def __init__(self, label: str, compute: Callable[..., Any]) -> None:
        super().__init__()
        self.label, self.compute = label, compute

    def forward(self, *values: Any) -> Any:
        """What the operator gives."""
        return self.compute(*values)


class Imported(nn.Module):
    """A network of a file. forward() takes a tensor for each of `input_names`, and returns outputs by name.

    While `rounds` is set, it rounds what a quantized file rounds.
    """

    input_names: tuple[str, ...]
    input_types: Mapping[str, torch.dtype] = {}  # of those that are no real numbers
    rounds = False

    def own(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor of the file under its name, which may have dots: torch keeps those for modules in modules."""
        if tensor.is_floating_point():
            self._parameters[name] = nn.Parameter(tensor, requires_grad=False)
        else:
            self._buffers[name] = tensor
