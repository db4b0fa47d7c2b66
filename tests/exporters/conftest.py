"""What several exporter tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgekit.exporters import WriteJob, Written
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold


@dataclass(frozen=True)
class Opened:
    """A written TFLite file, open in LiteRT. `run` takes and gives torch's layout."""

    path: Path
    written: Written
    interpreter: Any

    def run(self, x: Any) -> Any:
        details = self.interpreter.get_input_details()[0]
        fed = np.moveaxis(x, 1, -1) if x.ndim in (4, 5) else x
        if tuple(details["shape"]) != fed.shape:
            self.interpreter.resize_tensor_input(details["index"], fed.shape)
            self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(details["index"], np.ascontiguousarray(fed))
        self.interpreter.invoke()
        y = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return np.moveaxis(y, -1, 1) if y.ndim in (4, 5) else y

    @property
    def delegated(self) -> bool:
        """Whether one delegate reaches from the input to the output, with nothing beside it."""
        found = [op for op in self.interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
        inputs = {item["index"] for item in self.interpreter.get_input_details()}
        outputs = {item["index"] for item in self.interpreter.get_output_details()}
        return len(found) == 1 and set(found[0]["outputs"]) == outputs and inputs <= set(found[0]["inputs"])


@pytest.fixture
def open_tflite(tmp_path: Path) -> Callable[..., Opened]:
    """Write a graph and open the file: `open_tflite(graph, precision="fp32", quantized=None, io="float32", ...)`."""

    def make(graph: Graph, precision: str = "fp32", **more: Any) -> Opened:
        path = tmp_path / "network.tflite"
        written = write(WriteJob(graph, precision, **more), path)
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        return Opened(path, written, interpreter)

    return make


def folded(module: nn.Module, shape: tuple[int, ...]) -> Graph:
    """The folded graph of a module, its normalizations with statistics that are not trivial."""
    torch.manual_seed(0)
    for child in module.modules():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            assert child.running_mean is not None and child.running_var is not None
            child.running_mean.normal_()
            child.running_var.uniform_(0.5, 2)
            nn.init.normal_(child.weight)
    return fold(trace(module.eval(), shape)).graph


@pytest.fixture
def graph_of() -> Callable[[nn.Module, tuple[int, ...]], Graph]:
    """`graph_of(module, shape)`."""
    return folded


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept by content must not outlive a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
