"""The ONNX form of pooling."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_elementwise import Converter
from edgekit.exporters.onnx.ops_moving import flat_pads, padded, take
from edgekit.exporters.windows import adaptive_windows, means
from edgekit.ir.graph import Op

Names = Mapping[str, str]


def max_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a, source = op.attrs, x[0]
    padding = a["padding"]
    if any(max(pair) >= k for pair, k in zip(padding, a["kernel"], strict=True)):  # runtimes refuse such padding
        source = padded(e, op, source, ((0, 0), (0, 0), *padding), -math.inf, f"{op.name}/padded")
        padding = ((0, 0),) * len(padding)
    e.node(
        "MaxPool",
        [source],
        out,
        op.name,
        kernel_shape=list(a["kernel"]),
        strides=list(a["stride"]),
        pads=flat_pads(padding),
        dilations=list(a["dilation"]),
    )


def avg_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    shape = {"kernel_shape": list(a["kernel"]), "strides": list(a["stride"])}
    e.node("AveragePool", [x[0]], out, op.name, **shape, pads=flat_pads(a["padding"]), count_include_pad=0)


def adaptive_avg_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    matrix = means(e.graph[op.inputs[0]].shape[2:], op.shape[2:]).T.contiguous()
    flat = e.integers(f"{op.name}/flat_shape", (-1, op.shape[1], matrix.shape[0]))
    y = e.node("Reshape", [x[0], flat], f"{op.name}/flat")
    y = e.node("MatMul", [y, e.constant(f"{op.name}/windows", matrix.to(e.dtype(op)))], f"{op.name}/means")
    e.node("Reshape", [y, e.integers(f"{op.name}/shape", (-1, *op.shape[1:]))], out, op.name)


def adaptive_max_pool(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """The windows laid side by side, then a MaxPool that goes from one to the next."""
    source, kernel = x[0], []
    for axis, (size, count) in enumerate(zip(e.graph[op.inputs[0]].shape[2:], op.shape[2:], strict=True), start=2):
        places, longest = adaptive_windows(size, count)
        kernel.append(longest)
        if places != list(range(size)):
            name = f"{op.name}/windows{axis}"
            source = take(e, op, source, axis, places, name, name)
    e.node("MaxPool", [source], out, op.name, kernel_shape=kernel, strides=kernel)


POOLS: dict[str, Converter] = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "adaptive_max_pool": adaptive_max_pool,
}
