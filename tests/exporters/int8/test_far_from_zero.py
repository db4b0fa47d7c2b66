"""Outputs that vary little about a value far from zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekit.data.calibration import synthetic
from edgekit.exporters.int8.far_from_zero import far_from_zero
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import snr_db

SHAPE = (1, 3, 16, 16)


class Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 6, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.head(torch.relu(self.body(x))) * 0.1)


def expected(y: Tensor) -> Tensor:
    return (y.softmax(1) * torch.arange(6.0).reshape(1, 6, 1, 1)).sum(1)


@pytest.mark.parametrize("function", [torch.sigmoid, expected, lambda y: -(y * 0.5).exp()])
@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
def test_they_are_computed_in_float_from_the_last_layers(function: Callable[[Tensor], Tensor], scheme: str) -> None:
    torch.manual_seed(0)
    graph = trace(Net(function).eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 16)
    ranges = record(graph, noise)
    found = far_from_zero(graph, ranges.extremes)
    assert graph.output in found and not {"body", "head"} & set(found)
    made = quantize(graph, ranges, scheme)
    x = torch.from_numpy(next(noise.batches(4)))
    got, want = run(made, x), graph.run(x)
    assert snr_db(want - want.mean(), got - want.mean()) > 20


@pytest.mark.parametrize("function", [lambda y: y, lambda y: (y * 40).sigmoid(), lambda y: y * 0 + 2, torch.relu])
def test_others_stay_integers(function: Callable[[Tensor], Tensor]) -> None:
    graph = trace(Net(function).eval(), SHAPE)
    assert not far_from_zero(graph, record(graph, synthetic(SHAPE, TORCHVISION, 8)).extremes)


def test_integers_serve_what_keeps_its_differences() -> None:
    graph = trace(Net(lambda y: y.log_softmax(1)).eval(), SHAPE)
    found = far_from_zero(graph, record(graph, synthetic(SHAPE, TORCHVISION, 8)).extremes)
    assert [graph[name].kind for name in found] == ["log_softmax"]
