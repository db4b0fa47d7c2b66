"""Our own files read back: the same layer table, and the same bytes when they are written again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.importers.tflite.reader import open_source
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from tests.importers.onnx.test_own_files import folded

NETWORKS = ["squeezenet1_1", "resnet20_cifar", "efficientnet_b0", "lenet5"]


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


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_axes_as_torch_has_them(layout: str, tmp_path: Path) -> None:
    graph = folded("lenet5")
    job = WriteJob(graph=graph, precision="fp32", description="x", layout=layout)
    write(job, tmp_path / "one.tflite")
    again = read_back(tmp_path / "one.tflite")
    assert again.input.shape == graph.input.shape and table(again) == table(graph)
    write(replace(job, graph=again), tmp_path / "two.tflite")
    assert (tmp_path / "two.tflite").read_bytes() == (tmp_path / "one.tflite").read_bytes()
