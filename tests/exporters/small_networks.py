"""Small networks with everything that int8 has to decide about, and what tests of int8 ask of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from edgekit.data import calibration
from edgekit.data.calibration import CalibrationSet
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.preprocessing import Preprocessing

SHAPE = (1, 3, 24, 24)


class Residual(nn.Module):
    """x + convolution(x), ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(x + self.conv(x))
        return y


class Fork(nn.Module):
    """Two convolutions side by side, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(channels, channels, 1)
        self.right = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def stem() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6()]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "separable": lambda: nn.Sequential(
        *stem(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 16, 1), nn.ReLU6(), *head(16)
    ),
    "grouped": lambda: nn.Sequential(*stem(), nn.Conv2d(8, 12, 3, groups=4), nn.ReLU(), *head(12)),
    "residual": lambda: nn.Sequential(*stem(), Residual(8), Residual(8), *head(8)),
    "fork": lambda: nn.Sequential(*stem(), Fork(8), nn.MaxPool2d(2), nn.Conv2d(16, 8, 1), nn.ReLU(), *head(8)),
    "average": lambda: nn.Sequential(*stem(), nn.AvgPool2d(3, 2, padding=1), nn.Conv2d(8, 8, 1), *head(8)),
    "tanh": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 5), nn.Tanh(), *head(8)
    ),
    "lrn": lambda: nn.Sequential(*stem(), nn.LocalResponseNorm(5), nn.Conv2d(8, 8, 3), nn.ReLU(), *head(8)),
    "softmax": lambda: nn.Sequential(*stem(), *head(8), nn.Softmax(1)),
    "segmentation": lambda: nn.Sequential(*stem(), nn.Conv2d(8, 4, 1)),
    "transposed": lambda: nn.Sequential(*stem(), nn.ConvTranspose2d(8, 4, 2, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 1)),
}


def graph_of(name: str, seed: int = 0) -> Graph:
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return fold(trace(network.eval(), SHAPE)).graph


def noise(n: int = 24, seed: int = 0) -> CalibrationSet:
    return calibration.synthetic(SHAPE, Preprocessing(), n, seed)


def inputs(n: int = 16, seed: int = 7) -> Tensor:
    return torch.from_numpy(next(noise(n, seed).batches(n)))


def quantized(graph: Graph, scheme: str, effort: str = "default") -> QuantizedGraph:
    return quantize(graph, record(graph, noise()), scheme, effort)


def snr_db(want: Tensor, got: Tensor) -> float:
    return float(10 * torch.log10(want.double().square().sum() / (want - got).double().square().sum()))


def session(path: Path, scheme: str = "onnxruntime") -> Any:
    """The file in onnxruntime; TensorRT's int8 weights go through kernels that do not saturate on any processor."""
    options = onnxruntime.SessionOptions()
    if scheme == "tensorrt":
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answers(path: Path, x: Tensor, scheme: str = "onnxruntime") -> Tensor:
    opened = session(path, scheme)
    name = opened.get_inputs()[0].name
    return torch.from_numpy(np.concatenate([opened.run(None, {name: row[None].numpy()})[0] for row in x]))


def changed(graph: Graph, name: str, tensor: Tensor) -> Graph:
    assert name in graph.params
    return replace(graph, params={**graph.params, name: tensor})
