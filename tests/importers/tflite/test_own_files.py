"""Our own files read back: the same layer table, and the same bytes when they are written again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.writer import write as write_onnx
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.importers.tflite.reader import open_source
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from tests.importers.onnx.test_own_files import folded
from tests.importers.tflite.files import node, same_as_runtime, weight
from tests.importers.tflite.files import write as write_tflite

NETWORKS = ["squeezenet1_1", "resnet20_cifar", "densenet40_12_cifar", "efficientnet_b0", "lenet5"]
WIDE = nn.Conv2d(3, 16, 3, padding=1)


class Joined(nn.Module):
    """More tensors than a CONCATENATION of XNNPACK takes, and one alone."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.cat([x], 1), *(x * number for number in range(2, 9))], 1)


class Third(nn.Module):
    """A number, which is no parameter."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 3


def read_back(path: Path) -> Graph:
    """The folded graph of a file."""
    source = open_source(path, None)
    return fold(trace(source.build().eval(), *source.shapes.values())).graph


@pytest.mark.parametrize(("name", "precision"), list(itertools.product(NETWORKS, ["fp32", "fp16"])))
def test_the_same_table_and_the_same_bytes(name: str, precision: str, tmp_path: Path) -> None:
    graph = folded(name)
    job = WriteJob(graph=graph, precision=precision, description="x")
    write(job, tmp_path / "one.tflite")
    again = read_back(tmp_path / "one.tflite")
    if precision == "fp32":
        assert table(again) == table(graph)
    write(replace(job, graph=again), tmp_path / "two.tflite")
    assert (tmp_path / "two.tflite").read_bytes() == (tmp_path / "one.tflite").read_bytes()


@pytest.mark.parametrize(
    "module",
    [
        *(nn.Sequential(WIDE, nn.LocalResponseNorm(n, 1e-3, beta, 2.0)) for n in (3, 4) for beta in (0.5, 0.75, 1.0)),
        nn.Sequential(WIDE, nn.LocalResponseNorm(5, 1e-4, 0.8)),
        nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Conv2d(8, 4, 1)),
        nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False)),
        Joined(),
        Third(),
    ],
)  # fmt: skip
def test_what_is_written_in_several_operators_or_without_a_bias(module: nn.Module, tmp_path: Path) -> None:
    graph = trace(module.eval(), (1, 3, 8, 8))
    job = WriteJob(graph=graph, precision="fp32", description="x")
    write(job, tmp_path / "one.tflite")
    again = read_back(tmp_path / "one.tflite")
    assert table(again) == table(graph)
    x = torch.randn((1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.run(x), graph.run(x), rtol=1e-5, atol=1e-5)
    write(replace(job, graph=again), tmp_path / "two.tflite")
    assert (tmp_path / "two.tflite").read_bytes() == (tmp_path / "one.tflite").read_bytes()


def test_places_of_each_part_of_a_batch(tmp_path: Path) -> None:
    class Sampled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False)

    graph = trace(Sampled().eval(), (1, 3, 4, 5))
    write(WriteJob(graph=graph, precision="fp32", description="x"), tmp_path / "one.tflite")
    x = torch.randn((1, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(read_back(tmp_path / "one.tflite").run(x), graph.run(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_axes_as_torch_has_them(layout: str, tmp_path: Path) -> None:
    graph = folded("lenet5")
    job = WriteJob(graph=graph, precision="fp32", description="x", layout=layout)
    write(job, tmp_path / "one.tflite")
    again = read_back(tmp_path / "one.tflite")
    assert again.input.shape == graph.input.shape and table(again) == table(graph)
    write(replace(job, graph=again), tmp_path / "two.tflite")
    assert (tmp_path / "two.tflite").read_bytes() == (tmp_path / "one.tflite").read_bytes()


def test_a_layer_that_is_called_like_its_weight_goes_into_an_onnx_file(tmp_path: Path) -> None:
    nodes = [node("FULLY_CONNECTED", "x MatMul -", "MatMul;BiasAdd"), node("TANH", "MatMul;BiasAdd", "y")]
    path = write_tflite(tmp_path / "net.tflite", nodes, {"x": (1, 4)}, ["y"], {"MatMul": weight(3, 4)})
    graph = same_as_runtime(path)
    assert [op.name for op in graph] == ["x", "MatMul", "y"]
    write_onnx(WriteJob(graph=graph, precision="fp32", description="x"), tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"))
