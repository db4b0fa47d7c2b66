"""Attention with masks in int8: minus infinity, and numbers as low."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from edgekit.data.calibration import synthetic
from edgekit.errors import UsageError
from edgekit.exporters.int8.masks import infinite
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import snr_db

SHAPE = (1, 3, 8, 8)


class Masked(nn.Module):
    """Attention over the places of a map, each of which sees those before it."""

    def __init__(self, low: float, added: bool) -> None:
        super().__init__()
        self.conv, self.low, self.added = nn.Conv2d(3, 24, 1), low, added

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.conv(x).flatten(2).transpose(1, 2).chunk(3, -1)
        hidden = torch.ones(64, 64, dtype=torch.bool).triu(1)
        scores = q @ k.mT / 3
        if self.added:
            scores = scores + torch.zeros(64, 64).masked_fill(hidden, self.low)
        y: Tensor = scores.masked_fill(hidden, self.low).softmax(-1) @ v
        return y


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
@pytest.mark.parametrize("low", [-math.inf, -1e9, -100.0])
@pytest.mark.parametrize("added", [True, False])
def test_a_mask_does_not_widen_the_scores(low: float, added: bool, scheme: str) -> None:
    torch.manual_seed(0)
    graph = trace(Masked(low, added).eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 8)
    x = torch.from_numpy(next(noise.batches(4)))
    quantized = quantize(graph, record(graph, noise), scheme)
    assert snr_db(graph.run(x), run(quantized, x)) > 20
    assert {op.name for op in graph if op.kind in ("where", "softmax")} <= set(quantized.islands)


def test_an_operator_with_an_infinite_constant_is_computed_in_float() -> None:
    class Bounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.maximum(self.conv(x), torch.tensor([0.0, -math.inf]).view(1, 2, 1, 1))

    torch.manual_seed(0)
    graph = trace(Bounded().eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 8)
    x = torch.from_numpy(next(noise.batches(4)))
    quantized = quantize(graph, record(graph, noise), "tflite")
    assert [graph[name].kind for name in quantized.islands] == ["maximum"]
    assert snr_db(graph.run(x), run(quantized, x)) > 30


def test_an_infinity_that_no_mask_brought_is_refused() -> None:
    class Divided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.relu()

    graph = trace(Divided().eval(), SHAPE)
    assert not infinite(graph)
    with pytest.raises(UsageError, match="not finite on the calibration images"):
        record(graph, synthetic(SHAPE, TORCHVISION, 4))
