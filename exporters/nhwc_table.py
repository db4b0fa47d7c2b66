"""Which function says which kind of operator in TFLite's words. A kind that is not here cannot be run there."""

from __future__ import annotations

from edgekit.exporters import nhwc_elementwise, nhwc_layers, nhwc_pooling, nhwc_shapes
from edgekit.exporters.nhwc_lower import Lower

LOWERINGS: dict[str, Lower] = {
    "conv": nhwc_layers.conv,
    "conv_transpose": nhwc_layers.conv_transpose,
    "linear": nhwc_layers.linear,
    "scale": nhwc_layers.scale,
    "adaptive_avg_pool": nhwc_layers.adaptive_avg_pool,
    "max_pool": nhwc_pooling.max_pool,
    "avg_pool": nhwc_pooling.avg_pool,
    "mean": nhwc_pooling.mean,
    "lrn": nhwc_pooling.lrn,
    "relu": nhwc_elementwise.relu,
    "clip": nhwc_elementwise.clip,
    **dict.fromkeys(nhwc_elementwise.UNARY, nhwc_elementwise.unary),
    "elu": nhwc_elementwise.elu,
    "hardsigmoid": nhwc_elementwise.hardsigmoid,
    "silu": nhwc_elementwise.silu,
    "prelu": nhwc_elementwise.prelu,
    "softmax": nhwc_elementwise.softmax,
    "log_softmax": nhwc_elementwise.softmax,
    "argmax": nhwc_elementwise.argmax,
    **dict.fromkeys(("add", "sub", "mul", "div"), nhwc_elementwise.binary),
    "pad": nhwc_shapes.pad,
    "slice": nhwc_shapes.slice_,
    "cat": nhwc_shapes.cat,
    "permute": nhwc_shapes.permute,
    "reshape": nhwc_shapes.reshape,
    "upsample": nhwc_shapes.upsample,
}
