"""What each of ONNX's operators is, by its name there.

A function takes the node and its inputs, and calls torch (operators/). To teach edgekit another operator, add a line.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from edgekit.importers.onnx.operators import (
    elementwise as el,
)
from edgekit.importers.onnx.operators import (
    fused,
    indexing,
    layers,
    moving,
    norms,
    pooling,
    quantization,
    recurrent,
    reductions,
    resize,
)
from edgekit.importers.onnx.operators.elementwise import Operator, given, plain, variadic
from edgekit.importers.onnx.operators.reductions import index_of, over, reduction

_LAYERS: dict[str, Operator] = {
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    "Einsum": layers.einsum,
    "BatchNormalization": layers.batch_normalization,
    "InstanceNormalization": norms.instance_normalization,
    "LayerNormalization": norms.layer_normalization,
    "GroupNormalization": norms.group_normalization,
    "RMSNormalization": norms.rms_normalization,
    "LpNormalization": norms.lp_normalization,
    "LRN": norms.lrn,
    "MeanVarianceNormalization": norms.mean_variance_normalization,
    "LSTM": recurrent.lstm,
    "GRU": recurrent.gru,
    "RNN": recurrent.gru,
}
_POOLING: dict[str, Operator] = {
    "MaxPool": pooling.max_pool,
    "AveragePool": pooling.average_pool,
    "LpPool": pooling.lp_pool,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "GlobalLpPool": pooling.global_lp_pool,
}
_ACTIVATIONS: dict[str, Operator] = {
    "Relu": plain(torch.relu),
    "LeakyRelu": given(F.leaky_relu, negative_slope=("alpha", 0.01)),
    "PRelu": el.prelu,
    "Elu": given(F.elu, alpha=("alpha", 1.0)),
    "Selu": el.selu,
    "Celu": given(F.celu, alpha=("alpha", 1.0)),
    "Gelu": el.gelu,
    "Mish": plain(F.mish),
    "Swish": el.swish,
    "Softplus": plain(F.softplus),
    "Softsign": plain(F.softsign),
    "ThresholdedRelu": el.thresholded_relu,
    "Shrink": el.shrink,
    "Sigmoid": plain(torch.sigmoid),
    "HardSigmoid": el.hard_sigmoid,
    "HardSwish": plain(F.hardswish),
    "Tanh": plain(torch.tanh),
    "Clip": el.clip,
    "Softmax": el.softmax,
    "LogSoftmax": el.log_softmax,
    "Hardmax": el.hardmax,
    "Dropout": el.dropout,
    "Identity": el.identity,
}
_ARITHMETIC: dict[str, Operator] = {
    "Add": plain(torch.add),
    "Sub": plain(torch.sub),
    "Mul": plain(torch.mul),
    "Div": el.divide,
    "Mod": el.modulo,
    "Pow": el.power,
    "Max": variadic(torch.maximum),
    "Min": variadic(torch.minimum),
    "Sum": variadic(torch.add),
    "Mean": el.mean,
    "Neg": plain(torch.neg),
    "Abs": plain(torch.abs),
    "Reciprocal": plain(torch.reciprocal),
    "Sqrt": plain(torch.sqrt),
    "Exp": plain(torch.exp),
    "Log": plain(torch.log),
    "Floor": plain(torch.floor),
    "Ceil": plain(torch.ceil),
    "Round": plain(torch.round),
    "Sign": plain(torch.sign),
    "Erf": plain(torch.erf),
    **{
        name.capitalize(): plain(getattr(torch, name))
        for name in ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"]
    },
    "IsNaN": plain(torch.isnan),
    "IsInf": el.is_inf,
    "Cast": el.cast,
    "CastLike": el.cast_like,
}
_LOGIC: dict[str, Operator] = {
    "Equal": plain(torch.eq),
    "Less": plain(torch.lt),
    "LessOrEqual": plain(torch.le),
    "Greater": plain(torch.gt),
    "GreaterOrEqual": plain(torch.ge),
    "And": plain(torch.logical_and),
    "Or": plain(torch.logical_or),
    "Xor": plain(torch.logical_xor),
    "Not": plain(torch.logical_not),
    "BitwiseAnd": plain(torch.bitwise_and),
    "BitwiseOr": plain(torch.bitwise_or),
    "BitwiseXor": plain(torch.bitwise_xor),
    "BitwiseNot": plain(torch.bitwise_not),
    "BitShift": el.bit_shift,
    "Where": el.where,
}
_REDUCTIONS: dict[str, Operator] = {
    "ReduceMean": reduction(over(torch.mean)),
    "ReduceSum": reduction(reductions.total),
    "ReduceMax": reduction(over(torch.amax)),
    "ReduceMin": reduction(over(torch.amin)),
    "ReduceProd": reduction(reductions.product),
    "ReduceL1": reduction(reductions.absolute_sum),
    "ReduceL2": reduction(reductions.length),
    "ReduceSumSquare": reduction(reductions.square_sum),
    "ReduceLogSum": reduction(reductions.log_sum),
    "ReduceLogSumExp": reduction(over(torch.logsumexp)),
    "ArgMax": index_of(torch.argmax),
    "ArgMin": index_of(torch.argmin),
    "TopK": reductions.top_k,
    "CumSum": reductions.cum_sum,
}
_MOVING: dict[str, Operator] = {
    "Reshape": moving.reshape,
    "Flatten": moving.flatten,
    "Squeeze": moving.squeeze,
    "Unsqueeze": moving.unsqueeze,
    "Transpose": moving.transpose,
    "Expand": moving.expand,
    "Tile": moving.tile,
    "Concat": moving.concat,
    "Split": moving.split,
    "Slice": moving.slice_,
    "Pad": moving.pad,
    "CenterCropPad": moving.center_crop_pad,
    "DepthToSpace": moving.depth_to_space,
    "SpaceToDepth": moving.space_to_depth,
    "Trilu": moving.trilu,
    "Col2Im": moving.col2im,
    "Gather": indexing.gather,
    "GatherElements": indexing.gather_elements,
    "GatherND": indexing.gather_nd,
    "ScatterND": indexing.scatter_nd,
    "ScatterElements": indexing.scatter_elements,
    "OneHot": indexing.one_hot,
    "Compress": indexing.compress,
    "NonZero": indexing.non_zero,
    "ReverseSequence": indexing.reverse_sequence,
    "Resize": resize.resize,
    "Upsample": resize.upsample,
    "GridSample": resize.grid_sample,
    "AffineGrid": resize.affine_grid,
}
# What onnxruntime writes when it optimizes a file.
FUSED: dict[str, Operator] = {
    "com.microsoft.FusedConv": fused.conv,
    "com.microsoft.FusedGemm": fused.gemm,
    "com.microsoft.FusedMatMul": fused.matmul,
    "com.microsoft.Gelu": fused.biased_gelu("none"),
    "com.microsoft.BiasGelu": fused.biased_gelu("none"),
    "com.microsoft.FastGelu": fused.biased_gelu("tanh"),
    "com.microsoft.QuickGelu": fused.quick_gelu,
    "com.microsoft.SkipLayerNormalization": fused.skip_layer_normalization,
    "com.microsoft.NhwcMaxPool": fused.channels_last(pooling.max_pool),
}
# Of quantized files: each is read as what it computes in real numbers.
QUANTIZED: dict[str, Operator] = {
    "DequantizeLinear": quantization.dequantize,
    "QuantizeLinear": quantization.carried,
    "QuantizeLinear of a constant": quantization.rounded,
    "DynamicQuantizeLinear": quantization.dynamic,
    "ConvInteger": quantization.conv_integer,
    "MatMulInteger": quantization.matmul_integer,
    "QLinearConv": quantization.qlinear_conv,
    "QLinearMatMul": quantization.qlinear_matmul,
    "com.microsoft.QLinearConv": fused.channels_last_if_said(quantization.qlinear_conv),
    "com.microsoft.QGemm": quantization.qgemm,
    "com.microsoft.DynamicQuantizeMatMul": quantization.dynamic_quantize_matmul,
    "com.microsoft.MatMulIntegerToFloat": quantization.matmul_integer_to_float,
    "com.microsoft.QLinearAdd": quantization.qlinear_pair(torch.add),
    "com.microsoft.QLinearMul": quantization.qlinear_pair(torch.mul),
    "com.microsoft.QLinearSigmoid": quantization.qlinear_one(plain(torch.sigmoid)),
    "com.microsoft.QLinearLeakyRelu": quantization.qlinear_one(given(F.leaky_relu, negative_slope=("alpha", 0.01))),
    "com.microsoft.QLinearAveragePool": fused.channels_last_if_said(quantization.qlinear_one(pooling.average_pool)),
    "com.microsoft.QLinearGlobalAveragePool": fused.channels_last_if_said(
        quantization.qlinear_one(pooling.global_average_pool)
    ),
    "com.microsoft.QLinearSoftmax": quantization.qlinear_softmax,
    "com.microsoft.QLinearReduceMean": quantization.qlinear_one(reduction(over(torch.mean))),
    "com.microsoft.QLinearConcat": quantization.qlinear_concat,
}
_SHAPES: dict[str, Operator] = {
    "Shape": indexing.shape,
    "Size": indexing.size,
    "Constant": indexing.constant,
    "ConstantOfShape": indexing.constant_of_shape,
    "Range": indexing.range_,
    "EyeLike": indexing.eye_like,
}
OPERATORS: dict[str, Operator] = {
    **_LAYERS,
    **_POOLING,
    **_ACTIVATIONS,
    **_ARITHMETIC,
    **_LOGIC,
    **_REDUCTIONS,
    **_MOVING,
    **FUSED,
    **QUANTIZED,
    **_SHAPES,
}
# What of an operator is not read; such a node is refused by its name.
LIMITS = {
    "BatchNormalization": "without the statistics that training gives",
    "Dropout": "in inference",
    "Einsum": "no letter twice in a term",
    "LSTM": "sequences of one length",
    "GRU": "sequences of one length",
    "RNN": "sequences of one length",
    "NonZero": "of what is known",
    "Compress": "a condition that is known",
    "Range": "ends that are known",
    "TopK": "a count that is known",
}
