"""A pad in front of a convolution becomes its padding, and only where nothing else can tell."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.absorb_padding import absorb_padding

PADS = ((0, 0), (0, 0), (0, 1), (2, 0))
CONV: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": ((1, 1), (0, 0))}
POOL: dict[str, Any] = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}


def padded(kind: str, more: tuple[Op, ...] = (), **pad: Any) -> Graph:
    """An input, a pad and a layer of a kind that reads it."""
    attrs = {"pads": PADS, "value": 0.0 if kind == "conv" else -math.inf, **pad}
    shape = (1, 2, 7, 8)
    params = {"weight": "w"} if kind == "conv" else {}
    ops = (
        Op("x", "input", (), (1, 2, 6, 6)),
        Op("pad", "pad", ("x",), shape, {}, attrs),
        Op("y", kind, ("pad",), (1, 3, 7, 6), params, CONV if kind == "conv" else POOL),
    )
    return Graph((*ops, *more), {"y": "y"}, {"w": torch.randn(3, 2, 3, 3)})


@pytest.mark.parametrize(("kind", "padding"), [("conv", ((1, 2), (2, 0))), ("max_pool", ((0, 1), (2, 0)))])
def test_it_moves_and_nothing_else_changes(kind: str, padding: Any) -> None:
    graph = padded(kind)
    found = absorb_padding(graph)
    assert [op.name for op in found] == ["x", "y"] and found["y"].attrs["padding"] == padding
    x = torch.randn(1, 2, 6, 6)
    assert torch.equal(found.run(x)[0], graph.run(x)[0])


@pytest.mark.parametrize(
    "pad",
    [
        {"value": 1.0},
        {"mode": "reflect"},
        {"pads": ((0, 0), (0, 0), (0, -1), (0, 0))},
        {"pads": ((0, 0), (1, 0), (0, 0), (0, 0))},
    ],
)
def test_what_is_no_padding_of_a_convolution_stays(pad: dict[str, Any]) -> None:
    assert [op.name for op in absorb_padding(padded("conv", **pad))] == ["x", "pad", "y"]


def test_a_pad_that_somebody_else_reads_stays() -> None:
    other = Op("other", "relu", ("pad",), (1, 2, 7, 8))
    assert "pad" in absorb_padding(padded("conv", (other,))).by_name
    graph = padded("conv")
    shown = Graph(graph.ops, {"y": "y", "pad": "pad"}, graph.params)
    assert "pad" in absorb_padding(shown).by_name
