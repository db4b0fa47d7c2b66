"""Tracing of what users' own networks do: it becomes a graph, or it is refused with its cause."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import edgekit
from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.network.spec import ModelSpec

SHAPE = (2, 4, 9, 11)


class Calls(nn.Module):
    """A module whose forward is one function of its input and of its own tensors."""

    def __init__(self, function: Callable[[Tensor, Calls], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.high: Tensor
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3) / 6)
        self.register_buffer("high", torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self)


def same(module: nn.Module) -> Graph:
    """The graph of a module, which answers like it."""
    x = torch.randn(SHAPE)
    graph = trace(module.eval(), SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(graph.run(x), module(x))
    return graph


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph][1:]


class NamedLikeItsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.x(x) + x
        return out


def test_a_layer_may_have_the_name_of_the_input() -> None:
    assert [op.name for op in same(NamedLikeItsInput())] == ["x", "x#2", "add"]


class OwnsItsInputsName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.randn(11))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.x


class WithRegisters(nn.Module):
    """A transformer's rows, with a number of registers in front of them that may be none."""

    def __init__(self, registers: int) -> None:
        super().__init__()
        self.registers = nn.Parameter(torch.randn(SHAPE[0], SHAPE[1], registers, SHAPE[3]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.registers, x], 2)


@pytest.mark.parametrize(("registers", "rows"), [(0, 2 * SHAPE[2]), (3, 2 * SHAPE[2] + 3)])
def test_what_is_empty_of_a_concatenation_is_left_out(registers: int, rows: int) -> None:
    joined = list(same(WithRegisters(registers)))[-1]
    assert joined.shape[2] == rows and len(joined.inputs) == (3 if registers else 2)


def test_a_parameter_may_have_the_name_of_the_input() -> None:
    assert list(same(OwnsItsInputsName()).params) == ["x_"]  # names of a file are unique


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("factor", "by_scale"), [(1.5, True), (2, False), ((2.0, 3.0), False), ((5 / 9, 3 / 11), False)]
)
def test_upsampling_goes_by_the_scale_that_it_was_given(mode: str, factor: Any, by_scale: bool) -> None:
    for module in (
        nn.Upsample(scale_factor=factor, mode=mode),
        Calls(lambda x, m: F.interpolate(x, scale_factor=factor, mode=mode)),
    ):
        op = same(module).ops[-1]
        assert op.kind == "upsample" and ("scale" in op.attrs) == by_scale


def test_upsampling_goes_by_sizes_where_torch_does() -> None:
    for more in ({"recompute_scale_factor": True}, {"align_corners": True}):
        assert kinds(same(nn.Upsample(scale_factor=1.5, mode="bilinear", **more))) == ["upsample"]


@pytest.mark.parametrize(
    "normed",
    [weight_norm, spectral_norm, parametrizations.weight_norm, parametrizations.spectral_norm],
    ids=["weight_norm", "spectral_norm", "parametrized weight_norm", "parametrized spectral_norm"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_weight_that_torch_makes_of_others_is_worked_out(normed: Callable[[nn.Module], nn.Module]) -> None:
    graph = same(normed(nn.Conv2d(4, 6, 3)))
    assert kinds(graph) == ["conv"] and set(graph.ops[1].params) == {"weight", "bias"}


def test_a_pruned_weight_is_the_masked_one() -> None:
    pruned: Callable[..., nn.Module] = prune.random_unstructured
    assert kinds(same(pruned(nn.Linear(11, 5), "weight", 0.5))) == ["linear"]


def test_a_limit_of_one_element_is_a_number() -> None:
    graph = same(Calls(lambda x, m: torch.clamp(x, max=m.high)))
    assert kinds(graph) == ["clip"]
    assert kinds(same(Calls(lambda x, m: torch.clamp(x, max=m.weight[:, :1, :1, 0])))) == ["minimum"]


def test_a_weight_that_forward_computes_from_its_input() -> None:
    graph = same(Calls(lambda x, m: F.conv2d(x, m.weight * x.mean((0, 2, 3)).reshape(1, 4, 1, 1))))
    assert kinds(graph)[-1] == "conv_dynamic"


def test_what_is_float32_already_is_not_converted() -> None:
    conversions = Calls(lambda x, m: x.float().to(x.device).to(torch.float32).type_as(x).cpu() * 2)
    assert kinds(same(conversions)) == ["mul"]
    assert kinds(same(Calls(lambda x, m: x.double() * 2)))[0] == "cast"


def test_celu_is_made_of_elu() -> None:
    assert kinds(same(nn.CELU())) == ["elu"]
    assert kinds(same(nn.CELU(0.5))) == ["div", "elu", "mul"]


def test_argmax() -> None:
    graph = same(Calls(lambda x, m: x.flatten(1).argmax(1)))
    assert kinds(graph) == ["reshape", "argmax"] and graph.ops[-1].dtype == torch.int64
    assert kinds(same(Calls(lambda x, m: x.argmax(1)))) == ["argmax"]
    assert kinds(same(Calls(lambda x, m: torch.argmax(x, -1, True)))) == ["argmax"]


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda x: x.view(-1, 400), r"layer view cannot take an input of \(2, 4, 9, 11\): shape"),
        (lambda x: operator.getitem(torch.split(x, [3, 3], 1), 0), "layer split cannot take an input"),
        (lambda x: x[:, :, :, :, 1:], "too many indices"),
        (lambda x: x.mean(), "one number without axes"),
        (lambda x: x.no_such_method(), "no_such_method"),
    ],
)
def test_what_torch_refuses_is_refused_with_torchs_cause(function: Callable[[Tensor], Tensor], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        trace(Calls(lambda x, m: function(x)).eval(), SHAPE)


NETWORKS = """
import torch
from torch import nn


def double(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5)).double().eval()
def half(): return double().half()
"""


@pytest.mark.parametrize(("name", "dtype"), [("double", "float64"), ("half", "float16")])
def test_a_network_in_another_precision_is_converted_and_says_so(name: str, dtype: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORKS)
    model = f"{tmp_path / 'net.py'}:{name}"
    result = edgekit.export(model, input=(1, 3, 8, 8), format=["onnx"], out=tmp_path / "out")
    assert not result.failed
    assert f"the network's tensors are {dtype}: they were converted to float32" in result.notes


def test_a_network_of_vectors_has_a_resolution() -> None:
    assert ModelSpec("vector", "user", "", lambda: nn.Identity(), (10,)).resolution == 10
