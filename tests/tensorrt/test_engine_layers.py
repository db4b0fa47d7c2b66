"""The list of layers that TensorRT for RTX writes, held against what a person reads in it."""

from __future__ import annotations

from edgekit.tensorrt.engine_layers import facts, parse
from tests.paths import SAMPLES

TEXT = (SAMPLES / "tensorrt_rtx_1.7.1_layers_lenet5_int8.txt").read_text(encoding="utf-8")
NODES = [
    *(("c1", "Conv"), ("c3", "Conv"), ("c5", "Conv"), ("f6", "Gemm"), ("output", "Gemm")),
    *(("c1.weight/integers", "QuantizeLinear"), ("tanh_2/integers", "QuantizeLinear"), ("gone", "QuantizeLinear")),
    *(("c1.weight/real", "DequantizeLinear"), ("x/real", "DequantizeLinear"), ("c1/real", "DequantizeLinear")),
]


def test_each_layer_has_its_kind_types_and_nodes() -> None:
    layers = parse(TEXT)
    assert len(layers) == 15
    first, conv = layers[:2]
    assert (first.kind, first.inputs, first.outputs) == (
        "kgen",
        ("float32",),
        ("int8",),
    ) and "x/integers" in first.nodes
    assert (conv.kind, conv.inputs, conv.outputs) == ("correlation", ("int8",), ("float32",))
    assert conv.nodes == {"c1", "x/real", "c1.weight/real", "c1.weight/integers"}
    assert parse("Layers:\n") == parse("") == ()


def test_the_facts_of_an_int8_network() -> None:
    found = facts(TEXT, NODES)
    assert found["layer_kinds"] == {"avgpool": 2, "correlation": 3, "gemm": 2, "kgen": 8}
    assert found["computed_in"] == {"int8": 5} and found["computed_in_float"] == []
    # The pair of a weight is part of its convolution; what follows a convolution quantizes in a kernel of its own.
    assert found["quantize"] == {"nodes": 3, "fused": 2}
    assert found["dequantize"] == {"nodes": 3, "fused": 2}


def test_what_an_int8_network_computes_in_float_is_named() -> None:
    of_f6 = "Name: f6_myl0_11,"
    lines = [line.replace("Int8", "Float") if line.startswith(of_f6) else line for line in TEXT.splitlines()]
    found = facts("\n".join(lines), NODES)
    assert found["computed_in"] == {"float32": 1, "int8": 4} and found["computed_in_float"] == ["f6"]


def test_a_float_network_has_no_pairs() -> None:
    found = facts(TEXT.replace("Int8", "Float"), NODES[:5])
    assert found["computed_in"] == {"float32": 5} and not {"quantize", "dequantize", "computed_in_float"} & set(found)
