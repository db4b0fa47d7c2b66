"""What is computed in float because eight bits would say too little."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.calibration import synthetic
from edgekit.exporters.int8.islands import before_choices, divisors, fine_shares, islands, roots
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import layer_snr, run
from edgekit.exporters.int8.tflite_constraints import padded_means
from edgekit.frontend.tracer import trace
from edgekit.records.preprocessing import TORCHVISION
from tests.exporters.small_networks import snr_db

SHAPE = (1, 3, 16, 24)


class Shares(nn.Module):
    """A softmax over a map's places, scaled and joined."""

    def __init__(self, factor: float = 100.0) -> None:
        super().__init__()
        self.conv, self.factor = nn.Conv2d(3, 8, 3, 1, 1), factor

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.cat([F.softmax(y, 1), F.softmax(y.flatten(2), -1).view_as(y) * self.factor], 1)


class Chosen(nn.Module):
    """The class of each place of a map that is made larger."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear").softmax(1).argmax(1)


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
def test_a_softmax_over_many_is_read_in_float(scheme: str) -> None:
    graph = trace(Shares().eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 16)
    ranges = record(graph, noise)
    found = fine_shares(graph, scheme, ranges.extremes)
    assert [graph[name].kind for name in found] == ["softmax", "reshape", "mul"]  # the other softmax stays
    x = torch.from_numpy(next(noise.batches(4)))
    assert snr_db(graph.run(x), run(quantize(graph, ranges, scheme), x)) > 20


def test_elsewhere_shares_stay_integers() -> None:
    graph = trace(Shares().eval(), (1, 3, 8, 8))
    extremes = {op.name: (0.0, 0.5) for op in graph}
    assert not fine_shares(graph, "tflite", extremes) and not fine_shares(graph, "tensorrt", {})


def test_integers_that_tie_are_not_compared() -> None:
    graph = trace(Chosen().eval(), SHAPE)
    assert sorted(graph[name].kind for name in before_choices(graph)) == ["softmax", "upsample"]
    in_float = islands(graph, "tflite", ())
    assert {graph[name].kind for name in in_float} == {"argmax", "softmax", "upsample"}


def test_what_is_read_elsewhere_too_stays() -> None:
    class Both(Chosen):
        def forward(self, x: Tensor) -> Tensor:
            y = F.interpolate(self.conv(x), scale_factor=2, mode="bilinear")
            return y.argmax(1) + y.relu().sum(1)

    assert not before_choices(trace(Both().eval(), SHAPE))


class Linear(nn.Module):
    """Attention without a softmax: sums of products over the sum of their weights, which is zero for some."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.conv(x).flatten(2).chunk(3, 1)
        v = F.pad(v, (0, 0, 0, 1), value=1.0)
        y = (v @ k.relu().transpose(1, 2)) @ (q - 2).relu()
        shares: Tensor = (y[:, :-1] / (y[:, -1:] + 1e-15)).view(x.shape[0], 8, *x.shape[2:])
        return shares


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
def test_what_is_divided_by_keeps_its_epsilon(scheme: str) -> None:
    torch.manual_seed(0)
    graph, noise = trace(Linear().eval(), SHAPE), synthetic(SHAPE, TORCHVISION, 16)
    assert sorted(graph[name].kind for name in divisors(graph)) == ["add", "slice", "slice"]
    x = torch.from_numpy(next(noise.batches(4)))
    y = torch.cat([run(quantize(graph, record(graph, noise), scheme), one[None]) for one in x])
    assert float(y.abs().max()) <= max(map(abs, record(graph, noise).extremes["conv"]))  # means are no larger


# Means of powers, of which a root is taken: their integers and the kinds that stay in float for it, besides the root.
ROOTS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "generalized mean": (lambda y: F.relu(y).clamp(1e-6).pow(3).mean((2, 3)).pow(1 / 3), ["mean"]),
    "norm of a window": (lambda y: F.lp_pool2d(F.relu(y), 2, 2), ["avg_pool", "mul"]),
    "deviation": (lambda y: (y.square().mean((2, 3)) + 1e-6).sqrt(), ["add", "mean", "mul"]),
    "root of a layer": (lambda y: F.relu(y).sqrt(), []),
    "a power alone": (lambda y: y.pow(2).mean((2, 3)), []),
}


