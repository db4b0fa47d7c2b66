"""What each of torch's functions is to the recorder: a question, a view, a change in place, or an operator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# What is known of a tensor without its values.
QUESTIONS = frozenset(
    {"shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "stride", "is_contiguous", "storage_offset"}
    | {"element_size", "is_floating_point", "is_complex", "get_device", "__len__", "dtype", "requires_grad", "grad"}
    | {"grad_fn", "is_leaf", "layout", "is_sparse", "is_quantized", "is_cuda", "names", "itemsize", "nbytes", "is_cpu"}
    | {"is_inference", "is_same_size", "is_signed", "retain_grad", "is_mkldnn", "is_nested", "is_xla", "is_mps"}
    | {"is_conj", "is_neg", "is_shared", "has_names", "output_nr", "__hash__", "__dir__", "_version", "can_cast"}
    | {"result_type", "is_pinned", "is_coalesced", "is_xpu", "is_hpu", "is_ipu", "is_vulkan", "is_maia", "is_mtia"}
)
# What only the values of a tensor tell.
VALUES = frozenset(
    {"item", "tolist", "__bool__", "__float__", "__int__", "__index__", "__complex__", "__contains__", "numpy"}
    | {"__array__", "nonzero", "argwhere", "unique", "unique_consecutive", "masked_select", "equal", "allclose"}
    | {"is_nonzero", "bincount", "histc", "data_ptr", "untyped_storage", "storage", "__dlpack__"}
    | {"__array_interface__", "__cuda_array_interface__", "to_sparse", "_storage"}
)
# What torch.save, pickle and processes ask a tensor for.
PICKLED = frozenset({"_backward_hooks", "__reduce_ex__", "__reduce__", "__setstate__"})
PRINTED = frozenset({"__repr__", "__str__", "__format__"})
# Constants whose shape and type are those of a tensor.
LIKE = frozenset(
    {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}
    | {"new_tensor", "empty_strided", "new_empty_strided"}
)
# What gives memory as it is found.
UNWRITTEN = frozenset({"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"})
# Constants that take no more from the other tensor than that.
TAKING = frozenset({"type_as", "to", "expand_as", "view_as", "reshape_as"})
RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson", "rand_like", "randn_like"}
    | {"randint_like", "bernoulli_", "normal_", "uniform_", "random_", "exponential_", "geometric_", "cauchy_"}
    | {"log_normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "gumbel_softmax"}
    | {"fractional_max_pool2d", "fractional_max_pool3d"}
)
# Random numbers of a tensor's shape and type.
RANDOM_LIKE = frozenset({"rand_like", "randn_like", "randint_like"})
# What gives the same memory, or may.
VIEWS = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "movedim", "moveaxis", "swapaxes"}
    | {"swapdims", "expand", "expand_as", "select", "narrow", "split", "chunk", "unbind", "detach", "contiguous", "to"}
    | {"unfold", "diagonal", "tensor_split", "view_as", "reshape_as", "ravel", "unflatten", "__getitem__", "data", "T"}
    | {"mT", "H", "mH", "t", "adjoint", "split_with_sizes", "hsplit", "vsplit", "dsplit", "broadcast_to", "real"}
    | {"float", "double", "half", "type", "type_as", "cpu", "cuda", "requires_grad_", "detach_", "alias"}
    | {"slice", "_unsafe_view", "bool", "int", "long", "bfloat16", "numpy_T", "resolve_conj", "resolve_neg"}
    | {"unsafe_chunk", "unsafe_split", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors"}
    | {"as_tensor", "asarray"}
)
# What gives a tensor another shape in place; it stays in its memory.
RESHAPING = frozenset({"squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_"})
# Names of arguments that torch takes for its own, as numpy has them.
NUMPYS = {"axis": "dim", "keepdims": "keepdim", "axis0": "dim0", "axis1": "dim1"}
# What gives its first argument back in eval mode.
NOTHING = frozenset(
    {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"}
    | {"native_dropout", "retain_grad", "register_hook"}
)
# Names that mean what another one means.
_ALSO = {
    "__rsub__": "rsub",
    "__rdiv__": "rdiv",
    "__rtruediv__": "rdiv",
    "__rpow__": "rpow",
    "__rmul__": "mul",
    "__radd__": "add",
    "__rfloordiv__": "rfloordiv",
    "__rmod__": "rremainder",
    "__rmatmul__": "rmatmul",
    "__floordiv__": "floor_divide",
    "__pow__": "pow",
    "__eq__": "eq",
    "__and__": "bitwise_and",
    "__or__": "bitwise_or",
    "__xor__": "bitwise_xor",
    "__invert__": "bitwise_not",
    "__neg__": "neg",
    "__abs__": "abs",
    "__matmul__": "matmul",
    "__mod__": "remainder",
    "__rand__": "bitwise_and",
    "__ror__": "bitwise_or",
    "__rxor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift",
}
_SHOWN = {"rsub": "sub", "rdiv": "truediv", "rpow": "pow", "rmatmul": "matmul", "div": "truediv"}


@dataclass(frozen=True)
class Call:
    """A function of torch's: `name` is its own without the mark of what works in place."""

    name: str
    shown: str
    in_place: bool


