"""What a file computes inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor, nn

from edgekit.data.calibration import synthetic
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporting.inner_values import inner_values
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.records.preprocessing import TORCHVISION


class Whole(nn.Module):
    """One number of a map that is added to it: a tensor without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y + y.mean()


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_a_tensor_without_axes_has_a_value(format: str, tmp_path: Path) -> None:
    graph = fold(trace(Whole().eval(), (1, 3, 8, 8))).graph
    how, images = FORMATS[format], synthetic((1, 3, 8, 8), TORCHVISION, 2)
    made, path = quantize(graph, record(graph, images), how.scheme), tmp_path / f"net{how.suffix}"
    written = how.write(WriteJob(graph=graph, precision="int8", quantized=made), path)
    xs = [x[:1] for x in next(images.inputs(1))]
    found = inner_values(path, made, written.inputs, xs)
    assert "conv" in found and all(value.isfinite().all() for value in found.values())
