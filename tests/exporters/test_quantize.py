"""int8 from ranges to the file: what is chosen, what the simulation answers, and what onnxruntime answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgekit import calibration
from edgekit.calibration import CalibrationSet
from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx import write
from edgekit.exporters.quantize import EFFORTS, analytic_shifts, best_tops, quantize
from edgekit.exporters.quantize_activations import thin_start
from edgekit.exporters.ranges import record
from edgekit.exporters.rounding import output_error, sample
from edgekit.exporters.simulate import layer_snr, run
from edgekit.fold import fold
from edgekit.fusion import fused_activations
from edgekit.graph import Graph, Op
from edgekit.preprocess import Preprocessing
from edgekit.quantized import QParams, QuantizedGraph, QWeight
from edgekit.trace import trace

SHAPE = (1, 3, 24, 24)


class Residual(nn.Module):
    """x + convolution(x), ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(x + self.conv(x))
        return y


class Fork(nn.Module):
    """Two convolutions side by side, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(channels, channels, 1)
        self.right = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def stem() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6()]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "separable": lambda: nn.Sequential(
        *stem(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 16, 1), nn.ReLU6(), *head(16)
    ),
    "grouped": lambda: nn.Sequential(*stem(), nn.Conv2d(8, 12, 3, groups=4), nn.ReLU(), *head(12)),
    "residual": lambda: nn.Sequential(*stem(), Residual(8), Residual(8), *head(8)),
    "fork": lambda: nn.Sequential(*stem(), Fork(8), nn.MaxPool2d(2), nn.Conv2d(16, 8, 1), nn.ReLU(), *head(8)),
    "average": lambda: nn.Sequential(*stem(), nn.AvgPool2d(3, 2, padding=1), nn.Conv2d(8, 8, 1), *head(8)),
    "tanh": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 5), nn.Tanh(), *head(8)
    ),
    "lrn": lambda: nn.Sequential(*stem(), nn.LocalResponseNorm(5), nn.Conv2d(8, 8, 3), nn.ReLU(), *head(8)),
    "softmax": lambda: nn.Sequential(*stem(), *head(8), nn.Softmax(1)),
    "segmentation": lambda: nn.Sequential(*stem(), nn.Conv2d(8, 4, 1)),
    "transposed": lambda: nn.Sequential(*stem(), nn.ConvTranspose2d(8, 4, 2, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 1)),
}


def graph_of(name: str, seed: int = 0) -> Graph:
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return fold(trace(network.eval(), SHAPE)).graph


def noise(n: int = 24, seed: int = 0) -> CalibrationSet:
    return calibration.synthetic(SHAPE, Preprocessing(), n, seed)


def inputs(n: int = 16, seed: int = 7) -> Tensor:
    return torch.from_numpy(next(noise(n, seed).batches(n)))


def quantized(graph: Graph, scheme: str, effort: str = "default") -> QuantizedGraph:
    return quantize(graph, record(graph, noise()), scheme, effort)


def snr_db(want: Tensor, got: Tensor) -> float:
    return float(10 * torch.log10(want.double().square().sum() / (want - got).double().square().sum()))


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def answers(path: Path, x: Tensor) -> Tensor:
    opened = session(path)
    name = opened.get_inputs()[0].name
    return torch.from_numpy(np.concatenate([opened.run(None, {name: row[None].numpy()})[0] for row in x]))


def changed(graph: Graph, name: str, tensor: Tensor) -> Graph:
    assert name in graph.params
    return replace(graph, params={**graph.params, name: tensor})


# What the integers stand for


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_int8_answers_like_float(name: str, scheme: str) -> None:
    graph, x = graph_of(name), inputs()
    want = graph.run(x)
    assert want.std(0).max() > 0.01 * want.abs().max()  # an output that does not vary would prove nothing
    assert snr_db(want, run(quantized(graph, scheme), x)) > 20


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_grid_holds_zero_and_what_was_seen(name: str, scheme: str) -> None:
    graph = graph_of(name)
    seen = record(graph, noise())
    for tensor, params in quantized(graph, scheme).activations.items():
        assert params.low <= params.zero_point <= params.high
        assert (params.zero_point == 0) or scheme != "tensorrt"
        low, high = seen.extremes[tensor]
        assert (params.low - params.zero_point - 0.51) * params.scale <= low
        assert (params.high - params.zero_point + 0.51) * params.scale >= high


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_only_what_a_runtime_makes_has_integers(name: str, scheme: str) -> None:
    graph = graph_of(name)
    made = quantized(graph, scheme)
    fused = fused_activations(graph)
    for op in graph.ops[1:]:
        if op.name in fused:
            assert op.name not in made.activations
        elif op.name in made.islands:
            readers = [reader.name for reader in graph.consumers()[op.name]]
            assert (op.name in made.activations) == any(reader not in made.islands for reader in readers)
        elif not (op.name == graph.output and op.kind == "linear"):
            assert op.name in made.activations
    for name, weight in made.weights.items():
        assert weight.values.dtype == torch.int8
        largest = weight.values.transpose(0, weight.axis).flatten(1).abs().amax(1)
        assert largest.min() >= 64 and largest.max() <= 127
        assert made.biases[name].shape == weight.scale.shape


@pytest.mark.parametrize("name", ["fork", "average", "separable"])
def test_what_only_moves_values_keeps_their_scale(name: str) -> None:
    graph = graph_of(name)
    made = quantized(graph, "tflite")
    for op in graph:
        if op.kind in ("max_pool", "cat", "avg_pool", "reshape"):
            assert {made.activations[source] for source in op.inputs} == {made.activations[op.name]}


def test_prescribed_scales_of_tflite() -> None:
    made = quantized(graph_of("softmax"), "tflite")
    assert made.activations[made.graph.output] == QParams(1 / 256, -128)
    tanh = quantized(graph_of("tanh"), "tflite")
    assert {tanh.activations[op.name].scale for op in tanh.graph if op.kind == "tanh"} == {1 / 128}


def test_the_logits_have_room() -> None:
    graph = graph_of("separable")
    made = quantized(graph, "tflite")
    assert run(made, inputs(64, seed=11)).max() < (127 - made.activations[graph.output].zero_point) * (
        made.activations[graph.output].scale
    )


# Biases


def bias_of_outputs(made: QuantizedGraph, graph: Graph, x: Tensor) -> float:
    return float((run(made, x) - graph.run(x)).mean(0).norm() / graph.run(x).std(0).norm())


def test_correction_removes_the_mean_error() -> None:
    graph, x = graph_of("separable", seed=3), inputs(64, seed=11)
    ranges = record(graph, noise(64))
    errors = {effort: bias_of_outputs(quantize(graph, ranges, "tflite", effort), graph, x) for effort in EFFORTS}
    assert errors["default"] < 0.6 * errors["fast"]
    without_images = quantize(graph, replace(ranges, images=None), "tflite")
    assert bias_of_outputs(without_images, graph, x) < errors["fast"]


def test_best_is_not_worse_on_the_images_that_it_keeps_back() -> None:
    graph = graph_of("fork")
    ranges = record(graph, noise(64))
    kept = sample(graph, noise(64), start=32)
    best = output_error(graph, quantize(graph, ranges, "tflite", "best"), kept)
    assert best <= output_error(graph, quantize(graph, ranges, "tflite", "default"), kept)


def test_the_analytic_shift_is_exact() -> None:
    """The mean output of a convolution is linear in its mean input, padding and stride included."""
    for name in ("grouped", "separable"):
        graph = graph_of(name)
        ranges = record(graph, noise())
        means: dict[str, Tensor] = {}

        def keep(op: Op, y: Tensor, into: dict[str, Tensor] = means) -> None:
            into[op.name] = y

        graph.run(inputs(24, seed=0), keep)
        for op in graph:
            if op.kind == "conv":
                own = graph.tensors(op)
                zeroed = QWeight(
                    torch.zeros_like(own["weight"], dtype=torch.int8), torch.ones(own["weight"].shape[0]), 0
                )
                without = QuantizedGraph(graph, "tflite", {}, {op.name: zeroed}, {}, {})
                shift = analytic_shifts(without, ranges)[op.name]
                mean = means[op.name].mean((0, 2, 3))
                torch.testing.assert_close(own["bias"] - shift, mean, atol=1e-5, rtol=1e-4)


# The file


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("scheme", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_answers_like_the_simulation(name: str, scheme: str, opset: int, tmp_path: Path) -> None:
    graph, x = graph_of(name), inputs()
    made = quantized(graph, scheme)
    write(WriteJob(made.graph, "int8", made, opset=opset), tmp_path / "n.onnx")
    want, got = run(made, x), answers(tmp_path / "n.onnx", x)
    assert snr_db(want, got) > 35
    assert (want - got).abs().mean() < 0.005 * want.abs().max()


@pytest.mark.parametrize("name", ["separable", "grouped"])
def test_onnxruntime_and_the_simulation_agree_bit_for_bit(name: str, tmp_path: Path) -> None:
    graph, x = graph_of(name), inputs(64)
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    assert torch.equal(run(made, x), answers(tmp_path / "n.onnx", x))


@pytest.mark.parametrize("name", ["separable", "grouped", "residual", "fork", "segmentation"])
def test_onnxruntime_computes_in_integers_throughout(name: str, tmp_path: Path) -> None:
    made = quantized(graph_of(name), "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(tmp_path / "n.onnx", options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert not {"Gemm", "Clip", "Relu", "Add"} & set(kinds), kinds
    assert kinds["Conv"] + kinds["FusedConv"] == len(thin_start(made.graph))
    assert kinds["QuantizeLinear"] == 1
    assert kinds["DequantizeLinear"] <= 1


@pytest.mark.parametrize(("name", "few"), [("separable", ["0", "3"]), ("grouped", ["0", "3"]), ("tanh", ["0"])])
def test_the_first_convolutions_of_few_channels_stay_in_float_for_onnxruntime(name: str, few: list[str]) -> None:
    graph = graph_of(name)
    assert sorted(thin_start(graph)) == few
    made = quantized(graph, "onnxruntime")
    assert set(few) <= set(made.islands)
    assert graph.input.name not in made.activations
    assert all(name in quantized(graph, "tflite").weights for name in few)


def test_a_wide_first_convolution_is_computed_in_integers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3, groups=32), *head(32))
    assert thin_start(trace(network.eval(), SHAPE)) == frozenset()


def test_integers_are_stored_as_integers(tmp_path: Path) -> None:
    graph = graph_of("separable")
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    stored = {tensor.name: tensor for tensor in onnx.load(tmp_path / "n.onnx").graph.initializer}
    for op in graph:
        if op.name in made.weights:
            assert stored[f"{op.name}.weight"].data_type == onnx.TensorProto.INT8
            assert stored[f"{op.name}.bias"].data_type == onnx.TensorProto.INT32
    onnx.checker.check_model(str(tmp_path / "n.onnx"), full_check=True)


def test_a_free_batch(tmp_path: Path) -> None:
    graph, x = graph_of("residual"), inputs(7)
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made, dynamic_batch=True), tmp_path / "n.onnx")
    opened = session(tmp_path / "n.onnx")
    together = opened.run(None, {opened.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(together, answers(tmp_path / "n.onnx", x), atol=1e-6)


def test_int8_onnx_takes_float(tmp_path: Path) -> None:
    made = quantized(graph_of("separable"), "onnxruntime")
    with pytest.raises(UsageError, match="uint8"):
        write(WriteJob(made.graph, "int8", made, io="uint8"), tmp_path / "n.onnx")


# What went wrong


def test_the_noisiest_layer_comes_first() -> None:
    graph = graph_of("separable")
    made = quantized(graph, "tflite")
    spoilt = next(op for op in graph if op.kind == "conv" and op.attrs["groups"] > 1)
    weight = made.weights[spoilt.name]
    coarse = replace(weight, values=(weight.values // 64) * 64)
    rows = layer_snr(graph, replace(made, weights={**made.weights, spoilt.name: coarse}), noise(8, 5).batches(8))
    after = [op.name for op in graph.consumers()[spoilt.name]]
    good = {row.name: row.snr_db for row in layer_snr(graph, made, noise(8, 5).batches(8))}
    bad = {row.name: row.snr_db for row in rows}
    assert (bad[after[0]] or 0) < (good[after[0]] or 0) - 10
    assert bad[graph.input.name] == good[graph.input.name]
    values = [row.snr_db for row in rows if row.snr_db is not None]
    assert values == sorted(values)


def test_a_layer_may_stay_in_float() -> None:
    graph = graph_of("separable")
    first = next(op for op in graph if op.kind == "conv")
    made = quantize(graph, record(graph, noise()), "tflite", keep_float=[first.name])
    follower = fused_activations(graph)[first.name].name
    assert set(made.islands) == {first.name, follower}
    assert first.name not in made.weights
    assert snr_db(graph.run(inputs()), run(made, inputs())) > 20


# Bad input


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12])
def test_weights_of_any_size(size: float, scheme: str) -> None:
    graph = graph_of("segmentation")
    last = graph[graph.output]
    small = changed(graph, last.params["weight"], graph.params[last.params["weight"]] * size)
    made = quantized(small, scheme)
    assert int(made.biases[last.name].abs().max()) < 2**31 - 1
    assert run(made, inputs()).isfinite().all()


def test_weights_too_large_for_any_scale() -> None:
    graph = graph_of("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    huge = changed(graph, first.params["weight"], graph.params[first.params["weight"]] * 1e36)
    with pytest.raises(UsageError, match=first.name):
        quantize(huge, ranges, "tflite")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    graph = graph_of("segmentation")
    first = next(op for op in graph if op.kind == "conv")
    ranges = record(graph, noise())
    weight = graph.params[first.params["weight"]].clone()
    weight[0, 0, 0, 0] = value
    with pytest.raises(UsageError, match=first.name):
        quantize(changed(graph, first.params["weight"], weight), ranges, "tflite")


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
def test_a_dead_channel_and_a_large_bias(scheme: str, tmp_path: Path) -> None:
    graph = graph_of("separable")
    first = next(op for op in graph if op.kind == "conv" and op.shape[1] == 16)  # in integers everywhere
    weight, bias = graph.params[first.params["weight"]].clone(), graph.params[first.params["bias"]].clone()
    weight[0], weight[1] = 0.0, 1e-14
    bias[1] = 5.0
    dead = changed(changed(graph, first.params["weight"], weight), first.params["bias"], bias)
    made = quantized(dead, scheme, "fast")
    assert int(made.biases[first.name].abs().max()) <= 2**30 * 1.02
    assert snr_db(dead.run(inputs()), run(made, inputs())) > 20


def test_weights_that_lie_on_a_grid_stay_on_it() -> None:
    graph = graph_of("separable")
    for op in graph:
        if op.kind in ("conv", "linear"):
            integers = torch.randint(-90, 91, graph.params[op.params["weight"]].shape)
            integers[:, 0] = 37  # whatever else a channel holds, its steps are still whole ones
            graph = changed(graph, op.params["weight"], integers * 0.0123)
    for name, weight in quantized(graph, "tflite").weights.items():
        want = graph.tensors(graph[name])["weight"]
        torch.testing.assert_close(weight.real(), want, rtol=0, atol=1e-5)


def test_few_weights_are_rounded_better_than_on_the_finest_grid() -> None:
    torch.manual_seed(0)
    rows = torch.randn(200, 9)
    largest = rows.abs().amax(1, keepdim=True)

    def error(tops: torch.Tensor) -> float:
        values = rows / largest * tops
        return float(((values - values.round()) / tops * largest).square().sum())

    assert error(best_tops(rows)[:, None].float()) < 0.6 * error(torch.full((200, 1), 127.0))


def test_a_layer_that_gives_only_zeros() -> None:
    graph = graph_of("separable")
    first = next(op for op in graph if op.kind == "conv")
    below = changed(graph, first.params["bias"], torch.full((8,), -1e4))
    for scheme in ("tflite", "onnxruntime", "tensorrt"):
        assert run(quantized(below, scheme), inputs()).isfinite().all()


def test_names_that_do_not_exist() -> None:
    graph = graph_of("segmentation")
    ranges = record(graph, noise())
    with pytest.raises(UsageError, match="'tflight'; did you mean 'tflite'"):
        quantize(graph, ranges, "tflight")
    with pytest.raises(UsageError, match="'bset'; did you mean 'best'"):
        quantize(graph, ranges, "tflite", "bset")


def test_two_layers_that_share_a_weight_get_a_bias_each() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 3, 3, padding=1)
    graph = trace(nn.Sequential(layer, nn.ReLU(), layer).eval(), SHAPE)
    made = quantized(graph, "tflite")
    assert len({made.graph[name].params["bias"] for name in made.weights}) == 2
    assert snr_db(graph.run(inputs()), run(made, inputs())) > 20
