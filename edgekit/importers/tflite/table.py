"""What each of TFLite's operators is, by its name in the schema.

A function takes the node and its inputs, and calls torch (operators/). To teach edgekit another operator, add a line.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from edgekit.importers.tflite.operators import elementwise as el
from edgekit.importers.tflite.operators import layers, moving, pooling, reductions, resize
from edgekit.importers.tflite.operators.elementwise import Operator, binary, paired, unary, variadic
from edgekit.importers.tflite.operators.reductions import index_of, one_by_one, reduction

_LAYERS: dict[str, Operator] = {
    "CONV_2D": layers.conv,
    "CONV_3D": layers.conv,
    "DEPTHWISE_CONV_2D": layers.depthwise_conv,
    "TRANSPOSE_CONV": layers.transpose_conv,
    "CONV_3D_TRANSPOSE": layers.transpose_conv,
    "FULLY_CONNECTED": layers.fully_connected,
    "BATCH_MATMUL": layers.batch_matmul,
    "AVERAGE_POOL_2D": pooling.average_pool,
    "MAX_POOL_2D": pooling.max_pool,
    "L2_POOL_2D": pooling.l2_pool,
    "LOCAL_RESPONSE_NORMALIZATION": pooling.local_response_normalization,
    "L2_NORMALIZATION": pooling.l2_normalization,
}
_ACTIVATIONS: dict[str, Operator] = {
    "RELU": unary(torch.relu),
    "RELU6": unary(F.relu6),
    "RELU_N1_TO_1": unary(F.hardtanh),
    "RELU_0_TO_1": unary(lambda x: torch.clamp(x, 0.0, 1.0)),
    "LOGISTIC": unary(torch.sigmoid),
    "TANH": unary(torch.tanh),
    "HARD_SWISH": unary(F.hardswish),
    "ELU": unary(F.elu),
    "LEAKY_RELU": el.leaky_relu,
    "PRELU": el.prelu,
    "GELU": el.gelu,
    "SOFTMAX": el.softmax,
    "LOG_SOFTMAX": el.log_softmax,
}
_ARITHMETIC: dict[str, Operator] = {
    "ADD": binary(torch.add),
    "SUB": binary(torch.sub),
    "MUL": binary(torch.mul),
    "DIV": binary(torch.div),
    "MAXIMUM": paired(torch.maximum),
    "MINIMUM": paired(torch.minimum),
    "POW": binary(torch.pow),
    "FLOOR_DIV": binary(el.floor_div),
    "FLOOR_MOD": binary(torch.remainder),
    "SQUARED_DIFFERENCE": binary(el.squared_difference),
    "ATAN2": paired(el.atan2),
    "ADD_N": variadic(torch.add),
    **{
        name.upper(): unary(getattr(torch, name))
        for name in ("exp", "log", "sqrt", "rsqrt", "square", "neg", "abs", "sin", "cos", "floor", "ceil", "round")
    },
    "SIGN": unary(torch.sign),
    "CAST": el.cast,
    "QUANTIZE": el.same,
    "DEQUANTIZE": el.same,
    "DENSIFY": el.same,
}
_LOGIC: dict[str, Operator] = {
    "EQUAL": paired(torch.eq),
    "NOT_EQUAL": paired(torch.ne),
    "LESS": paired(torch.lt),
    "LESS_EQUAL": paired(torch.le),
    "GREATER": paired(torch.gt),
    "GREATER_EQUAL": paired(torch.ge),
    "LOGICAL_AND": paired(torch.logical_and),
    "LOGICAL_OR": paired(torch.logical_or),
    "LOGICAL_NOT": unary(torch.logical_not),
    "SELECT": el.select,
    "SELECT_V2": el.select,
}
_REDUCTIONS: dict[str, Operator] = {
    "MEAN": reduction(lambda x, dims, keep: x.mean(dims, keepdim=keep)),
    "SUM": reduction(lambda x, dims, keep: x.sum(dims, keepdim=keep)),
    "REDUCE_MAX": reduction(lambda x, dims, keep: x.amax(dims, keepdim=keep)),
    "REDUCE_MIN": reduction(lambda x, dims, keep: x.amin(dims, keepdim=keep)),
    "REDUCE_PROD": one_by_one(lambda x, dim, keep: x.prod(dim, keepdim=keep)),
    "REDUCE_ANY": one_by_one(lambda x, dim, keep: x.any(dim, keepdim=keep)),
    "REDUCE_ALL": one_by_one(lambda x, dim, keep: x.all(dim, keepdim=keep)),
    "ARG_MAX": index_of(torch.argmax),
    "ARG_MIN": index_of(torch.argmin),
    "TOPK_V2": reductions.top_k,
    "CUMSUM": reductions.cumsum,
}
_MOVING: dict[str, Operator] = {
    "RESHAPE": moving.reshape,
    "SQUEEZE": moving.squeeze,
    "EXPAND_DIMS": moving.expand_dims,
    "TRANSPOSE": moving.transpose,
    "CONCATENATION": moving.concatenation,
    "PACK": moving.pack,
    "UNPACK": moving.unpack,
    "SPLIT": moving.split,
    "SPLIT_V": moving.split_v,
    "SLICE": moving.slice_,
    "STRIDED_SLICE": moving.strided_slice,
    "TILE": moving.tile,
    "BROADCAST_TO": moving.broadcast_to,
    "GATHER": moving.gather,
    "REVERSE_V2": moving.reverse,
    "PAD": moving.pad,
    "PADV2": moving.pad,
    "MIRROR_PAD": moving.mirror_pad,
    "DEPTH_TO_SPACE": moving.depth_to_space,
    "SPACE_TO_DEPTH": moving.space_to_depth,
    "SPACE_TO_BATCH_ND": moving.space_to_batch,
    "BATCH_TO_SPACE_ND": moving.batch_to_space,
    "RESIZE_BILINEAR": resize.bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize.nearest,
    "SHAPE": moving.shape_of,
    "RANK": moving.rank_of,
    "FILL": moving.fill,
    "ZEROS_LIKE": moving.zeros_like,
    "RANGE": moving.range_,
}
OPERATORS: dict[str, Operator] = {
    **_LAYERS,
    **_ACTIVATIONS,
    **_ARITHMETIC,
    **_LOGIC,
    **_REDUCTIONS,
    **_MOVING,
}
# What of an operator is not read; such a node is refused by its name.
LIMITS = {
    "BROADCAST_TO": "a shape that is known",
    "FULLY_CONNECTED": "weights that are not shuffled",
    "GATHER": "one batch dimension at most",
    "STRIDED_SLICE": "without ellipsis and new axes",
    "RANGE": "ends that are known",
    "TOPK_V2": "a count that is known",
}
