"""Which whole numbers an input takes, as its type and the rows that it chooses say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgekit.ir.graph import Graph, Op
from edgekit.ir.whole_inputs import WholeNumbers, drawn, whole_numbers


def network(dtype: torch.dtype, *ops: Op, shape: tuple[int, ...] = (1, 4)) -> Graph:
    """A graph of an input x, a table of 7 rows and some operators."""
    table = Op("table", "constant", (), (7, 3), {"value": "rows"})
    graph = (Op("x", "input", (), shape, dtype=dtype), table, *ops)
    return Graph(graph, {"y": graph[-1].name}, {"rows": torch.zeros(7, 3)})


def taking(index: str = "x") -> Op:
    """An operator that takes rows of the table."""
    return Op("taken", "gather", ("table", index), (4, 3), attrs={"dim": 0})


@pytest.mark.parametrize(
    ("dtype", "ops", "found"),
    [
        (torch.uint8, (), WholeNumbers("uint8", 0, 255)),
        (torch.int8, (), WholeNumbers("int8", -128, 127)),
        (torch.int16, (), WholeNumbers("int16", 0, 255)),
        (torch.int64, (), WholeNumbers("int64", 0, 255)),
        (torch.bool, (), WholeNumbers("bool", 0, 1)),
        (torch.int64, (taking(),), WholeNumbers("int64", 0, 6, True)),
        (
            torch.int32,
            (Op("flat", "reshape", ("x",), (4,), dtype=torch.int32), taking("flat")),
            WholeNumbers("int32", 0, 6, True),
        ),
        (torch.int64, (Op("real", "cast", ("x",), (1, 4)), taking("real")), WholeNumbers("int64", 0, 6, True)),
    ],
)
def test_values_that_an_input_takes(dtype: torch.dtype, ops: tuple[Op, ...], found: WholeNumbers) -> None:
    graph = network(dtype, *ops)
    assert whole_numbers(graph) == {"x": found}
    (x,) = drawn(graph, 50)
    assert x.shape == (50, 4) and x.dtype == dtype
    assert found.low <= int(x.min()) and int(x.max()) <= found.high and bool((x != x[0, 0]).any())


def test_real_numbers_are_normal() -> None:
    graph = network(torch.float32)
    (x,) = drawn(graph, 100, 8.0)
    assert not whole_numbers(graph) and x.dtype == torch.float32 and 6 < float(x.std()) < 10
    assert torch.equal(x, drawn(graph, 100, 8.0)[0])


def test_the_fewest_rows_count() -> None:
    few: Any = Op("few", "gather", ("table", "x"), (7, 4), attrs={"dim": 1})
    assert whole_numbers(network(torch.int64, taking(), few))["x"].high == 2


def cast() -> Op:
    """An operator that takes the fraction away."""
    return Op("whole", "cast", ("x",), (4,), attrs={"dtype": torch.int64}, dtype=torch.int64)


@pytest.mark.parametrize(
    ("ops", "low", "high"),
    [
        ((cast(), taking("whole")), 0, 6),
        (
            (
                Op("flat", "floor", ("x",), (4,)),
                cast().with_(inputs=("flat",)),
                taking("whole"),
            ),
            0,
            6,
        ),
        (
            (cast(), Op("twice", "mul", ("whole",), (4,), attrs={"other": 2}, dtype=torch.int64), taking("twice")),
            0,
            3,
        ),
        (
            (cast(), Op("less", "sub", ("whole",), (4,), attrs={"other": 2}, dtype=torch.int64), taking("less")),
            2,
            8,
        ),
    ],
)
def test_real_numbers_that_choose_rows(ops: tuple[Op, ...], low: int, high: int) -> None:
    graph = network(torch.float32, *ops, shape=(4,))
    assert whole_numbers(graph) == {"x": WholeNumbers("float32", low, high, True)}
    for x in drawn(graph, 4):
        graph.run(x)


@pytest.mark.parametrize("kind", ["exp", "argmax"])
def test_real_numbers_that_rows_are_computed_from_stay_what_they_are(kind: str) -> None:
    whole = torch.int64 if kind == "argmax" else torch.float32
    made = Op("made", kind, ("x",), (4,), attrs={"dim": 1} if kind == "argmax" else {}, dtype=whole)
    assert not whole_numbers(network(torch.float32, made, cast().with_(inputs=("made",)), taking("whole")))
