"""Networks whose ranges are hard on eight bits: the files answer as the simulation says, however much that loses."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.calibration import synthetic
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges, record
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.onnx.writer import write as write_onnx
from edgekit.exporters.tflite.writer import write as write_tflite
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.preprocessing import Preprocessing
from tests.exporters.small_networks import answers, snr_db

MAP, VOLUME, SIGNAL = (1, 3, 16, 16), (1, 3, 6, 8, 8), (1, 3, 40)


class Of(nn.Module):
    """A function of the input and of layers."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def conv(
    inputs: int,
    outputs: int,
    size: int = 1,
    weight: Tensor | float = 1.0,
    bias: Tensor | float = 1.0,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution with its weight and bias multiplied, by output channel where a tensor is given."""
    made = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)
    with torch.no_grad():
        made.weight *= torch.as_tensor(weight).reshape(-1, 1, 1, 1)
        assert made.bias is not None
        made.bias *= torch.as_tensor(bias)
    return made


def spread(decades: float, channels: int = 8) -> Tensor:
    """Factors of channels from 1 down over so many decades."""
    return torch.logspace(0, -decades, channels)


def behind(factor: Tensor, inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that undoes factors of its input channels."""
    made = nn.Conv2d(inputs, outputs, 1)
    with torch.no_grad():
        made.weight /= factor.reshape(1, -1, 1, 1)
    return made


