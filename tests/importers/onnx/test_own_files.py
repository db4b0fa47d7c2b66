"""Our own files read back: the same layer table, and the same bytes when they are written again."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from edgekit.importers.onnx.reader import open_source
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant

NETWORKS = ["squeezenet1_1", "resnet20_cifar", "densenet40_12_cifar", "efficientnet_b0", "lenet5"]


def folded(name: str) -> Graph:
    """The folded graph of a network of the zoo."""
    importlib.import_module("edgekit.models")  # registers the zoo
    point = variant(name)
    return fold(trace(point.build(), *point.input_shapes)).graph


def read_back(path: Path) -> Graph:
    """The folded graph of a file."""
    source = open_source(path, None)
    return fold(trace(source.build().eval(), *source.shapes.values())).graph


@pytest.mark.parametrize(("name", "precision"), list(itertools.product(NETWORKS, ["fp32", "fp16"])))
def test_the_same_table_and_the_same_bytes(name: str, precision: str, tmp_path: Path) -> None:
    graph = folded(name)
    job = WriteJob(graph=graph, precision=precision, description="x")
    write(job, tmp_path / "one.onnx")
    again = read_back(tmp_path / "one.onnx")
    if precision == "fp32":
        assert table(again) == table(graph)
    write(replace(job, graph=again), tmp_path / "two.onnx")
    assert (tmp_path / "two.onnx").read_bytes() == (tmp_path / "one.onnx").read_bytes()
