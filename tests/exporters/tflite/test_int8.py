"""int8 files against the same integers simulated in torch, from networks that are quantized by hand here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.tflite_constraints import SAME_SCALE, fixed_output, float_only
from edgekit.exporters.tflite.writer import write
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QParams, QuantizedGraph, QWeight

MAP = (1, 4, 6, 7)


def params_of(y: Tensor) -> QParams:
    low, high = min(float(y.min()), 0.0), max(float(y.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    return QParams(scale, max(-128, min(127, -128 - round(low / scale))))


def by_hand(graph: Graph, x: Tensor, islands: tuple[str, ...] = ()) -> QuantizedGraph:
    """Minimum and maximum of one batch; moved elements keep their scale, but a concatenation has its own."""
    seen: dict[str, QParams] = {}
    graph.run(x, observe=lambda op, y: seen.update({op.name: params_of(y)}))
    fused, inside = fused_activations(graph), dict.fromkeys(islands, "asked")
    activations: dict[str, QParams] = {}
    weights, biases = {}, {}
    for op in graph:
        reason = float_only(op)
        if reason:
            inside[op.name] = reason
        follows = op.kind in SAME_SCALE and op.kind != "cat" and op.inputs[0] in activations
        if op.name not in fused:
            activations[op.name] = (
                activations[op.inputs[0]] if follows else fixed_output(op.kind) or seen[op.name]
            )  # fmt: skip
    for op in graph:
        if op.kind in ("conv", "linear", "conv_transpose") and op.name not in inside:
            own, axis = graph.tensors(op), int(op.kind == "conv_transpose")
            weight = own["weight"].detach()
            scale = weight.abs().transpose(0, axis).flatten(1).amax(1) / 127
            shape = [-1 if a == axis else 1 for a in range(weight.dim())]
            weights[op.name] = QWeight(torch.round(weight / scale.reshape(shape)).to(torch.int8), scale, axis)
            bias = own["bias"].detach() if "bias" in own else torch.zeros(len(scale))
            biases[op.name] = torch.round(bias / (scale * activations[op.inputs[0]].scale)).to(torch.int32)
    return QuantizedGraph(graph, "tflite", activations, weights, biases, inside)


def simulated(q: QuantizedGraph, x: Tensor) -> Tensor:
    """The network of rounded weights, each tensor rounded after its operator."""
    params, ops = dict(q.graph.params), []
    for op in q.graph:
        if op.name in q.weights:
            params[f"{op.name}/w"] = q.weights[op.name].real()
            params[f"{op.name}/b"] = q.biases[op.name] * q.weights[op.name].scale * q.activations[op.inputs[0]].scale
            op = op.with_(params={"weight": f"{op.name}/w", "bias": f"{op.name}/b"})
        ops.append(op)

    def rounded(op: Op, y: Tensor) -> Tensor | None:
        known = q.activations.get(op.name)
        return known.fake(y) if known else None

    y: Tensor = Graph(tuple(ops), q.graph.outputs, params).run(x, observe=rounded)
    return y


class By(nn.Module):
    """A network that is one function of its input and its own tensors."""

    def __init__(self, function: Callable[..., Tensor], *own: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.count = len(own)
        for index, shape in enumerate(own):
            tensor = torch.randn(shape, generator=torch.Generator().manual_seed(1))
            setattr(self, f"own{index}", nn.Parameter(tensor))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *[getattr(self, f"own{index}") for index in range(self.count)])


CASES: dict[str, nn.Module] = {
    "conv": nn.Conv2d(4, 6, 3, 1, 1),
    "conv, symmetric padding at stride 2": nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()),
    "conv relu6": nn.Sequential(nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU6()),
    "conv without bias": nn.Conv2d(4, 6, 1, bias=False),
    "2 groups": nn.Conv2d(4, 6, 3, 1, 1, groups=2),
    "depthwise": nn.Conv2d(4, 8, 3, 2, 1, groups=4),
    "transposed": nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
    "transposed, same": nn.ConvTranspose2d(4, 6, 4, 2, 1),
    "flatten, linear": nn.Sequential(nn.Flatten(), nn.Linear(168, 5)),
    "linear over 4 axes": nn.Linear(7, 3),
    "1-D": nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 5, 3, padding=1)),
    "max pool": nn.MaxPool2d(3, 2, 1),
    "max pool after relu": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
    "average pool": nn.AvgPool2d(2),
    "average pool inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average pool, padded": nn.AvgPool2d(3, 2, 1),
    "global average": nn.AdaptiveAvgPool2d(1),
    "uneven average": nn.AdaptiveAvgPool2d((4, 3)),
    "norm, not folded": nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()),
    "add": By(lambda x: x + x.mean((2, 3), keepdim=True)),
    "multiply": By(lambda x: x * x.sigmoid()),
    "add own": By(lambda x, a: F.relu(x + a), (4, 1, 1)),
    "multiply by a mask": By(lambda x: x * (torch.arange(4) > 1).reshape(4, 1, 1)),
    "number first": By(lambda x: 1.5 - x),
    "divide by number": By(lambda x: x / 3),
    "divide": By(lambda x: x / (x.sigmoid() + 1)),
    "cat of two scales": By(lambda x: torch.cat([x, 3 * x, x.sigmoid()], 1)),
    "pad": By(lambda x: F.pad(x, (1, 0, 2, 1))),
    "pad with 0.5": By(lambda x: F.pad(x, (1, 0, 2, 1), value=0.5)),
    "slice": By(lambda x: x[:, 1:3, ::2]),
    "shuffle": By(lambda x: x.view(1, 2, 2, 6, 7).transpose(1, 2).reshape(1, 4, 6, 7)),
    "permute": By(lambda x: x.permute(0, 2, 3, 1)),
    "resize": By(lambda x: F.interpolate(x, scale_factor=2)),
    "resize bilinear": By(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    "gather": By(lambda x: x[:, [2, 0, 2]]),
    "largest of channels": By(lambda x: x.amax(1)),
    "least of places": By(lambda x: x.amin((2, 3), keepdim=True)),
    "maximum": By(lambda x: torch.maximum(x, 0.3 - x)),
    "minimum": By(lambda x: torch.minimum(2 * x, x.mean((2, 3), keepdim=True))),
    "maximum with its own": By(lambda x, a: torch.maximum(x, a), (4, 1, 1)),
    "softmax": nn.Softmax(1),
    "log_softmax between convs": nn.Sequential(nn.Conv2d(4, 4, 1), nn.LogSoftmax(1), nn.Conv2d(4, 4, 1)),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "elu": nn.ELU(),
    "elu 0.4": nn.ELU(0.4),
    "prelu": nn.PReLU(4),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "hardtanh": nn.Hardtanh(),
    "clip": nn.Hardtanh(-0.3, 0.7),
    "lrn between convs": nn.Sequential(nn.Conv2d(4, 4, 1), nn.LocalResponseNorm(3, 0.1), nn.Conv2d(4, 4, 1)),
    "every other pixel": By(lambda x: F.pad(x[:, :, ::2, 1::2], (0, 0, 0, 0, 2, 1))),
    "3-D": nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 3, 3, padding=1)),
}  # fmt: skip
# Two roundings, or two inputs of which each may fall one step beside.
STEPS = {
    "multiply": 2,
    "silu": 2,
    "hardsigmoid": 2,
    "cat of two scales": 2,
    "lrn between convs": 2,
    "log_softmax between convs": 2,
    "add own": 2,
    "divide": 2,
    "elu 0.4": 2,
}  # these two end in float, which is not rounded


@pytest.mark.parametrize("name", CASES)
def test_integers_agree_with_the_simulation(name: str, open_tflite: Any, graph_of: Any) -> None:
    if isinstance(CASES[name], nn.Sequential) and isinstance(CASES[name][0], nn.Unflatten):  # type: ignore[index]
        module: nn.Module = By(lambda x, w: F.conv3d(x.view(1, 2, 2, 6, 7), w, padding=1), (3, 2, 3, 3, 3))
    else:
        module = CASES[name]
    graph = graph_of(module, MAP)
    x = 2 * torch.randn(MAP, generator=torch.Generator().manual_seed(2))
    q = by_hand(graph, x)
    want = simulated(q, x).numpy()
    opened = open_tflite(graph, "int8", quantized=q)
    got = opened.run(x.numpy())
    step = q.activations[fused_activations(graph).get(graph.output, graph[graph.output]).name].scale
    assert got.shape == want.shape
    assert np.ptp(want) > 4 * step
    assert np.abs(got - want).max() <= (STEPS.get(name, 1) + 0.01) * step


def test_one_scale_needs_no_quantize(open_tflite: Any, graph_of: Any) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(16, 3))
    graph = graph_of(network, (1, 4, 8, 8))
    q = by_hand(graph, torch.randn(1, 4, 8, 8))
    opened = open_tflite(graph, "int8", quantized=q)
    assert opened.written.operators == {
        "CONV_2D": 1, "DEQUANTIZE": 1, "FULLY_CONNECTED": 1, "MAX_POOL_2D": 1, "PAD": 2, "QUANTIZE": 1, "RESHAPE": 1
    }  # fmt: skip
    assert opened.delegated


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["every other pixel", "3-D"])
def test_what_xnnpack_lacks_is_said_in_what_it_has(name: str, precision: str, open_tflite: Any, graph_of: Any) -> None:
    shape = (1, 4, 5, 6, 7) if name == "3-D" else MAP
    module: Any = nn.Sequential(nn.Conv3d(4, 3, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2))
    graph = graph_of(module if name == "3-D" else CASES[name], shape)
    q = by_hand(graph, torch.randn(shape)) if precision == "int8" else None
    opened = open_tflite(graph, precision, quantized=q)
    assert opened.delegated


def test_a_dense_block_is_one_delegate(open_tflite: Any, graph_of: Any) -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 2 * i) for i in range(3))
            self.convs = nn.ModuleList(nn.Conv2d(4 + 2 * i, 2, 3, padding=1) for i in range(3))

        def forward(self, x: Tensor) -> Tensor:
            for norm, conv in zip(self.norms, self.convs, strict=True):
                x = torch.cat([x, conv(F.relu(norm(x)))], 1)
            return F.avg_pool2d(x, 2)

    graph = graph_of(Dense(), MAP)
    x = torch.randn(MAP)
    opened = open_tflite(graph, "int8", quantized=by_hand(graph, x))
    assert not {"RELU", "MUL", "ADD", "AVERAGE_POOL_2D"} & set(opened.written.operators)
    assert opened.delegated


@pytest.mark.parametrize(("io", "shift"), [("int8", 0), ("uint8", 128)])
def test_integer_input_and_output(io: str, shift: int, open_tflite: Any, graph_of: Any) -> None:
    graph = graph_of(nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(120, 5)), MAP)
    x = torch.randn(MAP)
    q = by_hand(graph, x)
    opened = open_tflite(graph, "int8", quantized=q, io=io)
    taken, given = opened.written.inputs[0], opened.written.outputs[0]
    assert (taken.dtype, given.dtype) == (io, io)
    first = q.activations[graph.input.name]
    assert (taken.scale, taken.zero_point) == (first.scale, first.zero_point + shift)
    integers = torch.clamp(torch.round(x / first.scale) + first.zero_point, -128, 127) + shift
    got = opened.run(integers.numpy().astype(io)).astype(np.float32)
    assert np.abs((got - given.zero_point) * given.scale - simulated(q, x).numpy()).max() <= 1.01 * given.scale
    assert ("QUANTIZE" in opened.written.operators) == (io == "uint8")


def test_a_dead_channel_keeps_its_shift(open_tflite: Any, graph_of: Any) -> None:
    norm = nn.BatchNorm2d(4)
    network = nn.Sequential(norm, nn.ReLU())
    graph = graph_of(network, MAP)
    params = dict(graph.params)
    for name, tensor in params.items():
        params[name] = torch.tensor([0.0, 1e-9, 1.0, -1.0]) if name.endswith("weight") else tensor
        params[name] = torch.tensor([3.0, 2.0, 1.0, 0.5]) if name.endswith("bias") else params[name]
    graph = Graph(graph.ops, graph.outputs, params)
    x = torch.randn(MAP)
    q = by_hand(graph, x)
    opened = open_tflite(graph, "int8", quantized=q)
    assert opened.delegated
    step = q.activations[graph.output].scale
    assert np.abs(opened.run(x.numpy()) - simulated(q, x).numpy()).max() <= 1.01 * step


def test_islands_are_computed_in_float(open_tflite: Any, graph_of: Any) -> None:
    graph = graph_of(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1)), MAP)
    x = torch.randn(MAP)
    opened = open_tflite(graph, "int8", quantized=by_hand(graph, x, islands=("2",)))
    assert opened.written.operators == {"CONV_2D": 3, "DEQUANTIZE": 2, "QUANTIZE": 2}
    whole = by_hand(graph, x)
    error = [np.abs(o.run(x.numpy()) - graph.run(x).numpy()).max() for o in (opened,)]
    assert error[0] <= np.abs(simulated(whole, x).numpy() - graph.run(x).numpy()).max() * 1.5


def test_float_files_have_float_input(graph_of: Any, tmp_path: Any) -> None:
    graph = graph_of(nn.Conv2d(4, 6, 3), MAP)
    with pytest.raises(UsageError, match="uint8 input and output need int8, not fp32"):
        write(WriteJob(graph, "fp32", io="uint8"), tmp_path / "a.tflite")
    assert not (tmp_path / "a.tflite").exists()
