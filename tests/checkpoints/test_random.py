"""Random weights: the same bits from the same seed, and alive at any depth."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from edgekit.checkpoints import load as weights
from edgekit.checkpoints.random import fill
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Op
from edgekit.network.spec import ModelSpec, variant

importlib.import_module("edgekit.models")


class Mixed(nn.Module):
    """Every kind of layer that random weights treat by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(3)
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.up = nn.ConvTranspose2d(8, 6, 2, 2, groups=2)
        self.bn = nn.BatchNorm2d(6)
        self.same = nn.Conv2d(6, 6, 3, 1, 1)
        self.norm = nn.GroupNorm(2, 6)
        self.head = nn.Linear(6, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.up(self.down(self.bn0(x)).relu()))
        x = x + self.same(self.same(x).relu())  # one module twice
        return self.head(self.norm(x).mean((2, 3)))  # type: ignore[no-any-return]


def mixed(resolution: int = 16, classes: int = 5) -> nn.Module:
    return Mixed()


MIXED = ModelSpec("mixed", "Test", "", mixed, (3, 16, 16), classes=5)


def filled(
    model: str | ModelSpec, alpha: float | None = None, resolution: int | None = None, seed: int = 0
) -> nn.Module:
    point = weights.variant_of(f"random:{seed}", model, alpha, resolution)
    network = point.build()
    weights.load(network, point, f"random:{seed}")
    return network


def test_the_record_says_that_nothing_was_trained() -> None:
    point = variant(MIXED)
    found = weights.load(point.build(), point, "random")
    assert found.record.model_dump() == {"origin": "random", "id": "random0", "sha256": None, "trained": False}
    assert weights.load(point.build(), point, "random:7").record.id == "random7"


def test_a_seed_gives_the_same_bits_whatever_the_threads() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = filled("mobilenet", 0.25, 224).state_dict()
        torch.set_num_threads(2)
        torch.manual_seed(99)
        two = filled("mobilenet", 0.25, 224).state_dict()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = filled("mobilenet", 0.25, 224, seed=1).state_dict()
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize(
    ("model", "resolution"), [("mobilenet", 96), ("resnet50", 64), ("resnet56_cifar", None), ("lenet5", None)]
)
@torch.no_grad()
def test_answers_differ_from_input_to_input_and_nothing_fades_or_explodes(model: str, resolution: int | None) -> None:
    network = filled(model, None, resolution)
    point = variant(model, None, resolution)
    x = torch.empty(4, *point.input_shape[1:]).uniform_(-1, 1, generator=torch.Generator().manual_seed(5))
    sizes: list[float] = []

    def observe(op: Op, y: Tensor) -> None:
        sizes.append(float(y.std()))

    y = trace(network, point.input_shape).run(x, observe=observe)
    assert min(sizes) > 0.05 and max(sizes) < 10
    assert float(y.std(0).mean()) > 0.05 * float(y.std())


def test_batch_norm_has_scales_of_both_signs_means_and_a_wide_range_of_variances() -> None:
    norms = [module for module in filled("mobilenet", 0.5, 64).modules() if isinstance(module, nn.BatchNorm2d)]
    scale = torch.cat([norm.weight for norm in norms])
    variance = torch.cat([norm.running_var for norm in norms if norm.running_var is not None])
    mean = torch.cat([norm.running_mean for norm in norms if norm.running_mean is not None])
    assert 0.3 < float((scale < 0).float().mean()) < 0.7
    assert 1e-3 <= float(variance.min()) < 0.01 and 3 < float(variance.max()) <= 10
    assert float((mean.abs() > 0.01).float().mean()) > 0.9


@torch.no_grad()
def test_a_network_of_ones_own_is_filled_too() -> None:
    point = variant(MIXED)
    first, second = point.build(), point.build()
    fill(first, point.input_shape, 3)
    fill(second, point.input_shape, 3)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    y = first(torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert bool(torch.isfinite(y).all()) and float(y.std(0).min()) > 1e-3
