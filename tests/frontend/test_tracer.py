"""Tracing: every spelling becomes the same operators, which answer like the module."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph


class Calls(nn.Module):
    """A module whose forward is one function of its input, with a convolution's weight to use."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3) / 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


SHAPE = (2, 4, 9, 11)
MODULES: dict[str, nn.Module] = {
    "conv, asymmetric kernel, dilation, groups": nn.Conv2d(4, 6, (3, 5), (2, 1), (1, 4), (1, 2), 2),
    "conv, same": nn.Conv2d(4, 4, (5, 3), padding="same", dilation=(1, 2)),
    "conv, reflected border": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "conv_transpose": nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
    "max_pool, ceil mode, padding": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "max_pool, ceil mode, dilation": nn.MaxPool2d(2, 3, 0, 2, ceil_mode=True),
    "avg_pool, counting its padding": nn.AvgPool2d(3, 2, 1),
    "avg_pool, not counting its padding": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "avg_pool, ceil mode": nn.AvgPool2d(2, 2, ceil_mode=True),
    "avg_pool, ceil mode, counting": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "avg_pool, divisor": nn.AvgPool2d(2, divisor_override=3),
    "avg_pool, divisor, ceil mode, padding": nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=4),
    "adaptive_avg_pool to 1": nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_pool, divisible": nn.AdaptiveAvgPool2d((3, 11)),
    "adaptive_avg_pool, not divisible": nn.AdaptiveAvgPool2d((4, 4)),
    "adaptive_max_pool": nn.AdaptiveMaxPool2d((3, 1)),
    "lrn": nn.LocalResponseNorm(3, 1e-2, 0.5, 2.0),
    "batch_norm without affine": nn.BatchNorm2d(4, affine=False),
    "batch_norm without running statistics": nn.BatchNorm2d(4, track_running_stats=False),
    "leaky_relu": nn.LeakyReLU(0.3),
    "elu": nn.ELU(0.7),
    "prelu": nn.PReLU(4),
    "gelu": nn.GELU("tanh"),
    "hardtanh": nn.Hardtanh(-0.5, 0.7),
    "softmax": nn.Softmax(dim=-1),
    "zero pad": nn.ZeroPad2d((1, 2, 0, 3)),
    "constant pad": nn.ConstantPad2d((1, 0, 2, 1), -1.5),
    "flatten": nn.Flatten(2),
    "upsample, nearest": nn.Upsample(scale_factor=2),
    "upsample, bilinear": nn.Upsample(size=(5, 7), mode="bilinear"),
    "layer_norm": nn.LayerNorm(11),
    "pad then conv": nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(4, 3, 3, padding=1)),
    "minus infinity then max_pool": nn.Sequential(nn.ConstantPad2d((0, 1, 0, 1), -float("inf")), nn.MaxPool2d(2)),
    "dropout and identity": nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.ReLU()),
}
FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "functional conv": lambda x, w: F.conv2d(x, w, None, (2, 1), (1, 2)),
    "plus, minus, times, divided by numbers": lambda x, w: (2 - x * 3) / 4 + 1 - 1 / (x.abs() + 1),
    "own tensor on the left": lambda x, w: w[:, 0, 0, 0].reshape(1, 4, 1, 1) * x,
    "methods": lambda x, w: x.relu().clamp(0, 6).sigmoid().tanh(),
    "mean over axes": lambda x, w: x.mean((2, 3)),
    "mean over axes, kept": lambda x, w: x.mean([-1, -2], keepdim=True),
    "view by size": lambda x, w: x.view(x.size(0), -1),
    "reshape by shape arithmetic": lambda x, w: x.reshape(x.shape[0], x.shape[1] // 2, 2, -1),
    "channel shuffle": lambda x, w: x.reshape(2, 2, 2, 9, 11).transpose(1, 2).flatten(1, 2),
    "chunk and cat": lambda x, w: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda x, w: torch.split(x, [1, 3], 1)[1],
    "slices": lambda x, w: x[:, 1:3, ::2, -4:],
    "squeeze and excite": lambda x, w: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)),
    "einsum": lambda x, w: torch.einsum("nchw,oc->nohw", x, w[:, :, 0, 0]),
}


def wrapped() -> dict[str, nn.Module]:
    return {**MODULES, **{name: Calls(function) for name, function in FUNCTIONS.items()}}


