"""Values beyond float16 are told, with the layer; masks and what float16 holds are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.exporting.half_range import beyond_half
from edgekit.frontend.tracer import trace
from tests.exporting.conftest import SHAPE


class Scaled(nn.Module):
    """A layer whose values are `by` at most, and small ones behind it."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.wide.weight, by)
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        wide: Tensor = self.wide(x)
        return wide / self.by


class Masked(nn.Module):
    """A softmax that leaves out half of its values."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x + torch.tensor([0.0, -1e9]), -1)


class Infinite(nn.Module):
    """Its one large value is beyond any number."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(x + torch.tensor([0.0, float("inf")]), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("module", "largest"),
    [
        (Scaled(688639.0), "6.9e+05"),
        (Scaled(-688639.0), "6.9e+05"),
        (Scaled(65504.0), None),
        (Masked(), None),
        (Infinite(), None),
    ],
)
def test_values_beyond_float16_are_told(module: nn.Module, largest: str | None) -> None:
    graph, x = trace(module.eval(), (1, 1, 2, 2)), np.ones((3, 1, 2, 2), np.float32)
    said = beyond_half(graph, [x])
    if largest is None:
        assert said is None
    else:
        assert said is not None and said.startswith(f"values of wide reach {largest}, beyond float16 (65504):")


def test_a_graph_that_cannot_be_run_tells_nothing() -> None:
    graph = trace(Scaled(1e6).eval(), (1, 1, 2, 2))
    assert beyond_half(graph, [np.ones((1, 5, 2, 2), np.float32)]) is None


def test_export_and_manifest_tell_it_of_fp16_alone(tmp_path: Path) -> None:
    (tmp_path / "wide.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    first, last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)\n"
        "    nn.init.constant_(first.weight, 4e4)\n    nn.init.constant_(last.weight, 1e-3)\n"
        "    return nn.Sequential(first, nn.ReLU(), last, nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    network, wanted = f"{tmp_path / 'wide.py'}:build", ["fp32", "fp16"]
    made = edgekit.export(network, input=SHAPE, precision=wanted, format=["onnx"], out=tmp_path / "out")
    assert not made.failed and sum("beyond float16" in note for note in made.notes) == 1
    told = {one.manifest.precision: one.manifest.notes for one in made.artifacts if one.manifest}
    assert not any("float16" in note for note in told["fp32"])
    assert any("beyond float16" in note for note in told["fp16"])
