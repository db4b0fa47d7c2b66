"""Which function says which kind of operator in TFLite's words. A kind that is not here cannot be run there."""

from __future__ import annotations

from edgekit.errors import BackendMissing
from edgekit.exporters.tflite import (
    ops_binary,
    ops_elementwise,
    ops_layers,
    ops_matrix,
    ops_moving,
    ops_norms,
    ops_pads,
    ops_pooling,
    ops_recurrent,
    ops_reduce,
    ops_resize,
    ops_sampling,
    ops_shapes,
    ops_volumes,
)
from edgekit.exporters.tflite.ends import given, hand_out
from edgekit.exporters.tflite.layout import Layout
from edgekit.exporters.tflite.lowering import Lower, Lowering
from edgekit.exporters.tflite.program import Program
from edgekit.ir.graph import Graph
from edgekit.ir.quantized import QuantizedGraph
from edgekit.util.formatting import some

LOWERINGS: dict[str, Lower] = {
    "conv": ops_volumes.conv,
    "conv_transpose": ops_volumes.conv_transpose,
    "conv_dynamic": ops_volumes.conv_dynamic,
    "linear": ops_layers.linear,
    "scale": ops_layers.scale,
    "adaptive_avg_pool": ops_pooling.adaptive_avg_pool,
    "max_pool": ops_pooling.max_pool,
    "avg_pool": ops_pooling.avg_pool,
    "adaptive_max_pool": ops_pooling.adaptive_max_pool,
    "lrn": ops_pooling.lrn,
    **ops_elementwise.LOWERINGS,
    **dict.fromkeys(ops_reduce.REDUCTIONS, ops_reduce.reduce),
    **dict.fromkeys(("argmax", "argmin"), ops_reduce.arg_extreme),
    "cumsum": ops_reduce.cumsum,
    **dict.fromkeys(("topk_values", "topk_indices"), ops_reduce.topk),
    **dict.fromkeys(ops_binary.BUILTINS, ops_binary.binary),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), ops_binary.bits),
    "where": ops_binary.where,
    "matmul": ops_matrix.matmul,
    "layer_norm": ops_norms.layer_norm,
    "group_norm": ops_norms.group_norm,
    "constant": ops_moving.constant,
    "gather": ops_moving.gather,
    "flip": ops_moving.flip,
    "expand": ops_moving.expand,
    "tile": ops_moving.tile,
    "pad": ops_pads.pad,
    "slice": ops_shapes.slice_,
    "cat": ops_shapes.cat,
    "permute": ops_shapes.permute,
    "reshape": ops_shapes.reshape,
    "upsample": ops_resize.upsample,
    **dict.fromkeys(("lstm", "gru"), ops_recurrent.recurrent),
    "lstm_cell": ops_recurrent.cell_state,
    "grid_sample": ops_sampling.grid_sample,
}


def lower(
    graph: Graph,
    half: bool = False,
    quantized: QuantizedGraph | None = None,
    io: str = "float32",
    torchs_axes: bool = False,
) -> Program:
    """Return the program of a folded graph.

    `half`: float16 weights; `quantized`: int8; `io`: what the caller hands over; `torchs_axes`: maps come and go as
    torch has them, not channels-last.

    Raises BackendMissing that names every operator which TFLite lacks.
    """
    return _lowered(graph, half, quantized, io, torchs_axes).program


def kept(quantized: QuantizedGraph, io: str, torchs_axes: bool) -> dict[str, tuple[str, Layout]]:
    """For each operator of an int8 file's network the name of its tensor there, and where torch's axes lie in it."""
    return _lowered(quantized.graph, False, quantized, io, torchs_axes).kept()


def _lowered(graph: Graph, half: bool, quantized: QuantizedGraph | None, io: str, torchs_axes: bool) -> Lowering:
    lowering = Lowering(graph, half, quantized)
    refused = lowering.walk({**LOWERINGS, "input": lambda to, op: given(to, op, io, torchs_axes)})
    if refused:
        raise BackendMissing(
            f"TFLite cannot run {some(refused)}",
            "use --format onnx, or write the layer with operators that TFLite has",
        )
    for public, name in graph.outputs.items():
        hand_out(lowering, public, name, io, torchs_axes)
    return lowering
