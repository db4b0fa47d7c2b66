"""The ONNX form of what makes fewer elements of many: sums, means, extremes, where these are, running sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_elementwise import Converter, typed
from edgekit.ir.graph import Op

Names = Mapping[str, str]
_AXES_AS_INPUT = 18  # the opset from which on reductions take their axes as an input; sums always do


def mean(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """GlobalAveragePool over the places of a map, else ReduceMean."""
    dims, rank = list(op.attrs["dims"]), len(e.graph[op.inputs[0]].shape)
    if rank <= 2 or dims != list(range(2, rank)):
        _over(e, op, "ReduceMean", x[0], out)
        return
    pooled = out if op.attrs["keepdim"] else f"{op.name}/pooled"
    e.node("GlobalAveragePool", [x[0]], pooled, op.name)
    if not op.attrs["keepdim"]:
        shape = e.integers(f"{op.name}/shape", (-1, op.shape[1]))
        e.node("Reshape", [pooled, shape], out, f"{op.name}/flat")


def reduce(kind: str) -> Converter:
    """Return what adds a reduction over axes, in the type of its result."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        _over(e, op, kind, typed(e, x[0], e.dtype(e.graph[op.inputs[0]]), e.dtype(op), f"{op.name}/typed"), out)

    return form


def _over(e: Emission, op: Op, kind: str, x: str, out: str) -> None:
    dims, keep = list(op.attrs["dims"]), int(op.attrs["keepdim"])
    if e.opset >= _AXES_AS_INPUT or kind == "ReduceSum":
        e.node(kind, [x, e.integers(f"{op.name}/axes", dims)], out, op.name, keepdims=keep)
    else:
        e.node(kind, [x], out, op.name, axes=dims, keepdims=keep)


def arg_extreme(kind: str) -> Converter:
    """Return what adds ArgMax or ArgMin, which gives the first of equal places."""

    def form(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
        e.node(kind, x, out, op.name, axis=op.attrs["dim"], keepdims=int(op.attrs.get("keepdim", False)))

    return form


def cumsum(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    value = typed(e, x[0], e.dtype(e.graph[op.inputs[0]]), e.dtype(op), f"{op.name}/typed")
    e.node("CumSum", [value, e.constant(f"{op.name}/axis", np.array(op.attrs["dim"], np.int64))], out, op.name)


def topk(e: Emission, op: Op, x: list[str], own: Names, out: str) -> Any:
    """Return one result of TopK, which gives both."""
    a, beside = op.attrs, f"{op.name}/beside"
    results = [out, beside] if op.kind == "topk_values" else [beside, out]
    inputs = [x[0], e.integers(f"{op.name}/k", [a["k"]])]
    e.nodes_of("TopK", inputs, results, op.name, axis=a["dim"], largest=int(a["largest"]), sorted=int(a["sorted"]))


REDUCTIONS: dict[str, Converter] = {
    "mean": mean,
    "sum": reduce("ReduceSum"),
    "max": reduce("ReduceMax"),
    "min": reduce("ReduceMin"),
    "prod": reduce("ReduceProd"),
    "argmax": arg_extreme("ArgMax"),
    "argmin": arg_extreme("ArgMin"),
    "cumsum": cumsum,
    "topk_values": topk,
    "topk_indices": topk,
}
