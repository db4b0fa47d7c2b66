"""What rounding decides is not judged; all else is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.exporting.parity import judge
from edgekit.exporting.reference import Reference
from edgekit.frontend.tracer import trace
from edgekit.ir import near_ties
from edgekit.ir.graph import Graph, Op


class Places(nn.Module):
    """The places and values of the largest three of twelve sums, of which `ties` are equal but for rounding."""

    def __init__(self, ties: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 12, 4)
        with torch.no_grad():
            self.conv.get_parameter("bias").copy_(torch.arange(12.0))
            self.conv.weight[12 - ties :] = self.conv.weight[-1:]
            self.conv.get_parameter("bias")[12 - ties :] = 11.0

    def forward(self, x: Tensor) -> Tensor:
        values, places = self.conv(x).flatten(1).topk(3, 1)
        return torch.stack([values, places.float() * 10.0], 2)


def reference(network: nn.Module) -> tuple[Graph, Reference]:
    inputs = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    graph = trace(network.eval(), (1, 3, 4, 4))
    outputs = np.concatenate([graph.run(torch.from_numpy(inputs[i : i + 1])).numpy() for i in range(2)])
    held = (inputs,), (outputs,)
    return graph, Reference(*held, 0, False, undecided=lambda precision: near_ties.undecided(graph, *held, precision))


def test_a_choice_within_rounding_may_fall_otherwise() -> None:
    _, known = reference(Places(ties=2))
    (mask,), (coarse,) = known.undecided("fp32"), known.undecided("fp16")
    assert (coarse == mask).all()
    assert mask[:, :2, 1].all() and not mask[:, :, 0].any() and not mask[:, 2].any()
    swapped = known.outputs[0].copy()
    swapped[:, [0, 1], 1] = swapped[:, [1, 0], 1]
    for precision in ("fp32", "fp16"):
        record = judge([swapped], known, precision)
        assert record.passed and record.undecided == pytest.approx(2 / 6)
    exact = judge(list(known.outputs), known, "fp32")
    assert exact.passed and exact.undecided is None


@pytest.mark.parametrize("wrong", [(slice(None), 2, 1), (slice(None), 0, 0), (0, slice(None), 0)])
def test_what_is_no_tie_is_judged(wrong: tuple[int | slice, ...]) -> None:
    _, known = reference(Places(ties=2))
    other = known.outputs[0].copy()
    other[wrong] += 5.0
    assert not judge([other], known, "fp32").passed


def test_a_clear_choice_must_be_the_same() -> None:
    _, known = reference(Places(ties=1))
    assert not any(mask.any() for mask in known.undecided("fp32"))
    swapped = known.outputs[0].copy()
    swapped[:, [0, 1], 1] = swapped[:, [1, 0], 1]
    assert not judge([swapped], known, "fp32").passed


def test_an_output_that_is_mostly_ties_proves_nothing() -> None:
    want = np.ones((2, 4), np.float32)
    mostly, some = np.array([[True] * 3 + [False]] * 2), np.array([[True] + [False] * 3] * 2)
    assert near_ties.settled([want], [want], [mostly]) is None
    assert near_ties.settled([want], [want], []) is None
    found = near_ties.settled([want * 2], [want], [some])
    assert found is not None and found[0][0].tolist() == [[1.0, 2.0, 2.0, 2.0]] * 2 and found[1] == 0.25


def test_a_network_without_choices_leaves_nothing_open() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval()
    assert not near_ties.chooses(trace(plain, (1, 3, 4, 4)))


@pytest.mark.parametrize(("steps", "amplified"), [(0, False), (5, False), (30, True)])
def test_a_network_that_doubles_noise_in_each_step_amplifies_it(steps: int, amplified: bool) -> None:
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 12, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.sigmoid(self.conv(x))
            for _ in range(steps):
                y = 3.9 * y * (1 - y)
            return y

    graph, known = reference(Doubling())
    assert near_ties.amplifies(graph, known.inputs, known.outputs) is amplified


@pytest.mark.parametrize(
    ("got", "wrong"), [((0, 2), []), ((1, 2), []), ((0, 3), [1]), ((2, 2), [0]), ((0, 7), [1]), ((0, -1), [1])]
)
def test_every_place_of_a_tie_is_right(got: tuple[int, int], wrong: list[int]) -> None:
    x, want = torch.tensor([[5.0, 5.0, 4.0, 1.0]]), torch.tensor([[0, 2]])
    attrs = {"k": 2, "dim": 1, "largest": True, "sorted": True}
    op = Op("places", "topk_indices", ("x",), (1, 2), attrs=attrs, dtype=torch.int64)
    found = near_ties.chosen_otherwise(op, x, want, torch.tensor([got]), 0.0)
    assert found[0].nonzero().flatten().tolist() == wrong


@pytest.mark.parametrize("keepdim", [True, False])
def test_the_place_of_an_extreme_is_judged_by_what_lies_there(keepdim: bool) -> None:
    x = torch.tensor([[[1.0, 3.0, 3.0], [7.0, 2.0, 1.0]]])
    op = Op("place", "argmax", ("x",), (1, 2), attrs={"dim": 2, "keepdim": keepdim}, dtype=torch.int64)
    want, got = x.argmax(2, keepdim), torch.tensor([[2, 1]])
    found = near_ties.chosen_otherwise(op, x, want, got.unsqueeze(2) if keepdim else got, 0.0)
    assert found.shape == want.shape and found.flatten().tolist() == [False, True]
