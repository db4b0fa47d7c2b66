"""Weights that fit kernels which add two products in 16 bits, against those kernels' arithmetic written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.pair_sums import fitted, from_kernel_order, in_kernel_order
from edgekit.exporters.int8.quantize import best_tops, pair_cost
from edgekit.exporters.int8.simulate import run
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from tests.exporters.small_networks import SHAPE, answers, graph_of, head, inputs, quantized, snr_db


def saturating(rows: NDArray[Any], x: NDArray[Any]) -> NDArray[np.int64]:
    """What vpmaddubsw and vpmaddwd make of int8 rows (outputs, sums) and uint8 columns (sums,)."""
    even = rows.shape[1] - rows.shape[1] % 2
    products = rows.astype(np.int64) * x
    pairs = products[:, :even].reshape(len(rows), -1, 2).sum(2)
    return np.asarray(np.clip(pairs, -(2**15), 2**15 - 1).sum(1) + products[:, even:].sum(1))


def rows_of(seed: int, columns: int) -> Tensor:
    """Integers of which many are at the limit and many neighbors have one sign."""
    random = np.random.default_rng(seed)
    wide = random.integers(-127, 128, (300, columns)) * random.choice([1, 2], (300, columns))
    return torch.from_numpy(np.clip(wide, -127, 127).astype(np.int8))


@pytest.mark.parametrize("columns", [1, 2, 7, 64])
def test_fitted_integers_never_saturate_whatever_the_activations(columns: int) -> None:
    rows = rows_of(columns, columns)
    found = fitted(rows)
    assert columns == 1 or not torch.equal(found, rows)
    for seed in range(20):
        x = np.random.default_rng(seed).choice([0, 1, 254, 255], columns)
        np.testing.assert_array_equal(saturating(found.numpy(), x), found.numpy().astype(np.int64) @ x)
    for x in (np.full(columns, 255), np.arange(columns) % 2 * 255):
        np.testing.assert_array_equal(saturating(found.numpy(), x), found.numpy().astype(np.int64) @ x)


def test_fitted_integers_are_the_nearest_that_fit() -> None:
    for one, other in np.random.default_rng(0).integers(-127, 128, (60, 2)):
        a, b = np.meshgrid(np.arange(-127, 128), np.arange(-127, 128), indexing="ij")
        distance = np.where(np.abs(a + b) <= 128, (a - one) ** 2 + (b - other) ** 2, np.inf)
        got = fitted(torch.tensor([[one, other]], dtype=torch.int8))[0].numpy().astype(int)
        assert (got[0] - one) ** 2 + (got[1] - other) ** 2 == distance.min() and abs(got.sum()) <= 128


def test_integers_that_fit_stay_and_others_give_little() -> None:
    rows = torch.tensor([[127, 1, -127, 127, 64, 64, -100, 20], [100, 60, -127, -127, 5, -90, 127, 127]]).to(torch.int8)
    want = [[127, 1, -127, 127, 64, 64, -100, 20], [84, 44, -64, -64, 5, -90, 64, 64]]
    assert fitted(rows).tolist() == want


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 3, 3), (4, 8, 1, 1), (4, 3, 2, 3, 3)])
def test_the_order_of_the_kernels_is_inputs_last(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape)
    rows = in_kernel_order(weight)
    assert torch.equal(from_kernel_order(rows, weight.shape), weight)
    if len(shape) > 2:
        assert torch.equal(rows[0, : shape[1]], weight[0].flatten(1)[:, 0])


def test_the_grid_is_chosen_for_the_integers_that_fit() -> None:
    alone = torch.tensor([[1.0, 0.001] * 8])
    together = torch.tensor([[1.0, 1.0] * 8])
    assert best_tops(alone, pairs=True)[0] > 120 and best_tops(together, pairs=True)[0] == 64
    rows = torch.randn(400, 64, generator=torch.Generator().manual_seed(0))
    largest = rows.abs().amax(1, keepdim=True)

    def error(tops: Tensor) -> float:
        scale = largest / tops.float()[:, None]
        return float((fitted(torch.round(rows / scale)) * scale - rows).square().sum())

    chosen = error(best_tops(rows, pairs=True))
    assert chosen < 0.9 * error(torch.full((400,), 127.0)) and chosen < 0.5 * error(torch.full((400,), 64.0))


def heavy(name: str) -> Graph:
    """The network with weights that all saturate: large, and of one sign in each output."""
    graph = graph_of(name)
    params = dict(graph.params)
    for op in graph:
        if "weight" in op.params:
            weight = params[op.params["weight"]]
            signs = torch.where(torch.arange(len(weight)) % 2 == 0, 1.0, -1.0).reshape(-1, *[1] * (weight.dim() - 1))
            params[op.params["weight"]] = signs * (0.5 + weight.abs() / weight.abs().max()) / weight[0].numel()
    return replace(graph, params=params)


DENSE = ("residual", "fork", "average", "grouped", "tanh", "segmentation")


@pytest.mark.parametrize("name", DENSE)
def test_no_layer_of_an_int8_network_can_saturate(name: str) -> None:
    made = quantized(heavy(name), "onnxruntime")
    full = quantized(heavy(name), "onnxruntime-vnni")
    touched = 0
    for op in made.graph:
        if op.name in made.weights:
            rows = in_kernel_order(made.weights[op.name].values).numpy()
            x = np.full(rows.shape[1], 255)
            np.testing.assert_array_equal(saturating(rows, x), rows.astype(np.int64) @ x)
            wide = in_kernel_order(full.weights[op.name].values).numpy()
            touched += bool((saturating(wide, x) != wide.astype(np.int64) @ x).any())
    assert touched, "these weights were to saturate"


@pytest.mark.parametrize("name", DENSE)
def test_onnxruntime_is_exact_on_weights_that_would_saturate(name: str, tmp_path: Path) -> None:
    graph, x = heavy(name), inputs()
    made = quantized(graph, "onnxruntime")
    write(WriteJob(made.graph, "int8", made), tmp_path / "n.onnx")
    assert snr_db(run(made, x), answers(tmp_path / "n.onnx", x)) > 45


def test_depthwise_layers_keep_all_their_bits() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, groups=32), nn.ReLU(), *head(32))
    graph = fold(trace(network.eval(), SHAPE)).graph
    one, other = (quantized(graph, scheme).weights for scheme in ("onnxruntime", "onnxruntime-vnni"))
    same = {name: torch.equal(one[name].values, other[name].values) for name in one}
    assert same == {"0": False, "1": True, "5": same["5"]}


def test_dead_channels_are_no_cost_of_the_safe_range() -> None:
    graph = heavy("residual")
    params = dict(graph.params)
    name = next(op.params["weight"] for op in graph if op.kind == "conv" and op.shape[1] == 8 and op.name != "0")
    params[name] = params[name].clone()
    params[name][0] *= 1e-12
    cost = pair_cost(quantized(replace(graph, params=params), "onnxruntime"))
    assert cost is not None and 1 < cost["growth"] <= 2


def test_the_cost_of_the_safe_range_is_told() -> None:
    found, full = (quantized(heavy("residual"), scheme) for scheme in ("onnxruntime", "onnxruntime-vnni"))
    cost = pair_cost(found)
    assert cost is not None and pair_cost(full) is None and pair_cost(quantized(heavy("residual"), "tflite")) is None
    assert 0 < cost["grown"] <= 1 < cost["growth"] <= 2 and cost["snr_db"] < cost["full_range_snr_db"]
    assert cost["layers"] == len(found.weights)
    assert cost["channels"] == sum(len(weight.scale) for weight in found.weights.values())


def test_the_larger_of_a_pair_gives_the_odd_one() -> None:
    rows = torch.tensor([[127, 100, -64, -127, 60, 60, 9]], dtype=torch.int8)
    want = [[77, 51, -33, -95, 60, 60, 9]]
    assert fitted(rows).tolist() == fitted(rows.float()).tolist() == want
