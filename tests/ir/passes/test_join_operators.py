"""What files say in several operators becomes the one that they are, and stays apart where it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.passes.join_operators import join_operators
from tests.importers.onnx.files import node, same_as_runtime, weight, write

IMAGE = {"x": (1, 4, 6, 6)}
OWN = {
    "three": np.array(3, np.float32),
    "zero": np.array(0, np.float32),
    "six": np.array(6, np.float32),
    "sixth": np.array([1 / 6], np.float32),
    "half": np.array(0.5, np.float32),
    "one": np.array(1, np.float32),
    "root": np.array(2**0.5, np.float32),
    "w": weight(4, 4, 1, 1),
    "v": weight(6, 6),
    "channels": weight(4, 1, 1, seed=1),
    "channels2": weight(1, 4, 1, 1, seed=2),
    "columns": weight(6, seed=3),
    "rows": weight(6, 1, seed=4),
}
SIGMOID = [node("Sigmoid", "x", "s"), node("Mul", "s x", "y")]
SIX = [node("Add", "x three", "a"), node("Clip", "a zero six", "c")]
ERF = [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "p")]
CONV, PRODUCT = node("Conv", "x w", "c"), node("MatMul", "x v", "c")


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        (SIGMOID, ["silu"]),
        ([node("HardSigmoid", "x", "s", alpha=1 / 6), node("Mul", "x s", "y")], ["hardswish"]),
        ([*SIX, node("Mul", "x c", "m"), node("Div", "m six", "y")], ["hardswish"]),
        ([*SIX, node("Mul", "c sixth", "m"), node("Mul", "x m", "y")], ["hardswish"]),
        ([*SIX, node("Div", "c six", "y")], ["hardsigmoid"]),
        ([*ERF, node("Mul", "x p", "m"), node("Mul", "m half", "y")], ["gelu"]),
        ([*ERF, node("Mul", "x half", "m"), node("Mul", "m p", "y")], ["gelu"]),
        ([*SIX, node("Mul", "x c", "m"), node("Div", "m three", "y")], ["add", "clip", "mul", "div"]),
        ([node("Sigmoid", "x", "s"), node("Mul", "s x", "m"), node("Add", "m s", "y")], ["sigmoid", "mul", "add"]),
        ([CONV, node("Add", "c channels", "y")], ["conv"]),
        ([PRODUCT, node("Add", "c columns", "y")], ["linear"]),
        ([PRODUCT, node("Add", "c rows", "y")], ["linear", "add"]),
        ([CONV, node("Mul", "c channels", "m"), node("Add", "m channels2", "y")], ["conv"]),
        ([CONV, node("Mul", "c channels", "y")], ["conv"]),
        ([node("Mul", "x channels", "m"), node("Add", "m channels2", "r"), node("Relu", "r", "y")], ["scale", "relu"]),
        ([CONV, node("Relu", "c", "r"), node("Add", "c r", "y")], ["conv", "relu", "add"]),
    ],
)
def test_patterns(tmp_path: Path, nodes: Any, kinds: list[str]) -> None:
    read = {name for one in nodes for name in one.input}
    own = {name: value for name, value in OWN.items() if name in read}
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, IMAGE, ["y"], own))
    assert [op.kind for op in fold(graph).graph][1:] == kinds


def test_a_value_that_is_an_output_stays(tmp_path: Path) -> None:
    graph = same_as_runtime(write(tmp_path / "net.onnx", SIGMOID, IMAGE, ["s", "y"]))
    assert [op.kind for op in graph] == ["input", "sigmoid", "mul"]


def test_a_join_keeps_the_name_of_what_gives_its_value_and_a_layer_its_own(tmp_path: Path) -> None:
    own = {name: OWN[name] for name in ("w", "channels")}
    nodes = [CONV, node("Add", "c channels", "x2"), node("Sigmoid", "x2", "s"), node("Mul", "s x2", "y")]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, IMAGE, ["y"], own))
    assert [op.name for op in graph] == ["x", "conv_c", "mul_y"]


class Responses(nn.Module):
    """Local response normalization of 5 channels as TFLite files have it: a convolution of squares sums a window."""

    def __init__(self, beta: float, size: int = 3) -> None:
        super().__init__()
        self.beta, self.sum = beta, nn.Conv2d(5, 5, 1)
        behind = torch.arange(5).unsqueeze(0) - torch.arange(5).unsqueeze(1)
        near = (behind >= -(size // 2)) & (behind <= (size - 1) // 2)
        with torch.no_grad():
            self.sum.weight.copy_(near.reshape(5, 5, 1, 1) * (0.3 / size))
            nn.init.constant_(self.sum.get_parameter("bias"), 2.0)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.sum(x * x)
        if self.beta == 0.75:
            return x / (total * total.sqrt()).sqrt()
        return x / (total.sqrt() if self.beta == 0.5 else total)


@pytest.mark.parametrize(("beta", "size"), [(1.0, 3), (0.5, 3), (0.75, 3), (0.75, 4)])
def test_a_spelled_out_response_normalization_is_one_operator(beta: float, size: int) -> None:
    graph, x = trace(Responses(beta, size).eval(), (1, 5, 3, 4)), torch.randn(1, 5, 3, 4)
    joined = join_operators(graph)
    assert [op.kind for op in joined] == ["input", "lrn"]
    torch.testing.assert_close(joined.run(x), F.local_response_norm(x, size, 0.3, beta, 2.0))
    torch.testing.assert_close(joined.run(x), graph.run(x))


@pytest.mark.parametrize("role", ["weight", "bias"])
def test_a_window_that_weighs_otherwise_is_none(role: str) -> None:
    network = Responses(0.75).eval()
    with torch.no_grad():
        getattr(network.sum, role)[1] += 0.1
    assert "lrn" not in [op.kind for op in join_operators(trace(network, (1, 5, 3, 4)))]


class Gain(nn.Module):
    """A learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([2.5]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


def test_a_learned_number_is_a_number_of_the_operator() -> None:
    (_, op) = join_operators(trace(Gain().eval(), (1, 3, 4, 4)))
    assert (op.kind, op.params, op.attrs["other"]) == ("mul", {}, 2.5)