@pytest.mark.parametrize("name", wrapped())
def test_the_graph_answers_like_the_module(name: str) -> None:
    torch.manual_seed(0)
    module, x = wrapped()[name].eval(), torch.randn(SHAPE)
    want = module(x)
    graph = trace(module, SHAPE)
    got = graph.run(x)
    assert got.shape == want.shape == graph[graph.output].shape
    assert torch.allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["max_pool, ceil mode, padding", "avg_pool, ceil mode", "view by size"])
def test_only_the_batch_may_vary(name: str) -> None:
    module = wrapped()[name].eval()
    x = torch.randn(5, *SHAPE[1:])
    assert torch.allclose(trace(module, SHAPE).run(x), module(x), rtol=1e-5, atol=1e-6)


def test_padding_moves_into_the_convolution_that_reads_it() -> None:
    graph = trace(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2)).eval(), (1, 3, 8, 8))
    assert kinds(graph) == ["input", "conv"]
    assert graph.ops[1].attrs["padding"] == ((0, 1), (0, 1))


def test_spellings_become_one_form() -> None:
    forms = [nn.ReLU6(), nn.Hardtanh(0.0, 6.0), Calls(lambda x, w: F.relu6(x)), Calls(lambda x, w: x.clamp(0, 6))]
    assert {trace(form.eval(), SHAPE).ops[-1].kind for form in forms} == {"clip"}
    assert {(op.attrs["min"], op.attrs["max"]) for form in forms for op in [trace(form, SHAPE).ops[-1]]} == {(0, 6)}


def test_a_shared_module_gives_two_operators_with_one_weight() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(self.conv(x))
            return out

    graph = trace(Twice().eval(), SHAPE)
    assert [op.name for op in graph] == ["x", "conv", "conv#2"]
    assert graph["conv"].params == graph["conv#2"].params
    assert len(graph.params) == 2


def test_memory_of_dropped_values_is_given_back() -> None:
    graph = trace(nn.Sequential(*[nn.ReLU() for _ in range(5)]).eval(), SHAPE)
    names = []
    graph.run(torch.zeros(SHAPE), observe=lambda op, y: names.append(op.name))
    assert names == [op.name for op in graph]


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Returns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        (TwoInputs(), "more than one input"),
        (Branches(), r"test_tracer.py:\d+: forward\(\) asks for the values of a tensor"),
        (Returns(), "returns its input"),
        (nn.Conv2d(3, 4, 3), r"cannot take an input of \(2, 4, 9, 11\)"),
        (nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(8)), "layer 1 .max_pool."),
    ],
)
def test_what_cannot_be_a_graph_is_refused_with_its_cause(module: nn.Module, cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        trace(module.eval(), SHAPE)
    assert caught.value.remedy


def test_training_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="training mode"):
        trace(nn.ReLU().train(), SHAPE)


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph]


class Relative(nn.Module):
    """A table that is made anew where the map has another size, and, with `growing`, at every call."""

    table: Tensor

    def __init__(self, growing: bool = False) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(1))
        self.growing = growing

    def forward(self, x: Tensor) -> Tensor:
        if self.growing or self.table.numel() != x.shape[-1]:
            self.table = torch.arange(x.shape[-1]) + self.growing * (self.table.sum() + 1.0)
        return x * self.table


def test_a_table_that_follows_the_shape_is_a_constant() -> None:
    x = torch.randn(1, 3, 4, 5)
    assert torch.equal(trace(Relative().eval(), (1, 3, 4, 5)).run(x), x * torch.arange(5))
    with pytest.raises(UsageError, match="changes table"):
        trace(Relative(growing=True).eval(), (1, 3, 4, 5))


def test_what_torch_refuses_may_be_caught() -> None:
    class Tries(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return x.view(7, -1)
            except RuntimeError:
                return x.view(3, -1) * 2

    assert trace(Tries().eval(), (2, 6)).ops[-1].shape == (3, 4)


def test_random_numbers_that_forward_seeds_are_constants() -> None:
    class Seeded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.manual_seed(3)
            noise = torch.rand(6, generator=torch.Generator().manual_seed(1)) + torch.randn_like(x)
            return x + noise * torch.empty(6).normal_()

    module, x = Seeded().eval(), torch.randn(2, 6)
    torch.testing.assert_close(trace(module, (2, 6)).run(x), module(x))
