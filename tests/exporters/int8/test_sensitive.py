"""What leads to logarithms and to the grids of samplings stays in float."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.calibration import synthetic
from edgekit.exporters.int8.islands import islands
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.sensitive import sensitive
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import snr_db

SHAPE = (1, 3, 24, 32)


class Of(nn.Module):
    """A function of a convolution with an activation."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 8, 3, padding=1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


class Mel(nn.Module):
    """The logarithm of a filtered power spectrum; the sound is a sum, so that low frequencies are loud."""

    def __init__(self, log: Callable[[Tensor], Tensor], layer: bool) -> None:
        super().__init__()
        turns = torch.arange(17)[:, None] * torch.arange(32) * 2 * math.pi / 32
        self.real, self.imaginary = (nn.Conv1d(3, 17, 32, 16, bias=False) for _ in range(2))
        for conv, wave in ((self.real, turns.cos()), (self.imaginary, turns.sin())):
            conv.weight.data[:] = (wave * torch.hann_window(32))[:, None]
        filters = nn.Conv1d(17, 8, 1, bias=False)
        filters.weight.data.abs_()
        self.filters: nn.Module = filters if layer else nn.Identity()
        self.log = log

    def forward(self, x: Tensor) -> Tensor:
        sound = x.flatten(2).cumsum(-1)
        return self.log(self.filters(self.real(sound).square() + self.imaginary(sound).square()) + 1e-6)


class Warped(nn.Module):
    """A map that is sampled where the network says: turned as a whole, or moved place by place."""

    base: Tensor

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.conv, self.flow = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1)
        self.turn = nn.Linear(8, 6) if whole else None
        self.register_buffer("base", F.affine_grid(torch.eye(2, 3)[None], [1, 1, *SHAPE[2:]], align_corners=False))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.turn:
            theta = torch.eye(2, 3)[None] + 0.3 * self.turn(y.relu().mean((2, 3))).view(-1, 2, 3)
            grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        else:
            grid = self.base + 0.1 * self.flow(y.relu()).tanh().permute(0, 2, 3, 1)
        return F.grid_sample(y, grid, align_corners=False)


# Networks, the kinds that stay in float for what is behind them, and a bound in dB under what was measured.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[str], float]] = {
    "log-mel by a layer": (lambda: Mel(torch.log, True), ["add", "add", "conv", "conv", "conv", "mul", "mul"], 30),
    "log10 of powers": (lambda: Mel(torch.log10, False), ["add", "add", "conv", "conv", "mul", "mul"], 30),
    "log2 of a layer": (lambda: Of(lambda y: y.clamp_min(1e-3).log2()), ["clip", "conv"], 50),
    "log1p of sizes": (lambda: Of(lambda y: F.max_pool2d(y.abs(), 2).log1p()), ["abs", "add", "conv", "max_pool"], 60),
    "log of shares": (lambda: Of(lambda y: (y.softmax(1) + 1e-6).log()), ["add", "softmax"], 35),
    "log of chances": (lambda: Of(lambda y: y.sigmoid().log()), ["sigmoid"], 35),
    "logsumexp": (lambda: Of(lambda y: y.logsumexp(1)), ["exp", "sum"], 35),
    "log_softmax": (lambda: Of(lambda y: y.log_softmax(1)), [], 35),
    "turned grid": (lambda: Warped(True), ["add", "linear", "matmul", "mul", "permute", "reshape", "reshape"], 35),
    "moved grid": (lambda: Warped(False), ["add", "conv", "mul", "permute", "tanh"], 33),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_leads_to_it_is_not_rounded(name: str) -> None:
    torch.manual_seed(0)
    build, kinds, least = NETWORKS[name]
    graph, noise = trace(build().eval(), SHAPE), synthetic(SHAPE, TORCHVISION, 16)
    found, ranges = sensitive(graph), record(graph, noise)
    assert sorted(graph[layer].kind for layer in found if graph[layer].kind != "constant") == kinds
    images = [torch.from_numpy(one)[None] for one in next(noise.batches(4))]
    for scheme in ("tflite", "onnxruntime"):
        assert set(found) <= set(islands(graph, scheme, ()))
        quantized = quantize(graph, ranges, scheme)
        answers = torch.cat([run(quantized, x) for x in images])
        wanted = torch.cat([graph.run(x) for x in images])
        assert snr_db(wanted, answers) > least, scheme
