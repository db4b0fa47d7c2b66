"""Which of torch's modules, functions and methods have a canonical form.

A form (edgekit.frontend.convert_elementwise, edgekit.frontend.convert_layers)
takes the walk, a name and the call's own arguments, and emits operators;
NotImplemented means that these arguments have none. To teach edgekit a new spelling, add a line here.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from edgekit.frontend.convert_elementwise import (
    argmax,
    attribute,
    binary,
    cat,
    celu,
    chunk,
    clip,
    clone,
    contiguous,
    converted,
    getitem,
    hardtanh,
    identity,
    leaky_relu,
    of,
    pad,
    pad_module,
    permute,
    reshaped,
    shape_of,
    softmax,
    split,
    transpose,
    unary,
    upsample,
)
from edgekit.frontend.convert_layers import (
    Form,
    adaptive,
    avg_pool,
    batch_norm,
    batch_norm_module,
    conv,
    conv_module,
    conv_transpose,
    linear,
    max_pool,
    mean,
)

_POOL = ("kernel_size", "stride", "padding")
MODULES: dict[type, Form] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), conv_module),
    **dict.fromkeys(
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
        lambda walk, name, m, own, x: conv_transpose(
            walk, name, x, own["weight"], own.get("bias"), m.stride, m.padding, m.output_padding, m.groups, m.dilation
        ),
    ),
    nn.Linear: lambda walk, name, m, own, x: linear(walk, name, x, own["weight"], own.get("bias")),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), batch_norm_module),
    **dict.fromkeys(
        (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), of(max_pool, *_POOL, "dilation", "ceil_mode", "return_indices")
    ),
    nn.AvgPool1d: of(avg_pool, *_POOL, "ceil_mode", "count_include_pad"),
    **dict.fromkeys(
        (nn.AvgPool2d, nn.AvgPool3d), of(avg_pool, *_POOL, "ceil_mode", "count_include_pad", "divisor_override")
    ),
    **dict.fromkeys(
        (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), of(adaptive("avg"), "output_size")
    ),
    **dict.fromkeys(
        (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), of(adaptive("max"), "output_size")
    ),
    nn.LocalResponseNorm: of(unary("lrn", size=5, alpha=1e-4, beta=0.75, k=1.0), "size", "alpha", "beta", "k"),
    nn.ReLU: of(unary("relu")),
    nn.ReLU6: of(hardtanh, "min_val", "max_val"),
    nn.Hardtanh: of(hardtanh, "min_val", "max_val"),
    nn.Hardswish: of(unary("hardswish")),
    nn.Hardsigmoid: of(unary("hardsigmoid")),
    nn.Sigmoid: of(unary("sigmoid")),
    nn.Tanh: of(unary("tanh")),
    nn.SiLU: of(unary("silu")),
    nn.GELU: of(unary("gelu", approximate="none"), "approximate"),
    nn.LeakyReLU: of(leaky_relu, "negative_slope"),
    nn.ELU: of(unary("elu", alpha=1.0), "alpha"),
    nn.CELU: of(celu, "alpha"),
    nn.PReLU: lambda walk, name, m, own, x: walk.emit(name, "prelu", [x], {"weight": own["weight"]}),
    nn.Softmax: of(softmax("softmax"), "dim"),
    nn.LogSoftmax: of(softmax("log_softmax"), "dim"),
    **dict.fromkeys((nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), pad_module),
    nn.Flatten: of(reshaped(torch.flatten), "start_dim", "end_dim"),
    nn.Upsample: of(upsample, "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity), of(identity)),
}

_add, _sub, _mul, _div, _relu = binary("add"), binary("sub"), binary("mul"), binary("div"), unary("relu")
_flatten, _reshape = reshaped(torch.flatten), reshaped(torch.Tensor.reshape)
FUNCTIONS: dict[Any, Form] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d), conv),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), conv_transpose),
    F.linear: linear,
    F.batch_norm: batch_norm,
    **dict.fromkeys((F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d), max_pool),
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), avg_pool),
    **dict.fromkeys((F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d), adaptive("avg")),
    **dict.fromkeys((F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d), adaptive("max")),
    F.local_response_norm: unary("lrn", size=5, alpha=1e-4, beta=0.75, k=1.0),
    torch.mean: mean,
    **dict.fromkeys((F.relu, torch.relu, F.relu_), _relu),
    F.relu6: lambda walk, name, input, inplace=False: clip(walk, name, input, 0.0, 6.0),
    F.hardtanh: hardtanh,
    **dict.fromkeys((torch.clamp, torch.clip), clip),
    F.hardswish: unary("hardswish"),
    F.hardsigmoid: unary("hardsigmoid"),
    **dict.fromkeys((torch.sigmoid, F.sigmoid), unary("sigmoid")),
    **dict.fromkeys((torch.tanh, F.tanh), unary("tanh")),
    F.silu: unary("silu"),
    F.gelu: unary("gelu", approximate="none"),
    F.leaky_relu: leaky_relu,
    F.elu: unary("elu", alpha=1.0),
    **dict.fromkeys((F.celu, torch.celu), celu),
    torch.argmax: argmax,
    **dict.fromkeys((F.softmax, torch.softmax), softmax("softmax")),
    **dict.fromkeys((F.log_softmax, torch.log_softmax), softmax("log_softmax")),
    **dict.fromkeys((torch.add, operator.add, operator.iadd), _add),
    **dict.fromkeys((torch.sub, operator.sub, operator.isub), _sub),
    **dict.fromkeys((torch.mul, operator.mul, operator.imul), _mul),
    **dict.fromkeys((torch.div, operator.truediv, operator.itruediv), _div),
    **dict.fromkeys((torch.cat, torch.concat), cat),
    F.pad: pad,
    torch.clone: clone,
    torch.flatten: _flatten,
    torch.reshape: _reshape,
    torch.squeeze: reshaped(torch.squeeze),
    torch.unsqueeze: reshaped(torch.unsqueeze),
    torch.permute: permute,
    torch.transpose: transpose,
    torch.split: split,
    torch.chunk: chunk,
    operator.getitem: getitem,
    getattr: attribute,
    F.interpolate: upsample,
    **dict.fromkeys((F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout), identity),
}
METHODS: dict[str, Form] = {
    "mean": mean,
    "relu": _relu,
    "relu_": _relu,
    "sigmoid": unary("sigmoid"),
    "tanh": unary("tanh"),
    "clamp": clip,
    "clip": clip,
    "softmax": softmax("softmax"),
    "log_softmax": softmax("log_softmax"),
    "add": _add,
    "add_": _add,
    "sub": _sub,
    "mul": _mul,
    "mul_": _mul,
    "div": _div,
    "flatten": _flatten,
    "reshape": _reshape,
    "view": _reshape,
    "squeeze": reshaped(torch.squeeze),
    "unsqueeze": reshaped(torch.unsqueeze),
    "permute": permute,
    "transpose": transpose,
    "split": split,
    "chunk": chunk,
    "contiguous": contiguous,
    **dict.fromkeys(("detach", "detach_", "requires_grad_"), identity),
    "clone": clone,
    "argmax": argmax,
    "float": converted(torch.float32),
    **dict.fromkeys(("to", "type", "type_as"), converted()),
    "cpu": identity,
    "size": shape_of,
    "dim": lambda walk, name, input: len(walk.shape(input)),
}