@cache
def described(function: Any) -> Call:
    """What a function is called, and whether it works in place by itself."""
    raw = str(getattr(function, "__name__", function))
    if isinstance(function, torch._ops.OpOverload):
        raw = raw.partition(".")[0]
    if raw in ("__get__", "__set__", "__delete__"):
        owner = getattr(function.__self__, "__name__", "")
        return Call(owner if raw == "__get__" else f"{owner}.{raw}", owner, False)
    name = _ALSO.get(raw, raw)
    if name.startswith("__i") and name.endswith("__") and hasattr(Tensor, name.replace("__i", "__", 1)):
        return Call(name[3:-2].replace("truediv", "div"), name, True)
    if raw.endswith("_") and not raw.endswith("__") and raw not in VIEWS:
        return Call(name[:-1], raw, True)
    if raw.startswith("__") and raw.endswith("__") and name == raw:
        return Call(raw, raw.strip("_"), False)
    return Call(name, _SHOWN.get(name, name), False)


def _asked_in_place(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the arguments ask a function to work in place."""
    if "inplace" in kwargs:
        return bool(kwargs["inplace"])
    place = _place_of_inplace(function)
    return place is not None and len(args) > place and bool(args[place])


@cache
def _place_of_inplace(function: Any) -> int | None:
    if not inspect.isfunction(function):  # what is written in C has no such argument
        return None
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        return None
    return names.index("inplace") if "inplace" in names else None


def is_random(call: Call) -> bool:
    """Whether a call draws random numbers, in place or not."""
    return call.name in RANDOM or call.shown in RANDOM


def target(func: Any, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The tensor that a call changes in place, or None."""
    if isinstance(kwargs.get("out"), Tensor):
        return kwargs["out"]  # type: ignore[no-any-return]
    if call.name == "__setitem__" or call.in_place or _asked_in_place(func, args, kwargs):
        first = args[0] if args else kwargs.get("input")
        return first if isinstance(first, Tensor) else None
    return None


def cleared(call: Call, result: Any) -> Any:
    """Zeros in memory that nobody has written to, whose leftovers would be constants of the graph."""
    return result.zero_() if call.name in UNWRITTEN else result


def without_change(function: Any, call: Call) -> Callable[..., Any]:
    """A function that gives what `function` would write, and leaves its arguments as they are."""
    for home in (F, torch, Tensor):
        found: Callable[..., Any] | None = getattr(home, call.name, None)
        if found is not None and call.in_place:
            return found

    def run(x: Any, *rest: Any, **named: Any) -> Any:
        x = x.clone()
        function(x, *rest, **named)
        return x

    return run