def dead(channels: int) -> nn.Conv2d:
    """A depthwise convolution, half of whose channels give zero or their bias alone."""
    made = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    with torch.no_grad():
        made.weight[: channels // 2] = 0
        assert made.bias is not None
        made.bias[: channels // 4] = 0
    return made


def positive(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose products add up with one sign."""
    made = nn.Linear(inputs, outputs)
    nn.init.uniform_(made.weight, 0.9, 1.0)
    return made


def excited(x: Tensor, squeeze: nn.Module, widen: nn.Module) -> Tensor:
    """x times what squeeze and excite makes of its means."""
    return x * F.hardsigmoid(widen(F.relu(squeeze(x.mean((2, 3), keepdim=True)))))


S4 = spread(4)
NETWORKS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "channels over four decades, depthwise": (MAP, lambda: nn.Sequential(
        conv(3, 8, 1, S4, S4), nn.ReLU(), conv(8, 8, 3, 1 / S4, 1.0, 8), nn.ReLU(), conv(8, 5))),
    "channels over two decades, dense": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3, spread(2), spread(2)), nn.ReLU(), behind(spread(2), 8, 6), nn.ReLU(), conv(6, 5))),
    "weights over four decades": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3), nn.ReLU(), conv(8, 8, 1, S4, S4), behind(S4, 8, 6))),
    "outliers": (MAP, lambda: Of(lambda x, a, b: b(a(x) + 200 * F.relu(a(x) - 0.8)), conv(3, 8, 3), conv(8, 5))),
    "cubes": (MAP, lambda: Of(lambda x, a, b: b((4 * a(x)) * (4 * a(x)) * (4 * a(x))), conv(3, 8, 3), conv(8, 5))),
    "dead depthwise channels": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3), nn.ReLU6(), dead(8), nn.ReLU6(), conv(8, 5))),
    "all zeros": (MAP, lambda: nn.Sequential(conv(3, 8, 3, 0.0, 0.0), nn.ReLU(), conv(8, 5))),
    "everything cut at six": (MAP, lambda: nn.Sequential(conv(3, 8, 3, 100.0, 2000.0), nn.ReLU6(), conv(8, 5, 3))),
    "biases of a million steps": (MAP, lambda: nn.Sequential(conv(3, 8, 3, 1e-5, 50.0), conv(8, 5))),
    "negative alone": (MAP, lambda: Of(
        lambda x, a, b: b(F.max_pool2d(-F.relu(a(x)) - 3, 3, 1, 1)), conv(3, 8, 3), conv(8, 5))),
    "leaky, far below zero": (MAP, lambda: Of(
        lambda x, a, b: b(F.leaky_relu(a(x) - 20, 0.01)), conv(3, 8, 3), conv(8, 5))),
    "ranges of a millionth": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3, 1e-6, 1e-6), nn.ReLU(), conv(8, 8, 3, 1.0, 1e-6), nn.ReLU(), conv(8, 5, 1, 1e6, 1.0))),
    "a concatenation of unlike ranges": (MAP, lambda: Of(
        lambda x, a, b, c: c(torch.cat([500 * a(x), b(x).sigmoid()], 1)), conv(3, 4, 3), conv(3, 4), conv(8, 5))),
    "sums of unlike ranges": (MAP, lambda: Of(
        lambda x, a, b, c: c(F.relu(a(x)) * 100 + b(x)), conv(3, 8, 3), conv(3, 8), conv(8, 5))),
    "products of unlike ranges": (MAP, lambda: Of(
        lambda x, a, b, c: c(300 * a(x) * b(x).sigmoid() * 1e-3), conv(3, 8, 3), conv(3, 8), conv(8, 5))),
    "a difference of near values": (MAP, lambda: Of(
        lambda x, a, b: b((a(x) + 30) - 30), conv(3, 8, 3), conv(8, 5))),
    "squeeze and excite": (MAP, lambda: Of(
        lambda x, a, b, c, d: d(excited(F.hardswish(a(x)), b, c)),
        conv(3, 8, 3, 4.0), conv(8, 4), conv(4, 8), conv(8, 5))),
    "hard-swish on both sides of its bend": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3, 20.0), nn.Hardswish(), conv(8, 8, 3, 3.0, 1.0, 8), nn.Hardswish(), conv(8, 5))),
    "SiLU and GELU": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3, 6.0), nn.SiLU(), conv(8, 8, 1, 3.0), nn.GELU(), conv(8, 5))),
    "softmax at the end": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 12), nn.Softmax(1))),
    "sigmoid at the end": (MAP, lambda: nn.Sequential(conv(3, 8, 3), nn.ReLU(), conv(8, 5, 1, 8.0), nn.Sigmoid())),
    "tanh at the end": (MAP, lambda: nn.Sequential(conv(3, 8, 3), nn.ReLU(), conv(8, 5, 1, 8.0), nn.Tanh())),
    "transposed, unlike channels": (MAP, lambda: nn.Sequential(
        conv(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 6, 3, 2, 1, 1), nn.ReLU(), conv(6, 5, 1, spread(3, 5), 1.0))),
    "volumes": (VOLUME, lambda: nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(6, 5, (1, 3, 3)))),
    "signals": (SIGNAL, lambda: nn.Sequential(
        nn.Conv1d(3, 8, 5, 2, 2), nn.ReLU(), nn.Conv1d(8, 8, 3, groups=8), nn.ReLU6(), nn.Conv1d(8, 5, 1))),
    "a clip that leaves zero out": (MAP, lambda: Of(
        lambda x, a, b: b(a(x).clamp(0.2, 0.8)), conv(3, 8, 3), conv(8, 5))),
    "a tiny divisor": (MAP, lambda: Of(lambda x, a, b: b(a(x) / 1e-4 * 1e-3), conv(3, 8, 3), conv(8, 5))),
    "resized outliers": (MAP, lambda: Of(
        lambda x, a, b: b(F.interpolate(a(x) + 50 * F.relu(a(x) - 0.7), scale_factor=2, mode="bilinear")),
        conv(3, 8, 3), conv(8, 5))),
    "sums beyond 31 bits": ((1, 3, 260, 260), lambda: Of(
        lambda x, a: a(x.sigmoid().flatten(1)), positive(202_800, 4))),
}  # fmt: skip


@pytest.fixture(scope="module", params=NETWORKS)
def hard(request: pytest.FixtureRequest) -> tuple[Graph, Ranges, Tensor]:
    """A folded network, its ranges, and other inputs."""
    shape, make = NETWORKS[request.param]
    torch.manual_seed(0)
    graph = fold(trace(make().eval(), shape)).graph
    (x,) = next(synthetic(shape, Preprocessing(), 8, 7).inputs(8))
    return graph, record(graph, synthetic(shape, Preprocessing(), 16, 0)), torch.from_numpy(x)


def test_onnxruntime_answers_as_the_simulation(hard: tuple[Graph, Ranges, Tensor], tmp_path: Path) -> None:
    graph, ranges, x = hard
    made = quantize(graph, ranges, "onnxruntime")
    write_onnx(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    check(graph, made, x, answers(tmp_path / "n.onnx", x), steps=1)


@pytest.mark.parametrize("kernels", [OpResolverType.AUTO, OpResolverType.BUILTIN_REF])
def test_litert_answers_as_the_simulation(
    kernels: OpResolverType, hard: tuple[Graph, Ranges, Tensor], tmp_path: Path
) -> None:
    graph, ranges, x = hard
    made = quantize(graph, ranges, "tflite")
    write_tflite(WriteJob(made.graph, "int8", made), tmp_path / "n.tflite")
    # The reference kernels round twice, which some of these networks amplify.
    steps = 2.0 if kernels == OpResolverType.AUTO else math.inf
    check(graph, made, x, in_litert(tmp_path / "n.tflite", x, kernels), steps)


def check(graph: Graph, made: QuantizedGraph, x: Tensor, got: Tensor, steps: float) -> None:
    """Few answers differ from the simulation's, by `steps` at most, and they are as near to float as its are."""
    want, simulated = graph.run(x), run(made, x)
    step = made.activations[graph.output].scale if graph.output in made.activations else float(want.abs().max()) / 255
    off = (got - simulated).abs() / step
    assert float(off.max()) < steps + 0.5 and float((off > 0.5).float().mean()) < 0.1
    assert snr_db(want, got) > min(snr_db(want, simulated), 99) - 1  # where all is in float, the simulation is exact


def in_litert(path: Path, x: Tensor, kernels: OpResolverType) -> Tensor:
    """The answers of a file that takes its maps channels-last, in torch's order of axes."""
    interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for row in x.numpy():
        stored = np.moveaxis(row, 0, -1) if row.ndim > 2 else row
        interpreter.set_tensor(source["index"], np.ascontiguousarray(stored[None]))
        interpreter.invoke()
        y = interpreter.get_tensor(target["index"])
        found.append(np.moveaxis(y, -1, 1) if y.ndim > 3 else y)
    return torch.from_numpy(np.concatenate(found))
