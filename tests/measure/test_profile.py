"""Whose time it was: names that a runtime changed, layers that it joined, work of its own."""

from __future__ import annotations

import random
from typing import Any

import pytest

from edgekit.bench.ondevice.profilers.tensorrt import kind as kind_of
from edgekit.errors import UsageError
from edgekit.measure import profile
from edgekit.measure.profile import by_layer


def layer(name: str, kind: str, *inputs: str, macs: int = 0, weights: int = 0, given: int = 100) -> dict[str, Any]:
    sizes = {"macs": macs, "weight_bytes": weights, "output_bytes": given, "int8": False}
    return {"name": name, "kind": kind, "inputs": list(inputs), **sizes}


def ran(*operators: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "op": op, "ns": ns} for name, op, ns in operators]


# conv - relu - (left: conv - relu) + (right) - relu - pool - flatten - linear
NETWORK = (
    layer("x", "input", given=40),
    layer("conv1", "conv 3x3", "x", macs=1000, weights=8),
    layer("relu1", "relu", "conv1"),
    layer("left", "conv 1x1", "relu1", macs=500, weights=4),
    layer("relu2", "relu", "left"),
    layer("deep", "conv 1x1", "relu2", macs=700, weights=4),
    layer("add", "add", "relu1", "deep"),
    layer("relu3", "relu", "add"),
    layer("pool", "mean", "relu3", given=10),
    layer("flatten", "reshape", "pool", given=10),
    layer("linear", "linear", "flatten", macs=50, weights=200, given=5),
)
OPTIMIZED = ran(  # as onnxruntime does: blocked layout, fused activations, an addition inside a convolution
    ("relu1_nchwc", "Conv", 900_000),
    ("relu2_nchwc", "Conv", 300_000),
    ("deep_nchwc_token_7", "Conv", 400_000),
    ("ReorderOutput", "ReorderOutput", 20_000),
    ("ReorderOutput_token_3", "ReorderOutput", 30_000),
    ("pool", "GlobalAveragePool", 10_000),
    ("flatten", "Reshape", 1_000),
    ("fused linear", "FusedGemm", 60_000),
)


def test_names_lead_back_to_layers() -> None:
    rows, absent = by_layer(OPTIMIZED, NETWORK)
    assert absent == ()
    assert [(row.name, row.layers, row.ms) for row in rows] == [
        ("conv1", ("conv1", "relu1"), 0.9),
        ("left", ("left", "relu2"), 0.3),
        ("deep", ("deep", "add", "relu3"), 0.4),
        ("ReorderOutput", (), 0.05),
        ("pool", ("pool",), 0.01),
        ("flatten", ("flatten",), 0.001),
        ("linear", ("linear",), 0.06),
    ]
    assert rows[3].operators == "2 x ReorderOutput" and rows[3].bytes is None and rows[3].macs is None


def test_a_group_moves_what_crosses_its_border_once() -> None:
    rows = {row.name: row for row in by_layer(OPTIMIZED, NETWORK)[0]}
    assert rows["conv1"].bytes == 8 + 40 + 100, "weights, the image, one map; nothing between it and its activation"
    assert rows["deep"].bytes == 4 + 100 + 100 + 100, "weights, both inputs of the sum, its result"
    assert rows["linear"].bytes == 200 + 10 + 5, "the network's result is given away too"
    batched = {row.name: row for row in by_layer(OPTIMIZED, NETWORK, batch=3)[0]}
    assert batched["linear"].bytes == 200 + 3 * 15 and batched["conv1"].macs == 3000


def test_quantizing_belongs_to_nobody_and_a_layer_that_transposes_to_itself() -> None:
    network = (layer("x", "input"), layer("turn", "permute", "x"), layer("conv", "conv 1x1", "turn", macs=9))
    operators = ran(
        ("x/integers", "QuantizeLinear", 5), ("turn", "Transpose", 7), ("Transpose_token_4", "Transpose", 11),
        ("conv_token_2", "QLinearConv", 13), ("conv/real", "DequantizeLinear", 17),
    )  # fmt: skip
    rows, _ = by_layer(operators, network)
    assert [(row.name, row.layers, round(row.ms * 1e6)) for row in rows] == [
        ("QuantizeLinear", (), 5), ("turn", ("turn",), 7), ("Transpose", (), 11),
        ("conv", ("conv",), 13), ("DequantizeLinear", (), 17),
    ]  # fmt: skip


