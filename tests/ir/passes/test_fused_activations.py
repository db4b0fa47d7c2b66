"""Activations that a runtime computes inside the operator before them."""

from __future__ import annotations

import pytest

from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import activation_name, fused_activations

SHAPE = (1, 4)


def chain(*more: Op, outputs: tuple[str, ...] = ("relu",)) -> Graph:
    """A sum and its ReLU, and what else reads the sum."""
    ops = (Op("x", "input", (), SHAPE), Op("sum", "add", ("x", "x"), SHAPE), Op("relu", "relu", ("sum",), SHAPE))
    return Graph((*ops, *more), {name: name for name in outputs}, {})


@pytest.mark.parametrize(("low", "high", "name"), [(0.0, 6.0, "relu6"), (-1.0, 1.0, "relu_n1_to_1"), (0.0, 4.0, None)])
def test_limits_that_have_a_name(low: float, high: float, name: str | None) -> None:
    assert activation_name(Op("y", "clip", ("x",), SHAPE, {}, {"min": low, "max": high})) == name


def test_the_only_reader_is_fused() -> None:
    assert {name: op.name for name, op in fused_activations(chain()).items()} == {"sum": "relu"}
    assert activation_name(Op("y", "tanh", ("x",), SHAPE)) is None


def test_what_somebody_else_sees_is_not() -> None:
    assert not fused_activations(chain(Op("other", "neg", ("sum",), SHAPE)))
    assert not fused_activations(chain(outputs=("relu", "sum")))
    ops = (Op("x", "input", (), SHAPE), Op("exp", "exp", ("x",), SHAPE), Op("relu", "relu", ("exp",), SHAPE))
    assert not fused_activations(Graph(ops, {"y": "relu"}, {})), "no runtime computes it inside an exponential"
