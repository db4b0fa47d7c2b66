"""What torch's operators become where complex tensors are among their arguments.

What is linear is done to both parts alike, by what the table has for real tensors. Everything else is taken apart into
operators on the parts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.calls import Call
from edgekit.frontend.node import Node, leaves
from edgekit.frontend.operators import attention, fourier, layers, reductions
from edgekit.frontend.operators import complex_numbers as cn
from edgekit.frontend.operators.elementwise import Converter
from edgekit.frontend.refusals import at
from edgekit.frontend.table import CONVERTERS

_MOVES = (
    *("view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "permute"),
    *("transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "mT", "T", "split", "split_with_sizes", "chunk"),
    *("tensor_split", "unbind", "select", "narrow", "expand", "expand_as", "broadcast_to", "repeat", "tile", "flip"),
    *("repeat_interleave", "cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "roll"),
    *("fliplr", "flipud", "rot90", "__getitem__", "index_select", "gather", "diagonal", "triu", "tril", "diff"),
    *("sum", "mean", "cumsum", "clone", "contiguous", "detach", "data", "alias", "positive", "fft_fftshift"),
    *("fft_ifftshift", "resolve_conj", "cpu", "requires_grad_", "zero", "unfold"),
)
_FOURIER = tuple(name for name in CONVERTERS if name.startswith("fft_") and not name.endswith("shift"))
OF_COMPLEX: dict[str, Converter] = {
    **{name: cn.alike(CONVERTERS[name]) for name in _MOVES},
    "where": cn.alike(CONVERTERS["where"], 1, 2, "input", "other"),
    "masked_fill": cn.alike(CONVERTERS["masked_fill"], 2, "value"),
    "pad": cn.alike(CONVERTERS["pad"], 3, "value"),
    "__setitem__": cn.alike(CONVERTERS["__setitem__"], 2),
    "copy": cn.alike(CONVERTERS["copy"]),
    "fill": cn.alike(CONVERTERS["fill"], 1, "value"),
    "add": cn.add,
    **dict.fromkeys(("sub", "subtract"), cn.sub),
    "rsub": cn.reflected(cn.sub),
    **dict.fromkeys(("mul", "multiply"), cn.mul),
    **dict.fromkeys(("div", "divide", "true_divide"), cn.div),
    "rdiv": cn.reflected(cn.div),
    "reciprocal": cn.reciprocal,
    **dict.fromkeys(("neg", "negative"), cn.neg),
    "square": cn.square,
    "pow": cn.power,
    "exp": cn.exp,
    "log": cn.log,
    "sgn": cn.sgn,
    **dict.fromkeys(("abs", "absolute"), cn.absolute),
    "angle": cn.angle,
    "real": cn.real,
    "imag": cn.imag,
    **dict.fromkeys(("conj", "conj_physical"), cn.conj),
    **dict.fromkeys(("H", "mH", "adjoint"), cn.turned_conj),
    "complex": cn.complex_,
    "polar": cn.polar,
    "view_as_real": cn.view_as_real,
    **dict.fromkeys(("to", "type", "type_as", "as_tensor", "asarray"), cn.converted),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv"), cn.bilinear(attention.matmul)),
    "rmatmul": cn.reflected(cn.bilinear(attention.matmul)),
    "einsum": cn.einsum,
    "linear": cn.layer(layers.linear),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), cn.layer(layers.conv)),
    "norm": cn.by_size(reductions.norm),
    **dict.fromkeys(("vector_norm", "linalg_vector_norm"), cn.by_size(reductions.vector_norm)),
    **{name: CONVERTERS[name] for name in _FOURIER},
    "istft": fourier.istft,
}


def is_about_complex(args: Any, kwargs: Any) -> bool:
    """Whether a complex tensor or number is among the arguments of a call, or such a type is asked for."""
    kinds = (Node, Tensor, torch.dtype, complex)
    return any(map(_is_complex, leaves(args, kinds))) or bool(kwargs) and any(map(_is_complex, leaves(kwargs, kinds)))


def _is_complex(value: Any) -> bool:
    if isinstance(value, complex):
        return True
    dtype = value if isinstance(value, torch.dtype) else value.dtype
    return bool(dtype.is_complex)


def no_form(call: Call) -> UsageError:
    """The error for an operator of complex tensors that is not taken apart."""
    return UsageError(
        at(scope.line(), f"{call.shown} of complex tensors has no form in any format"),
        "compute it from the real and the imaginary part: torch.view_as_real(x), x.real, x.imag",
    )
