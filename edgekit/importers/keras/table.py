"""The classes of Keras that are read, each with the function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekit.importers.keras.operators import activations, layers, merging, moving, norms, pooling

Operator = Callable[..., Any]

_IN_TRAINING = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout"),
    *("GaussianNoise", "ActivityRegularization", "StochasticDepth", "DropPath", "Identity"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
    *("RandomShear", "RandomHue", "RandomSaturation", "RandomGrayscale", "RandomPosterization", "RandomColorJitter"),
    *("RandomSharpness", "RandomColorDegeneration", "RandomGaussianBlur", "RandomErasing", "RandomPerspective"),
)
_RANKS = ("1D", "2D", "3D")
# By the class's name without what registered it.
LAYERS: Mapping[str, Operator] = {
    **dict.fromkeys(_IN_TRAINING, moving.same),
    **{f"Conv{rank}": layers.conv for rank in _RANKS},
    **{f"Conv{rank}Transpose": layers.transposed for rank in _RANKS},
    **{f"DepthwiseConv{rank}": layers.depthwise for rank in _RANKS},
    **{f"SeparableConv{rank}": layers.separable for rank in _RANKS},
    "Dense": layers.dense,
    **activations.LAYERS,
    **{f"MaxPooling{rank}": pooling.largest for rank in _RANKS},
    **{f"AveragePooling{rank}": pooling.average for rank in _RANKS},
    **{f"GlobalMaxPooling{rank}": pooling.whole_largest for rank in _RANKS},
    **{f"GlobalAveragePooling{rank}": pooling.whole_average for rank in _RANKS},
    **{f"Adaptive{kind}Pooling{rank}": pooling.adaptive for kind in ("Average", "Max") for rank in _RANKS},
    **dict.fromkeys(("BatchNormalization", "SyncBatchNormalization"), norms.batch_norm),
    "LayerNormalization": norms.layer_norm,
    "GroupNormalization": norms.group_norm,
    "UnitNormalization": norms.unit_norm,
    "Normalization": norms.normalization,
    "Rescaling": norms.rescaling,
    "LayerScale": norms.layer_scale,
    "Flatten": moving.flatten,
    "Reshape": moving.reshape,
    "Permute": moving.permute,
    "RepeatVector": moving.repeat_vector,
    "Concatenate": moving.concatenate,
    **{f"ZeroPadding{rank}": moving.zero_padding for rank in _RANKS},
    **{f"Cropping{rank}": moving.cropping for rank in _RANKS},
    **{f"UpSampling{rank}": moving.up_sampling for rank in _RANKS},
    "Resizing": moving.resizing,
    **merging.MERGING,
}
# What Keras 2 calls the operations on tensors that it wraps as TFOpLambda and SlicingOpLambda.
_OLD = {
    **{
        f"math.{name.lower()}": name
        for name in (
            *("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Negative", "Abs", "Exp"),
            *("Sqrt", "Rsqrt", "Square", "Sigmoid", "Tanh"),
        )
    },
    **{f"math.reduce_{name.lower()}": name for name in ("Mean", "Sum", "Max", "Min")},
    **{f"nn.{name.lower()}": name for name in ("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Softmax")},
    "math.truediv": "TrueDivide",
    "math.pow": "Power",
    "nn.swish": "Silu",
    "__operators__.add": "Add",
    "__operators__.getitem": "GetItem",
    "concat": "Concatenate",
    "expand_dims": "ExpandDims",
    "reshape": "Reshape",
    "squeeze": "Squeeze",
    "linalg.matmul": "Matmul",
    "compat.v1.transpose": "Transpose",
}


def operator(kind: str, config: Mapping[str, Any], is_operation: bool) -> Operator | None:
    """The function of a class; None where it is not read."""
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return merging.OPERATIONS.get(_OLD.get(str(config.get("function")), ""))
    if is_operation:
        return merging.OPERATIONS.get(kind)
    return LAYERS.get(kind.rpartition(">")[2])
