"""Where the batch lies in each value, and which layer stands in the way of a free one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from edgekit.errors import UsageError
from edgekit.exporters.free_batch import batch_axes, moved
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph


class Of(nn.Module):
    """A function of a map."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def traced(function: Callable[[Tensor], Tensor]) -> Graph:
    return trace(Of(function).eval(), (1, 3, 4, 4))


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda x: x.relu().permute(1, 0, 2, 3), "ends the network with the batch in another place"),
        (lambda x: x.relu().sum(0), "mixes the images of a batch"),
        (lambda x: x.relu().reshape(3, 16), "mixes the images of a batch|reshapes the batch"),
    ],
)
def test_the_layer_that_fixes_the_batch_is_named(function: Callable[[Tensor], Tensor], cause: str) -> None:
    with pytest.raises(UsageError, match=f"layer .* ({cause}).*cannot be free"):
        batch_axes(traced(function))


def test_a_batch_that_moves_and_comes_back_is_free() -> None:
    graph = traced(lambda x: x.permute(1, 0, 2, 3).relu().permute(1, 0, 2, 3))
    first, relu, last = (op.name for op in graph if op.kind != "input")
    axes = batch_axes(graph)
    assert (axes[first], axes[relu], axes[last]) == (1, 1, 0) and moved(graph) == first
