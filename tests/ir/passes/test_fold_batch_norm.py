"""Folding: exact in float64 on every family of networks, by data flow, and honest about what stays."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from edgekit.checkpoints.random import fill
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import Folded, fold
from edgekit.network.spec import MODELS, ModelSpec, Variant, variant
from tests.deeper import DEEPER

importlib.import_module("edgekit.models")
TOLERANCE = 1e-12  # relative, float64
BatchNorm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def awkward(network: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics that hide no mistake: scales of both signs, means not zero, variances 1e-3 to 10."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        mean, var = getattr(module, "running_mean", None), getattr(module, "running_var", None)
        if isinstance(mean, Tensor) and isinstance(var, Tensor):
            mean.copy_(torch.randn(mean.shape, generator=generator))
            var.copy_(10 ** (torch.rand(var.shape, generator=generator) * 4 - 3))
            for parameter in module.parameters(recurse=False):
                parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def folded_and_error(network: nn.Module, shape: tuple[int, ...]) -> tuple[Graph, Folded, float]:
    network = network.double().eval()
    x = torch.randn(shape, dtype=torch.float64)
    graph = trace(network, shape)
    result = fold(graph)
    with torch.no_grad():
        want = network(x)
    error = float((result.graph.run(x) - want).abs().max() / want.abs().max())
    return graph, result, error


def has_batch_norm(point: Variant) -> bool:
    with torch.device("meta"):
        return any(isinstance(module, BatchNorm) for module in point.build().modules())


def smallest(spec: ModelSpec) -> int | None:
    """A small resolution at which a network of the zoo is still whole."""
    return None if spec.fixed_resolution else max(spec.min_resolution, min(spec.resolution, 64))


# How many normalizations stay as a multiplication and an addition; none in the others.
REMAINING = {"darts_cifar": 2, "darts": 3, "nasnet_mobile": 4, "pnasnet_mobile": 4, "wrn28_10_cifar": 12}
REMAINING |= {"densenet121": 62, "densenet40_12_cifar": 39, "resnet50_v2": 17}
# Their cells begin several branches with a ReLU of the same map, which is one operator afterwards.
BRANCHING = ("darts", "darts_cifar", "nasnet_mobile", "pnasnet_mobile")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DEEPER])
def test_a_network_is_the_same_after_folding(name: str) -> None:
    spec = MODELS[name]
    point = variant(spec, resolution=smallest(spec))
    if not has_batch_norm(point):
        pytest.skip("it has no BatchNorm")
    network = point.build()
    fill(network, point.input_shape)
    graph, result, error = folded_and_error(network, point.input_shape)
    assert error < TOLERANCE
    assert not [op for op in result.graph if op.kind == "batch_norm"]
    assert len(result.remaining) == REMAINING.get(name, 0)
    before, after = table(graph), table(result.graph)
    assert before.macs == after.macs
    assert (before.activation_elements > after.activation_elements) == (name in BRANCHING)


class Shared(nn.Module):
    """One convolution, called twice, each call with a normalization of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.conv(self.first(self.conv(x)).relu()))
        return out


class Branching(nn.Module):
    """The convolution's output is also read beside its normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out: Tensor = self.norm(y) + y
        return out


class Survival(nn.Module):
    """A residual branch scaled by its survival probability."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.norm(self.conv(x)) * 0.8
        return out


FOLDS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv1d": (nn.Sequential(nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6)), (2, 4, 9)),
    "conv2d without bias": (nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)), (2, 4, 9, 9)),
    "depthwise": (nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8)), (2, 4, 9, 9)),
    "conv3d": (nn.Sequential(nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4)), (2, 2, 4, 5, 6)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2), nn.BatchNorm2d(6)), (2, 4, 5, 5)),
    "transposed, grouped": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6)), (2, 4, 5, 5)),
    "linear": (nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7)), (3, 5)),
    "linear of tokens": (nn.Sequential(nn.Linear(5, 7), nn.Flatten(0, 1), nn.BatchNorm1d(7)), (3, 4, 5)),
    "without affine": (nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)), (2, 4, 9, 9)),
    "norm after norm": (nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6)), (2, 4, 9, 9)),
    "before a conv": (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)), (2, 4, 9, 9)),
    "before a grouped conv": (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=2)), (2, 4, 9, 9)),
    "before a linear": (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 7)), (3, 5)),
    "before and after": (
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)),
        (2, 4, 9, 9),
    ),
    "shared conv": (Shared(), (2, 3, 8, 8)),
    "survival probability": (Survival(), (2, 3, 8, 8)),
}
STAYS: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "a second reader": (Branching(), (2, 3, 8, 8), "norm: its input conv is also read by add"),
    "before a padding conv": (
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1)),
        (2, 4, 9, 9),
        "1: it stands between relu and conv",
    ),
    "an activation between": (
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU()),
        (2, 4, 9, 9),
        "2: it stands between relu and relu",
    ),
    "linear whose tokens lie in a row": (
        nn.Sequential(nn.Linear(5, 7), nn.Flatten(1, 2), nn.BatchNorm1d(28)),
        (3, 4, 5),
        "2: it stands between",
    ),
    "linear over a sequence": (nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(3)), (2, 3, 5), "1: its input 0"),
    "no running statistics": (
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
        (2, 4, 9, 9),
        "1: it has no running statistics",
    ),
}


@pytest.mark.parametrize("name", FOLDS)
def test_these_fold_away(name: str) -> None:
    network, shape = FOLDS[name]
    _, result, error = folded_and_error(awkward(network), shape)
    assert error < TOLERANCE
    assert result.remaining == ()
    kinds = {"input", "conv", "conv_transpose", "linear", "relu", "add", "reshape"}
    assert {op.kind for op in result.graph} <= kinds


@pytest.mark.parametrize("name", STAYS)
def test_these_stay_and_say_why(name: str) -> None:
    network, shape, reason = STAYS[name]
    _, result, error = folded_and_error(awkward(network), shape)
    assert error < TOLERANCE
    assert len(result.remaining) == 1 and result.remaining[0].startswith(reason)


def test_the_network_itself_is_left_as_it_was() -> None:
    network = awkward(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold(trace(network, (1, 3, 4, 4)))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