def test_parts_of_a_layer_and_layers_of_one_operator_come_together() -> None:
    network = (
        layer("x", "input"),
        layer("silu", "silu", "x"),
        layer("a", "conv", "silu", macs=3),
        layer("b", "relu", "a"),
    )
    operators = ran(("silu/gate", "Sigmoid", 1), ("silu", "Mul", 2), ("a;b", "Convolution", 3), ("a/pad", "Pad", 4))
    rows, absent = by_layer(operators, network)
    assert absent == () and [(row.name, row.layers, row.operators) for row in rows] == [
        ("silu", ("silu",), "Sigmoid + Mul"),
        ("a", ("a", "b"), "Convolution + Pad"),
    ]


def test_a_sum_goes_into_the_product_that_runs_last() -> None:
    short, deep = layer("short", "conv", "x", macs=1), layer("deep", "conv", "x", macs=2)
    network = (layer("x", "input"), short, deep, layer("add", "add", "deep", "short"))
    rows, _ = by_layer(ran(("short_nchwc", "Conv", 1), ("deep_nchwc", "Conv", 2)), network)
    assert [row.layers for row in rows] == [("short",), ("deep", "add")]


def test_what_nothing_was_run_for_is_named() -> None:
    rows, absent = by_layer(ran(("", "Convolution (NHWC, F32) IGEMM", 5)), NETWORK)
    assert len(absent) == len(NETWORK) - 1 and [row.layers for row in rows] == [()]


@pytest.mark.parametrize("seed", range(40))
def test_no_time_is_lost_or_counted_twice_whatever_a_runtime_tells(seed: int) -> None:
    chance = random.Random(seed)
    network = [layer("x", "input")]
    for at in range(chance.randrange(1, 30)):
        before = [one["name"] for one in chance.sample(network, min(len(network), chance.choice((1, 1, 2))))]
        network.append(layer(f"n{at}", chance.choice(("conv", "relu", "add")), *before, macs=chance.choice((0, 9))))
    around = ("", "_nchwc", "_token_3", "/part", ";n0", "/2")
    names = [one["name"] + chance.choice(around) for one in chance.choices(network, k=20)] + ["Reorder", "", "y/z"]
    kinds = ("Conv", "QuantizeLinear", "Transpose", "Add")
    operators = ran(*((name, chance.choice(kinds), chance.randrange(1000)) for name in names))
    rows, absent = by_layer(operators, network)
    placed = [name for row in rows for name in row.layers]
    assert round(sum(row.ms for row in rows) * 1e6) == sum(one["ns"] for one in operators)
    assert len(placed) == len(set(placed)) and not set(placed) & set(absent)
    assert set(placed) | set(absent) == {one["name"] for one in network[1:]}
    assert sum(row.macs or 0 for row in rows) == sum(one["macs"] for one in network if one["name"] in placed)


def test_without_a_table_each_operator_stands_for_itself() -> None:
    found = {"operators": OPTIMIZED, "total_ns": 2_000_000, "plain_ns": 1_900_000, "runs": 5, "method": "m"}
    made = profile.profile(found, None, 1, None)
    assert len(made.rows) == len(OPTIMIZED) and made.rows[0].name == "relu1_nchwc"
    assert made.reasons == (profile.FOREIGN, profile.NO_PEAKS) and made.sum_ms == pytest.approx(1.721)
    disturbed = profile.profile({**found, "waited": 0.31}, None, 1, None)
    assert "other processes took 31 % of this pass" in disturbed.reasons[2]


def test_a_runtime_without_a_profiler_is_refused() -> None:
    for name in profile.RUNTIMES:
        profile.refuse(name)
    with pytest.raises(UsageError, match="onnxruntime, litert, tensorrt, tensorrt_rtx and trtexec, not of torch"):
        profile.refuse("torch")


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("features.0.0.weight + QuantizeLinear_8 + features.0.0 + PWN(features.0.2)", ["features.0.0", "features.0.2"]),
        ("PWN(PWN(gate), scale)", ["gate", "scale"]),
        ("left || right", ["left", "right"]),
        ("Reformatting CopyNode for Input Tensor 0 to left + gate", []),
        ("QuantizeLinear_2", []),
        ("(Unnamed Layer* 850) [ElementWise]", []),
        ("{ForeignNode[left...right]}", []),
        ("left/input_quantize", ["left"]),
    ],
)
def test_what_an_engine_joined_is_told_apart(name: str, layers: list[str]) -> None:
    known = ("features.0.0", "features.0.2", "gate", "scale", "left", "right")
    network = [layer("input", "input"), *(layer(one, "conv", "input", macs=9) for one in known)]
    operators = [{"name": name, "op": kind_of(name), "ns": 7_000}]
    (row,), _ = by_layer(operators, network)
    assert row.ms == 0.007 and sorted(row.layers) == sorted(layers)
