"""The bytes of a TFLite file: aligned, shared where they are equal, read by others, written without a second copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.exporters.tflite import flatbuffer
from tests.exporters.tflite.test_writer import MAP, agrees, model_of, small


def test_buffers_are_aligned_and_apart(open_tflite: Any, graph_of: Any) -> None:
    path = open_tflite(graph_of(small(), MAP)).path
    data = path.read_bytes()
    assert data[4:8] == b"TFL3"
    model = schema.Model.GetRootAs(data)
    end = 0
    for index in range(1, model.BuffersLength()):
        buffer = model.Buffers(index)
        start = buffer._tab.Vector(buffer._tab.Offset(4))
        assert start % 16 == 0
        assert start >= end + 4
        end = start + buffer.DataLength()
    assert end == len(data)
    graph = model.Subgraphs(0)
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        held = model.Buffers(tensor.Buffer()).DataLength()
        width = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT32: 4}[tensor.Type()]
        assert held in (0, width * int(np.prod(tensor.ShapeAsNumpy())))


def test_an_independent_reader_walks_through(open_tflite: Any, graph_of: Any) -> None:
    reader = pytest.importorskip("tflite", reason="the package tflite is not installed")
    data = open_tflite(graph_of(small(), MAP)).path.read_bytes()
    assert reader.Model.ModelBufferHasIdentifier(data, 0)
    model = reader.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        assert reader.opcode2name(code.BuiltinCode())
        for tensor in [*operator.InputsAsNumpy(), *operator.OutputsAsNumpy()]:
            assert graph.Tensors(tensor).Name()


def test_beyond_what_references_reach(open_tflite: Any, graph_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(small(), MAP)
    monkeypatch.setattr(flatbuffer, "LARGEST", 0)
    opened = open_tflite(graph)
    assert all(buffer.data is None for buffer in model_of(opened.path).buffers)
    assert agrees(opened, graph)


class Shared(nn.Module):
    """One weight for two layers, one equal to it, and two layers without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 5, padding=2, bias=False)
        self.equal = nn.Conv2d(3, 3, 5, padding=2, bias=False)
        self.equal.weight.data.copy_(self.one.weight.data)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.one(self.equal(self.one(x))))


def test_equal_constants_are_stored_once(open_tflite: Any, graph_of: Any) -> None:
    graph = graph_of(Shared(), MAP)
    opened = open_tflite(graph)
    model = model_of(opened.path)
    sizes = [len(buffer.data) for buffer in model.buffers if buffer.data is not None]
    assert sizes[:-1] == [3 * 25 * 3 * 4, 3 * 4, 16]  # the last is the metadata
    assert agrees(opened, graph)


def test_no_second_copy_of_the_weights_is_held(tmp_path: Path) -> None:
    program = f"""
import resource, torch
from pathlib import Path
from torch import nn
from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def job(width):
    return WriteJob(trace(nn.Sequential(nn.Flatten(), nn.Linear(16 * 49, width)).eval(), (1, 16, 7, 7)), "fp32")
write(job(10), Path({str(tmp_path / "a")!r}))
large = job(1 << 16)
before = peak()
write(large, Path({str(tmp_path / "b")!r}))
print(before, peak(), Path({str(tmp_path / "b")!r}).stat().st_size >> 20)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after, size = map(int, ran.stdout.split())
    assert size == 196
    assert before > size  # the weights are really there, in MiB
    assert after - before < 32