class Rooted(nn.Module):
    """A function of a convolution."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 8, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize("name", ROOTS)
def test_what_a_root_is_taken_of_is_not_rounded(name: str) -> None:
    torch.manual_seed(0)
    function, kinds = ROOTS[name]
    graph, noise = trace(Rooted(function).eval(), SHAPE), synthetic(SHAPE, TORCHVISION, 16)
    assert sorted(graph[layer].kind for layer in roots(graph)) == kinds
    x = torch.from_numpy(next(noise.batches(4)))
    if kinds:
        assert snr_db(graph.run(x), run(quantize(graph, record(graph, noise), "tflite"), x)) > 35


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
def test_truth_values_have_no_scale(scheme: str) -> None:
    class Peaks(nn.Module):
        """Maxima of a map, as detectors of centers keep them."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            peaks: Tensor = y * (y == F.max_pool2d(y, 3, 1, 1))
            return peaks

    graph, noise = trace(Peaks().eval(), SHAPE), synthetic(SHAPE, TORCHVISION, 4)
    quantized = quantize(graph, record(graph, noise), scheme)
    assert {"eq", "mul"} <= set(quantized.islands) and "eq" not in quantized.activations
    assert bool(run(quantized, torch.from_numpy(next(noise.batches(1)))).isfinite().all())


class Around(nn.Module):
    """Each place over the size of what is around it."""

    def forward(self, x: Tensor) -> Tensor:
        size = F.conv2d(x * x, torch.ones(1, 3, 3, 3), padding=1).clamp_min(1e-6).sqrt()
        return x / size


def test_sums_of_squares_that_divide_are_summed_in_float() -> None:
    graph = trace(Around().eval(), SHAPE)
    assert {"mul", "conv", "sqrt"} <= {graph[name].kind for name in divisors(graph)}


class Beside(nn.Module):
    """A convolution, which is integers, beside squares, which are not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x).relu(), (x * x).sum(1)


@pytest.mark.parametrize("border", [False, True])
def test_an_island_of_tflite_reads_the_input_as_it_is_given(border: bool) -> None:
    graph = trace(Beside().eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 16)
    x = torch.from_numpy(next(noise.batches(4)))
    quantized = quantize(graph, record(graph, noise), "tflite", pixels=TORCHVISION if border else None)
    maps, squares = run(quantized, x)
    assert (snr_db(graph.run(x)[1], squares) > 100) is not border  # integers that are handed over are rounded
    assert 25 < snr_db(graph.run(x)[0], maps) < 80


class Truth(nn.Module):
    """Where a map is above zero, beside the map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y, y > 0


def test_truth_values_have_no_signal_to_noise() -> None:
    graph = trace(Truth().eval(), SHAPE)
    noise = synthetic(SHAPE, TORCHVISION, 4)
    quantized = quantize(graph, record(graph, noise), "tflite")
    rows = layer_snr(graph, quantized, [(next(noise.batches(2)),)])
    assert all(graph[row.name].dtype.is_floating_point for row in rows)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "is_float"),
    [(3, 2, 1, True), (3, 1, 1, False), (2, 2, 0, False)],
    ids=["padded", "same", "valid"],
)
def test_an_average_that_needs_a_pad_is_named(kernel: int, stride: int, padding: int, is_float: bool) -> None:
    pool = nn.AvgPool2d(kernel, stride, padding, count_include_pad=False)
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 1), pool).eval(), SHAPE)
    assert [graph[name].kind for name in padded_means(graph)] == ["avg_pool"] * is_float


class Between(nn.Module):
    """A scaled and moved product of tensors in front of a softmax, and a function behind the last float operator."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x).flatten(2)
        scores = (y @ y.transpose(1, 2) * 0.3).transpose(1, 2).softmax(-1)
        return scores @ y, (y.exp() * 0.5).flatten(1).tanh()


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime"])
def test_what_stands_between_operators_in_float_is_not_rounded(scheme: str) -> None:
    torch.manual_seed(0)
    graph, noise = trace(Between().eval(), (1, 3, 8, 8)), synthetic((1, 3, 8, 8), TORCHVISION, 16)
    made, x = quantize(graph, record(graph, noise), scheme), torch.from_numpy(next(noise.batches(4)))
    rounded = [graph[name].kind for name in made.activations]
    assert rounded == ["input", "conv", "reshape", "permute"]
    for want, got in zip(graph.run(x), run(made, x), strict=True):
        assert snr_db(want, got) > 35


def test_a_softmax_over_more_than_its_steps_is_read_in_float() -> None:
    graph = trace(Shares().eval(), SHAPE)
    assert [graph[name].kind for name in fine_shares(graph, "tflite", {})] == ["softmax", "reshape", "mul"]
