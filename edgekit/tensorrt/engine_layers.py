"""What an engine consists of, from the list of its layers that TensorRT for RTX writes while it builds.

Only a GPU opens an engine, and with it its inspector. The builder's most verbose message lists the same layers, in the
words of the inspector: kind, types and the ONNX nodes that each was made from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LAYER = re.compile(r"^Name: .*?, LayerType: (\w+), (.*)$", re.MULTILINE)
PART = r"{}: \[(.*?)\](?:, (?:Constants|Outputs|TacticName|StreamId)|$)"
TYPE, NODE = re.compile(r"Datatype: (\w+)"), re.compile(r"\[ONNX Layer: (.*?)\](?=\x1f|\[|$)")
GENERATED = "kgen"  # a kernel that the builder generates for what is done element by element
COMPUTING = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
TYPES = {"Int8": "int8", "Half": "float16", "BFloat16": "bfloat16", "Float": "float32"}
HALVES = {"quantize": "QuantizeLinear", "dequantize": "DequantizeLinear"}
Nodes = Sequence[tuple[str, str]]  # names and operators of the ONNX file


@dataclass(frozen=True)
class EngineLayer:
    """One layer: its kind, the types of its inputs and outputs, and the names of the nodes that it was made from."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: frozenset[str]


def parse(text: str) -> tuple[EngineLayer, ...]:
    """Return the layers of a list."""
    return tuple(
        EngineLayer(kind, _types("Inputs", rest), _types("Outputs", rest), frozenset(NODE.findall(rest)))
        for kind, rest in LAYER.findall(text)
    )


def _types(part: str, text: str) -> tuple[str, ...]:
    found = re.search(PART.format(part), text)
    return tuple(TYPES.get(one, one.lower()) for one in TYPE.findall(found.group(1))) if found else ()


def facts(text: str, nodes: Nodes) -> dict[str, Any]:
    """Return what a manifest tells: kinds, the type that each convolution and product computes in, and the pairs.

    Of a pair that quantizes and dequantizes, `fused` counts the halves that became part of a convolution or product, or
    of nothing at all; the others are work of kernels between these.
    """
    layers = parse(text)
    computed = dict(_computed(layers, nodes))
    found: dict[str, Any] = {
        "layer_kinds": dict(sorted(Counter(layer.kind for layer in layers).items())),
        "computed_in": dict(sorted(Counter(computed.values()).items())),
    }
    if set(computed.values()) - {"float32"}:
        found["computed_in_float"] = sorted(name for name, kind in computed.items() if kind == "float32")
    return found | {
        half: _halves(layers, nodes, operator) for half, operator in HALVES.items() if _has(nodes, operator)
    }


def _has(nodes: Nodes, operator: str) -> bool:
    return any(kind == operator for _, kind in nodes)


def _computed(layers: Sequence[EngineLayer], nodes: Nodes) -> Iterator[tuple[str, str]]:
    """The type of each convolution and product; one that TensorRT joined into another has none of its own."""
    for name, operator in nodes:
        if operator in COMPUTING:
            made = [layer for layer in layers if name in layer.nodes]
            main = [layer for layer in made if layer.kind != GENERATED] or made
            kinds = [kind for layer in main for kind in layer.inputs[:1]]
            if kinds:
                yield name, "int8" if "int8" in kinds else kinds[0]


def _halves(layers: Sequence[EngineLayer], nodes: Nodes, operator: str) -> dict[str, int]:
    names = [name for name, kind in nodes if kind == operator]
    in_main = frozenset[str]().union(*(layer.nodes for layer in layers if layer.kind != GENERATED))
    in_others = frozenset[str]().union(*(layer.nodes for layer in layers if layer.kind == GENERATED))
    left = sum(name in in_others and name not in in_main for name in names)
    return {"nodes": len(names), "fused": len(names) - left}
