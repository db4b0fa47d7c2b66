"""Each kind of operator that TFLite computes in integers, alone in a file, against the simulation of its integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import OpResolverType
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.int8.tflite_constraints import float_only
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fold_batch_norm import fold
from tests.exporters.case import MAP, VOLUME, Case
from tests.exporters.kinds import CASES
from tests.exporters.tflite.test_kinds import answer

# Of the elements, by one step: interpolation has a fixed point of its own, and halves are rounded as floats fall.
MOST_BESIDE = {"upsample": 0.25, "means of volumes, padded at stride 2": 0.2}


def in_integers(graph: Graph) -> bool:
    """Whether the operator has real inputs and an integer kernel."""
    return all(op.dtype.is_floating_point for op in graph) and float_only(graph["y"]) is None


SLOPES = torch.tensor([0.9, 0.3, 0.1, 0.02, -0.2, 0.5])
PRELU = Case("prelu", lambda x: F.prelu(x, SLOPES), (MAP,), {}, {"weight": SLOPES})

KINDS: dict[str, list[Case]] = {}
for case in (PRELU, *CASES.values()):
    if in_integers(case.graph()):
        KINDS.setdefault(case.kind, []).append(case)


class Joined(nn.Module):
    """Values of unlike ranges, joined."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.sigmoid(), x, x.relu()], 1)


def normalization() -> nn.Module:
    """A BatchNorm that no convolution takes up, with channels over four decades."""
    made = nn.BatchNorm2d(6)
    assert made.running_var is not None
    made.running_var *= torch.logspace(-4, 4, 6)
    nn.init.uniform_(made.bias, -2, 2)
    return made


# What CASES has not, between what it reads and an output of its own.
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "means of volumes": (VOLUME, lambda: nn.AvgPool3d(2)),
    "means of volumes, stride 1": (VOLUME, lambda: nn.AvgPool3d((3, 2, 3), 1)),
    "means of volumes, padded": (VOLUME, lambda: nn.AvgPool3d(3, 1, 1, count_include_pad=False)),
    "means of volumes, padded at stride 2": (VOLUME, lambda: nn.AvgPool3d(2, 2, 1, count_include_pad=False)),
    "means of frames": (VOLUME, lambda: nn.AvgPool3d((2, 1, 1))),
    "means of planes": (VOLUME, lambda: nn.AvgPool3d((1, 3, 3), (1, 2, 2))),
    "means of maps": (MAP, lambda: nn.AvgPool2d(3, 2)),
    "means of maps, padded": (MAP, lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "maxima of volumes": (VOLUME, lambda: nn.MaxPool3d(2)),
    "hard sigmoid": (MAP, nn.Hardsigmoid),
    "hard swish": (MAP, nn.Hardswish),
    "SiLU": (MAP, nn.SiLU),
    "GELU": (MAP, nn.GELU),
    "ELU": (MAP, nn.ELU),
    "leaky ReLU": (MAP, lambda: nn.LeakyReLU(0.2)),
    "a clip of its own": (MAP, lambda: nn.Hardtanh(-0.7, 1.3)),
    "sigmoid": (MAP, nn.Sigmoid),
    "tanh": (MAP, nn.Tanh),
    "softmax over a map": (MAP, lambda: nn.Softmax(3)),
    "softmax over channels": (MAP, lambda: nn.Softmax(1)),
    "factors and offsets": (MAP, normalization),
    "unlike parts joined": (MAP, Joined),
    "a convolution with gaps, in groups": (MAP, lambda: nn.Conv2d(6, 4, 3, 1, 2, 2, 2)),
    "a transposed convolution with gaps": (MAP, lambda: nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, dilation=2)),
    "a convolution of volumes": (VOLUME, lambda: nn.Conv3d(4, 3, 3, 1, 1)),
}


def ranges(graph: Graph, values: list[Tensor]) -> Ranges:
    """The extremes of each tensor on the values, and zero, so that few values far from it stay integers, too."""
    found: dict[str, tuple[float, float]] = {}

    def look(op: Op, y: Tensor) -> None:
        low, high = torch.aminmax(y[y.isfinite()])
        found[op.name] = min(float(low), 0.0), max(float(high), 0.0)

    graph.run(*values, observe=look)
    return Ranges(found, {}, 1, None)


def steps_beside(graph: Graph, values: list[Tensor], path: Path) -> NDArray[np.float64]:
    """By how many steps of its output a file is beside the simulation, for each element."""
    quantized = quantize(graph, ranges(graph, values), "tflite")
    write(WriteJob(quantized.graph, "int8", quantized), path)
    (got,) = answer(path, values, OpResolverType.AUTO)
    (output,) = graph.outputs.values()
    difference: NDArray[np.float64] = np.abs(got - run(quantized, *values).numpy())
    return difference / quantized.activations[output].scale


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_answers_as_the_simulation(kind: str, tmp_path: Path) -> None:
    for one in KINDS[kind]:
        beside = steps_beside(one.graph(), one.values(), tmp_path / "operator.tflite")
        assert beside.max() < 1.5
        assert (beside > 0.5).mean() <= MOST_BESIDE.get(kind, 0.02)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_answers_as_the_simulation(name: str, tmp_path: Path) -> None:
    shape, make = LAYERS[name]
    torch.manual_seed(0)
    x = 2 * torch.randn(1, *shape[1:])
    beside = steps_beside(fold(trace(make().eval(), x.shape)).graph, [x], tmp_path / "layer.tflite")
    assert beside.max() < 1.5
    assert (beside > 0.5).mean() <= MOST_BESIDE.get(name, 0.02)
