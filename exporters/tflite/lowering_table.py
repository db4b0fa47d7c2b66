"""Which function says which kind of operator in TFLite's words. A kind that is not here cannot be run there."""

from __future__ import annotations

from edgekit.errors import BackendMissing
from edgekit.exporters.tflite import ops_elementwise, ops_layers, ops_pooling, ops_shapes
from edgekit.exporters.tflite.lowering import Lower, Lowering
from edgekit.exporters.tflite.program import Program
from edgekit.ir.graph import Graph
from edgekit.ir.quantized import QuantizedGraph

LOWERINGS: dict[str, Lower] = {
    "conv": ops_layers.conv,
    "conv_transpose": ops_layers.conv_transpose,
    "linear": ops_layers.linear,
    "scale": ops_layers.scale,
    "adaptive_avg_pool": ops_layers.adaptive_avg_pool,
    "max_pool": ops_pooling.max_pool,
    "avg_pool": ops_pooling.avg_pool,
    "mean": ops_pooling.mean,
    "lrn": ops_pooling.lrn,
    "relu": ops_elementwise.relu,
    "clip": ops_elementwise.clip,
    **dict.fromkeys(ops_elementwise.UNARY, ops_elementwise.unary),
    "elu": ops_elementwise.elu,
    "hardsigmoid": ops_elementwise.hardsigmoid,
    "silu": ops_elementwise.silu,
    "prelu": ops_elementwise.prelu,
    "softmax": ops_elementwise.softmax,
    "log_softmax": ops_elementwise.softmax,
    "argmax": ops_elementwise.argmax,
    **dict.fromkeys(("add", "sub", "mul", "div"), ops_elementwise.binary),
    "pad": ops_shapes.pad,
    "slice": ops_shapes.slice_,
    "cat": ops_shapes.cat,
    "permute": ops_shapes.permute,
    "reshape": ops_shapes.reshape,
    "upsample": ops_shapes.upsample,
}


def lower(graph: Graph, half: bool = False, quantized: QuantizedGraph | None = None, io: str = "float32") -> Program:
    """The program of a folded graph. `half`: float16 weights; `quantized`: int8; `io`: what the caller hands over.

    Raises BackendMissing that names every operator which TFLite lacks.
    """
    lowering = Lowering(graph, half, quantized)
    refused = lowering.walk(io, LOWERINGS)
    if refused:
        more = f", and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise BackendMissing(
            f"TFLite cannot run {', '.join(refused[:3])}{more}",
            "use --format onnx, or write the layer with operators that TFLite has",
        )
    return lowering.program
