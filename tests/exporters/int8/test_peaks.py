"""What a network compares with its neighbors stays in float."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.calibration import synthetic
from edgekit.exporters.int8.peaks import peaks
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import snr_db

SHAPE = (1, 3, 24, 24)


class Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 2, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.head(F.relu(self.body(x))))


def of_a_heat_map(y: Tensor) -> Tensor:
    heat = torch.sigmoid(y)
    return heat * (F.max_pool2d(heat, 3, 1, 1) == heat).float()


def of_a_row(y: Tensor) -> Tensor:
    return torch.where(y >= y.amax(1, keepdim=True), y, 0.0)


@pytest.mark.parametrize("function", [of_a_heat_map, of_a_row])
@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
def test_peaks_are_those_of_the_float_network(function: Callable[[Tensor], Tensor], scheme: str) -> None:
    torch.manual_seed(0)
    graph = trace(Net(function).eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 16)
    made = quantize(graph, record(graph, noise), scheme)
    assert "compared with one another" in made.islands["head"] and "head" in peaks(graph)
    x = torch.from_numpy(next(noise.batches(4)))
    assert snr_db(graph.run(x), run(made, x)) > 10  # -1 dB in integers


@pytest.mark.parametrize(
    "function", [lambda y: (y > 0.5).float() * y, lambda y: (y > y.mean((2, 3), keepdim=True)).float() + y]
)
def test_a_threshold_is_no_peak(function: Callable[[Tensor], Tensor]) -> None:
    assert not peaks(trace(Net(function).eval(), SHAPE))
