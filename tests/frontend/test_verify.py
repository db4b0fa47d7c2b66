"""The proof before anything is written: the graph answers like the user's own module, or nothing is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import edgekit
from edgekit.errors import GateFailed, UsageError
from edgekit.frontend.tracer import trace
from edgekit.frontend.verify import answers, verify
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold

SHAPE = (1, 3, 8, 8)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


def verified(module: nn.Module, size: float = 1.0) -> None:
    traced = trace(module, SHAPE)
    graph = fold(traced).graph
    inputs = size * np.random.default_rng(0).standard_normal((3, *SHAPE[1:]), np.float32)
    got = np.concatenate([graph.run(torch.from_numpy(x[None])).numpy() for x in inputs])
    verify(module, traced, graph, [inputs], answers(module, inputs), [got])


def test_a_sound_graph_passes() -> None:
    verified(network())


def limited(module: nn.Module, inputs: tuple[Tensor], y: Tensor) -> Tensor:
    return y.clamp(-4, 4)


def test_a_hook_of_the_users_is_part_of_the_network() -> None:
    module = network()
    module[2].register_forward_hook(limited)
    assert "clip" in [op.kind for op in trace(module, SHAPE)]
    verified(module, 20.0)


class Switched(nn.Module):
    """Cuts off once something outside of forward() says so."""

    on = False

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-4, 4) if self.on else x * 1


@pytest.mark.parametrize("size", [20.0, 0.1])  # of the second, only the loud input reaches the limit
def test_another_network_than_was_read_is_refused_with_the_layer(size: float) -> None:
    module = network()
    module[2] = switch = Switched().eval()
    traced = trace(module, SHAPE)
    switch.on = True
    inputs = size * np.random.default_rng(0).standard_normal((3, *SHAPE[1:]), np.float32)
    with pytest.raises(GateFailed, match=r"read from forward\(\) differs .* before the end of layer 3"):
        judged(module, traced, inputs)


class Counts(nn.Module):
    """Answers by how often it was asked."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


def test_a_network_that_counts_its_calls_is_told_so() -> None:
    module = nn.Sequential(Counts()).eval()
    traced = trace(module, SHAPE)
    with pytest.raises(UsageError, match="answers the same input differently each time"):
        judged(module, traced, np.ones((2, *SHAPE[1:]), np.float32))


def judged(module: nn.Module, traced: Graph, inputs: NDArray[np.float32]) -> str | None:
    graph = fold(traced).graph
    got = np.concatenate([graph.run(torch.from_numpy(x[None])).numpy() for x in inputs])
    return verify(module, traced, graph, [inputs], answers(module, inputs), [got])


def chaotic() -> nn.Sequential:
    """Each step doubles what two answers differ by, so that 40 of them make a rounding error as large as the answer."""

    class Tent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1 - (2 * x - 1).abs()

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Sigmoid(), *[Tent() for _ in range(22)]]
    module = nn.Sequential(*layers).eval()
    nn.init.uniform_(next(module[1].parameters()), 0.5, 1.5)
    return module


class InSingle(nn.Module):
    """In float32, whatever the network is in, and below a constant that is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = torch.full((1, 3, 1, 1), torch.inf)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :2], x[:, 2:].float()], 1).minimum(self.limit)


@pytest.mark.parametrize("last", [nn.Identity, InSingle])
def test_where_float32_is_chaotic_float64_judges_and_a_note_says_so(last: type[nn.Module]) -> None:
    module = chaotic().append(last())
    inputs = np.random.default_rng(0).standard_normal((3, *SHAPE[1:]), np.float32)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    note = judged(module, trace(module, SHAPE), inputs)
    assert note and "float32 rounding moves this network's answers" in note
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_wrong_fold_of_a_chaotic_network_is_found_all_the_same() -> None:
    module = chaotic()
    traced = trace(module, SHAPE)
    graph = fold(traced).graph
    next(tensor for name, tensor in graph.params.items() if "folded" in name).data.mul_(1.001)
    inputs = np.random.default_rng(0).standard_normal((3, *SHAPE[1:]), np.float32)
    got = np.concatenate([graph.run(torch.from_numpy(x[None])).numpy() for x in inputs])
    with pytest.raises(GateFailed, match="differs from the network"):
        verify(module, traced, graph, [inputs], answers(module, inputs), [got])


def test_a_graph_that_only_folding_changed_is_blamed_on_folding() -> None:
    module = network()
    traced = trace(module, SHAPE)
    graph = fold(traced).graph
    next(tensor for name, tensor in graph.params.items() if "folded" in name).data.mul_(1.1)
    inputs = np.ones((1, *SHAPE[1:]), np.float32)
    got = graph.run(torch.from_numpy(inputs)).numpy()
    with pytest.raises(GateFailed, match="the folded network differs"):
        verify(module, traced, graph, [inputs], answers(module, inputs), [got])


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("anything")


def test_a_module_that_fails_and_one_that_answers_nan_are_refused() -> None:
    inputs = np.ones((1, *SHAPE[1:]), np.float32)
    with pytest.raises(UsageError, match="does not run on an input of 1x3x8x8: 'anything'"):
        answers(Fails(), inputs)
    module = network()
    nn.init.constant_(next(module.parameters()), torch.nan)
    with pytest.raises(GateFailed, match="answers with values that are not finite"):
        answers(module, inputs)


COUNTING = """
from torch import nn


class Counts(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), Counts()).eval()
"""


def test_an_export_of_another_network_than_the_users_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(COUNTING)
    with pytest.raises(UsageError, match="differently each time"):
        edgekit.export(f"{tmp_path / 'net.py'}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    assert not list(tmp_path.rglob("*.onnx"))
