"""A graph runs: several inputs and outputs, in forward()'s order, and whether it takes several images at once."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor, nn

from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op

A, B = torch.arange(6.0).reshape(2, 3), torch.ones(2, 3)


def two_of_each() -> Graph:
    ops = (
        Op("a", "input", (), (1, 3)),
        Op("b", "input", (), (1, 3)),
        Op("sum", "add", ("a", "b"), (1, 3)),
        Op("product", "mul", ("a", "b"), (1, 3)),
    )
    return Graph(ops, {"times": "product", "plus": "sum"}, {})


def test_inputs_and_outputs_keep_their_order() -> None:
    graph = two_of_each()
    assert [op.name for op in graph.inputs] == ["a", "b"]
    times, plus = graph.run(A, 2 * B)
    assert torch.equal(times, 2 * A) and torch.equal(plus, A + 2)
    assert graph.takes_several and graph.is_output("sum") and not graph.is_output("a")


def test_the_only_input_and_the_only_output_are_not_asked_of_a_graph_with_several() -> None:
    for ask in (lambda: two_of_each().input, lambda: two_of_each().output):
        with pytest.raises(ValueError, match="unpack"):
            ask()


def test_what_mixes_the_images_of_a_batch_is_found_by_running() -> None:
    def of(kind: str, **attrs: object) -> Graph:
        return Graph((Op("x", "input", (), (1, 3)), Op("y", kind, ("x",), (1, 3), {}, attrs)), {"y": "y"}, {})

    assert of("flip", dims=(1,)).takes_several
    assert not of("flip", dims=(0,)).takes_several
    assert not of("cumsum", dim=0).takes_several


def test_a_graph_without_values_lets_go_of_them() -> None:
    linear = nn.Linear(3, 2)
    held = weakref.ref(linear.weight)
    ops = (Op("x", "input", (), (1, 3)), Op("y", "linear", ("x",), (1, 2), {"weight": "w", "bias": "b"}))
    shapes = Graph(ops, {"y": "y"}, {"w": linear.weight, "b": linear.bias}).to("meta")
    del linear
    assert held() is None and shapes.params["w"].is_meta


def test_conversions_among_real_numbers_are_none_in_a_graph_of_one_type() -> None:
    class Converts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.half() + x.int()).double() * torch.tensor(0.1, dtype=torch.float64)

    x = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    graph = trace(Converts().eval(), (1, 6)).to(torch.float32)
    assert {op.dtype for op in graph} == {torch.float32, torch.int32}
    assert torch.equal(graph.run(x), (x + x.int()) * 0.1)
