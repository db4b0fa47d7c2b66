"""What an int8 network computes in float around Fourier transforms, and what it does not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.exporters.int8.spectra import spectra
from edgekit.frontend.tracer import trace


class Filter(nn.Module):
    """A convolution, weights on its frequencies, and another convolution of them and of what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.of_frequencies, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.fft.rfft2(self.first(x)) * torch.arange(1.0, 6.0)
        return self.last(torch.fft.irfft2(z).relu()), self.of_frequencies(z.abs()).relu()


def test_frequencies_stay_in_float_up_to_the_next_layer() -> None:
    graph = trace(Filter().eval(), (1, 3, 8, 8))
    found = spectra(graph)
    waves = {op.name for op in graph if op.attrs.get("spectrum")}
    products = {op.name for op in graph if op.kind == "mul"}
    assert len(waves) == 7 and waves | products <= found.keys()
    layers = {"first", "of_frequencies", "last"}
    assert not (layers | {op.name for op in graph if op.kind == "relu"}) & found.keys()
    between = [op for op in graph if op.kind not in ("input", "relu", "constant") and op.name not in layers]
    assert {op.name for op in between} == found.keys()


def test_a_network_without_transforms_keeps_its_integers() -> None:
    assert spectra(trace(nn.Conv2d(3, 4, 3).eval(), (1, 3, 8, 8))) == {}
