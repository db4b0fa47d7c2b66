"""int8 before there is a file: what the integers stand for, biases, and what the simulation answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import UsageError
from edgekit.exporters.int8 import quantize as quantize_module
from edgekit.exporters.int8.quantize import EFFORTS, analytic_shifts, best_tops, quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import layer_snr, run
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QParams, QuantizedGraph, QWeight
from tests.exporters.small_networks import (
    NETWORKS,
    SHAPE,
    changed,
    graph_of,
    head,
    inputs,
    noise,
    quantized,
    snr_db,
)

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
            readers = [reader.name for reader in graph.consumers[op.name]]
            assert (op.name in made.activations) == any(reader not in made.islands for reader in readers)
        else:
            read = any(reader.name not in made.islands for reader in graph.consumers[op.name])
            unrounded = op.kind == "linear" and scheme != "tflite" and not read
            assert (op.name in made.activations) is not unrounded
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


class Twice(nn.Module):
    """Sums that are an output, and read in integers besides."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(40, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.first(x.mean((2, 3)))
        return y, self.second(y)


# What is behind a convolution and a ReLU, and how many of its last tensors have no integers.
ENDS: dict[str, tuple[tuple[nn.Module, ...], int]] = {
    "mean": ((nn.AdaptiveAvgPool2d(1),), 1),
    "flattened mean": ((nn.AdaptiveAvgPool2d(1), nn.Flatten()), 2),
    "flattened average": ((nn.AvgPool2d(11), nn.Flatten()), 2),
    "mean before a function in float": ((nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1)), 3),
    "linear before a function in float": ((*head(40), nn.Softmax(1)), 2),
    "sums that are read in integers": ((Twice(),), 1),
    "a map": ((nn.Conv2d(40, 8, 1),), 0),
}


@pytest.mark.parametrize("scheme", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", ENDS)
def test_what_nothing_reads_in_integers_is_not_rounded(name: str, scheme: str) -> None:
    behind, count = ENDS[name]
    torch.manual_seed(0)
    graph = trace(nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), *behind).eval(), SHAPE)
    made = quantized(graph, scheme)
    unrounded = [op.name not in made.activations for op in graph]
    assert unrounded[len(unrounded) - count :] == [True] * count and not unrounded[-count - 1]
    assert quantized(graph, "tflite").activations.keys() >= {op.name for op in graph.ops[-count:] if op.kind == "mean"}


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


def test_the_analytic_shift_is_exact() -> None:
    """The mean output of a convolution is linear in its mean input, padding and stride included."""
    for name in ("grouped", "separable"):
        graph = graph_of(name)
        ranges = record(graph, noise())
        means: dict[str, Tensor] = {}

        def keep(op: Op, y: Tensor, into: dict[str, Tensor] = means) -> None:
            into[op.name] = y

        graph.run(inputs(24, seed=0), observe=keep)
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


# What went wrong


def test_the_noisiest_layer_comes_first() -> None:
    graph = graph_of("separable")
    made = quantized(graph, "tflite")
    spoilt = next(op for op in graph if op.kind == "conv" and op.attrs["groups"] > 1)
    weight = made.weights[spoilt.name]
    coarse = replace(weight, values=(weight.values // 64) * 64)
    rows = layer_snr(graph, replace(made, weights={**made.weights, spoilt.name: coarse}), noise(8, 5).inputs(8))
    after = [op.name for op in graph.consumers[spoilt.name]]
    good = {row.name: row.snr_db for row in layer_snr(graph, made, noise(8, 5).inputs(8))}
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


# How weights are rounded


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


@pytest.mark.parametrize("pairs", [False, True])
def test_the_best_grid_does_not_depend_on_how_many_are_tried_at_once(
    pairs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.randn(20, 90)
    rows[3] = torch.randint(-80, 81, (90,)) / 4  # on a grid already
    rows[5] = 0
    found = best_tops(rows, pairs)
    monkeypatch.setattr(quantize_module, "TRIED_AT_ONCE", 1)
    assert torch.equal(best_tops(rows, pairs), found) and found[5] == 127


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
    with pytest.raises(UsageError, match="'fsat'; did you mean 'fast'"):
        quantize(graph, ranges, "tflite", "fsat")


def test_two_layers_that_share_a_weight_get_a_bias_each() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 3, 3, padding=1)
    graph = trace(nn.Sequential(layer, nn.ReLU(), layer).eval(), SHAPE)
    made = quantized(graph, "tflite")
    assert len({made.graph[name].params["bias"] for name in made.weights}) == 2
    assert snr_db(graph.run(inputs()), run(made, inputs())) > 20
