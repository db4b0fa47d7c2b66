"""Outputs whose channels mean different things: none of them is ruined by the scale of another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.exporters.int8.output_channels import apart, channel_axes, outputs_apart
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from tests.exporters.small_networks import SHAPE, inputs, noise, snr_db

Form = Callable[["Heads", Tensor], Tensor]


class Heads(nn.Module):
    """Four numbers of a box and six scores for each place of a map."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self.stem = form, nn.Conv2d(3, 16, 3, 4)
        self.boxes, self.scores, self.both = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 6, 1), nn.Conv2d(16, 10, 1)
        self.pose = nn.Linear(16, 7)
        self.sizes = nn.Parameter(torch.tensor([240.0] * 4 + [1.0] * 6).reshape(1, 10, 1))
        with torch.no_grad():
            self.both.weight[:4] *= 40
            self.pose.weight[:3] *= 100

    def forward(self, x: Tensor) -> Tensor:
        return self.form(self, torch.relu(self.stem(x)))


def joined(heads: Heads, x: Tensor) -> Tensor:
    return torch.cat([heads.boxes(x).sigmoid() * 240, heads.scores(x).sigmoid()], 1)


def rows(y: Tensor) -> Tensor:
    """(N, channels, H, W) as (N, H W, channels)."""
    return y.flatten(2).transpose(1, 2)


def by_anchor(heads: Heads, x: Tensor) -> Tensor:
    """Two anchors of five numbers, of which two are a place in pixels."""
    anchors = heads.boxes(x).repeat(1, 2, 1, 1)[:, :5], heads.scores(x)[:, :5]
    y = torch.stack(anchors, 1).permute(0, 1, 3, 4, 2).sigmoid()
    return torch.cat([y[..., :2] * 240, y[..., 2:]], -1).reshape(len(x), -1, 5)


# The output, and the axis on which its channels lie.
FORMS: dict[str, tuple[Form, int]] = {
    "joined": (joined, 1),
    "joined in rows": (lambda heads, x: rows(joined(heads, x)), 2),
    "joined at two levels": (lambda h, x: torch.cat([rows(joined(h, y)) for y in (x, F.max_pool2d(x, 2))], 1), 2),
    "by anchor": (by_anchor, 2),
    "of one layer": (lambda heads, x: heads.both(x), 1),
    "of one layer, with its activation": (lambda heads, x: torch.relu(heads.both(x) + 0.5), 1),
    "of one layer, in rows": (lambda heads, x: rows(heads.both(x)), 2),
    "of one layer, apart and joined": (
        lambda heads, x: torch.cat([heads.both(x)[:, :4].abs(), heads.both(x)[:, 4:].sigmoid()], 1), 1,
    ),
    "logits and distances": (lambda heads, x: torch.cat([heads.scores(x), 90 * torch.relu(heads.boxes(x))], 1), 1),
    "made unlike by a constant": (
        lambda h, x: torch.cat([h.boxes(x), h.scores(x)], 1).flatten(2).sigmoid() * h.sizes + (h.sizes - 1) / 9, 1,
    ),
    "side by side in a sum": (
        lambda h, x: F.pad(h.boxes(x) * 50, (0, 0, 0, 0, 0, 6)) + F.pad(h.scores(x), (0, 0, 0, 0, 4, 0)), 1,
    ),
    "of a linear layer": (lambda heads, x: heads.pose(x.mean((2, 3))), 1),
}  # fmt: skip


def made(form: Form) -> Graph:
    torch.manual_seed(0)
    return trace(Heads(form).eval(), SHAPE)


def worst(graph: Graph, scheme: str, axis: int) -> float:
    x = inputs(8)
    want, got = graph.run(x), run(quantize(graph, record(graph, noise()), scheme), x)
    return min(snr_db(want.select(axis, c), got.select(axis, c)) for c in range(want.shape[axis]))


@pytest.mark.parametrize("scheme", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("name", FORMS)
def test_no_channel_is_ruined_by_another(name: str, scheme: str) -> None:
    form, axis = FORMS[name]
    graph = made(form)
    ranges = record(graph, noise())
    assert channel_axes(graph)[graph.output] == (axis,)
    assert outputs_apart(graph, ranges.extremes, ranges.channels)
    assert worst(graph, scheme, axis) > 20


ALIKE: dict[str, Form] = {
    "joined": lambda heads, x: torch.cat([heads.boxes(x).sigmoid() * 3, heads.scores(x).sigmoid()], 1),
    "of one layer": lambda heads, x: heads.scores(x),
    "scaled": lambda heads, x: rows(heads.scores(x).sigmoid() * 240),
    "unlike inside": lambda heads, x: heads.scores(F.conv2d(torch.cat([90 * x, x], 1), torch.ones(16, 32, 1, 1))),
    "a sum": lambda heads, x: heads.scores(x) + 20 * heads.both(x)[:, 4:],
    "unlike places": lambda heads, x: heads.scores(x) * heads.scores(x).sigmoid(),
}


@pytest.mark.parametrize("name", ALIKE)
def test_channels_that_are_alike_stay_integers(name: str) -> None:
    graph = made(ALIKE[name])
    ranges = record(graph, noise())
    assert not outputs_apart(graph, ranges.extremes, ranges.channels)


@pytest.mark.parametrize(
    ("form", "axes"),
    [
        (lambda x: x, (1,)),
        (lambda x: x.flatten(2), (1,)),
        (lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, 10), (2,)),
        (lambda x: x.view(1, 2, 5, 5, 5).permute(0, 1, 3, 4, 2), (1, 4)),
        (lambda x: x.flatten(1), ()),
        (lambda x: torch.cat([x, x], 2), (1,)),
        (lambda x: torch.stack([x[:, 0], 9 * x[:, 5]], 2), (2,)),
        (lambda x: x.mean((2, 3)), (1,)),
    ],
    ids=["map", "flat", "rows", "anchors", "joined with places", "concatenated", "single channels", "means"],
)
def test_channels_are_followed(form: Callable[[Tensor], Tensor], axes: tuple[int, ...]) -> None:
    graph = made(lambda heads, x: form(heads.both(F.pad(x, (0, -1, 0, -1)))))
    assert channel_axes(graph)[graph.output] == axes


def test_channels_of_next_to_nothing_say_nothing() -> None:
    assert apart([torch.tensor([0.0, 1e-9, 0.5, 2.0])]) == 4
    assert apart([torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.3])]) == pytest.approx(10)
    assert apart([torch.zeros(3), torch.tensor([float("inf"), 1.0])]) == 1
