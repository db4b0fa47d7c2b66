"""What does the same to the same values is one operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.passes.join_equal import join_equal

SHAPE = (1, 4)
X = Op("x", "input", (), SHAPE)
FIRST = Op("first", "clip", ("x",), SHAPE, attrs={"min": 0.0, "max": 6.0})


def joined(*ops: Op, outputs: tuple[str, ...] = ("y",)) -> list[str]:
    found = join_equal(Graph((X, *ops), {name: name for name in outputs}, {"a": torch.ones(4), "b": torch.zeros(4)}))
    return [f"{op.name}({', '.join(op.inputs)})" for op in found][1:]


def test_what_reads_equal_operators_is_equal_too() -> None:
    again = FIRST.with_(name="again")
    roots = [Op(f"{name}/root", "exp", (name,), SHAPE) for name in ("first", "again")]
    last = Op("y", "add", ("first/root", "again/root"), SHAPE)
    assert joined(FIRST, again, *roots, last) == ["first(x)", "first/root(first)", "y(first/root, first/root)"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FIRST, FIRST.with_(attrs={"min": 0.0, "max": 1.0})),
        (FIRST, FIRST.with_(kind="relu", attrs={})),
        (FIRST, FIRST.with_(inputs=("z",))),
        (Op("", "mul", ("x",), SHAPE, {"other": "a"}), Op("", "mul", ("x",), SHAPE, {"other": "b"})),
        (Op("", "cast", ("x",), SHAPE, dtype=torch.int64), Op("", "cast", ("x",), SHAPE, dtype=torch.int32)),
        (Op("", "call", ("x",), SHAPE), Op("", "call", ("x",), SHAPE)),
    ],
)
def test_what_differs_in_anything_stays(one: Op, other: Op) -> None:
    ops = (X.with_(name="z"), one.with_(name="one"), other.with_(name="other"), Op("y", "add", ("one", "other"), SHAPE))
    assert len(joined(*ops)) == len(ops)


def test_an_output_keeps_an_operator_of_its_own() -> None:
    assert joined(FIRST, FIRST.with_(name="y"), outputs=("first", "y")) == ["first(x)", "y(x)"]


class Branches(nn.Module):
    """A cell whose branches begin with the same activation; one weight in two branches, each with a BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))
        for at, norm in enumerate(self.norms):
            norm.running_mean = torch.linspace(-1, 1, 3) + at

    def forward(self, x: Tensor) -> Tensor:
        first, second = (norm(self.conv(torch.relu(x))) for norm in self.norms)
        out: Tensor = first + second
        return out


def test_branches_are_joined_once_their_normalizations_are_folded() -> None:
    network, x = Branches().eval(), torch.randn(2, 3, 5, 5)
    folded = fold(trace(network, (1, 3, 5, 5)))
    assert [op.kind for op in folded.graph] == ["input", "relu", "conv", "conv", "add"] and not folded.remaining
    torch.testing.assert_close(folded.graph.run(x), network(x))
