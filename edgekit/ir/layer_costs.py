"""What each layer of a written file computes, keeps and gives, so that a profile can be laid against it.

Goes into the file's manifest, because a station that measures has no network to count. Bytes are those of the file's
own arithmetic: int8 where the quantized graph has integers.
"""

from __future__ import annotations

import math
from typing import Any

from edgekit.ir.graph import Graph, Op
from edgekit.ir.layer_table import table
from edgekit.ir.quantized import QuantizedGraph

FLOAT, HALF, BIAS = 4, 2, 4


def layer_costs(graph: Graph, is_half: bool, quantized: QuantizedGraph | None) -> list[dict[str, Any]]:
    """A row per operator of the graph that was written: name, kind, inputs, macs, weight_bytes, output_bytes, int8.

    `is_half`: what is not integers is float16 while it runs.
    """
    size = HALF if is_half else FLOAT
    return [
        {
            "name": op.name,
            "kind": row.kind,
            "inputs": list(op.inputs),
            "macs": row.macs,
            "weight_bytes": _weights(op, graph, size, quantized),
            "output_bytes": math.prod(op.shape) * (1 if quantized and op.name in quantized.activations else size),
            "int8": quantized is not None and op.name in quantized.weights,
        }
        for op, row in zip(graph, table(graph).rows, strict=True)
    ]


def _weights(op: Op, graph: Graph, size: int, quantized: QuantizedGraph | None) -> int:
    integers = quantized is not None and op.name in quantized.weights
    sizes = {"weight": 1, "bias": BIAS} if integers else {}
    return sum(tensor.numel() * sizes.get(role, size) for role, tensor in graph.tensors(op).items())
