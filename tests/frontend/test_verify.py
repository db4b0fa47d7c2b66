"""The proof before anything is written: the graph answers like the user's own module, or nothing is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.errors import GateFailed, UsageError
from edgekit.frontend.tracer import trace
from edgekit.frontend.verify import answers, prove
from edgekit.ir.passes.fold_batch_norm import fold

SHAPE = (1, 3, 8, 8)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


def proved(module: nn.Module, size: float = 1.0) -> None:
    traced = trace(module, SHAPE)
    graph = fold(traced).graph
    inputs = size * np.random.default_rng(0).standard_normal((3, *SHAPE[1:]), np.float32)
    got = np.concatenate([graph.run(torch.from_numpy(x[None])).numpy() for x in inputs])
    prove(module, traced, graph, inputs, answers(module, inputs), got)


def test_a_sound_graph_passes() -> None:
    proved(network())


def limited(module: nn.Module, inputs: tuple[Tensor], y: Tensor) -> Tensor:
    return y.clamp(-4, 4)


def test_what_the_trace_cannot_see_is_refused_with_the_layer() -> None:
    module = network()
    module[2].register_forward_hook(limited)
    with pytest.raises(GateFailed, match=r"read from forward\(\) differs .* before the end of layer 2"):
        proved(module, 20.0)


def test_one_input_is_large_enough_for_limits_that_the_others_do_not_reach() -> None:
    module = network()
    module[2].register_forward_hook(limited)
    with pytest.raises(GateFailed, match=r"read from forward\(\) differs"):
        proved(module, 0.1)


def test_a_graph_that_only_folding_changed_is_blamed_on_folding() -> None:
    module = network()
    traced = trace(module, SHAPE)
    graph = fold(traced).graph
    next(tensor for name, tensor in graph.params.items() if "folded" in name).data.mul_(1.1)
    inputs = np.ones((1, *SHAPE[1:]), np.float32)
    got = graph.run(torch.from_numpy(inputs)).numpy()
    with pytest.raises(GateFailed, match="the folded network differs"):
        prove(module, traced, graph, inputs, answers(module, inputs), got)


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


HOOKED = """
import torch
from torch import nn


def build():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    network[1].register_forward_hook(lambda module, inputs, y: y.clamp(max=4.0))
    return network
"""


def test_an_export_of_another_network_than_the_users_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(HOOKED)
    with pytest.raises(GateFailed, match="differs from the network by"):
        edgekit.export(f"{tmp_path / 'net.py'}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    assert not list(tmp_path.rglob("*.onnx"))
