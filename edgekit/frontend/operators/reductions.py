"""What makes fewer elements of many: sums, means, extremes, norms, and where the extremes are."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter, as_float, pair
from edgekit.frontend.operators.moving import expanded, shaped


def axes(dim: Any, rank: int) -> tuple[int, ...]:
    """The axes that torch's `dim` means, in order; all of them where it is None or empty."""
    if dim is None or dim in ((), []):
        return tuple(range(rank))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    return tuple(sorted(int(d) % max(rank, 1) for d in dims))


def reduce(kind: str) -> Converter:
    """mean and sum, whose further arguments are torch's."""

    def convert(
        b: Builder,
        name: str,
        input: Node,
        dim: Any = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
    ) -> Node:
        input = input if dtype is None or dtype == input.dtype else b.emit(f"{name}/cast", "cast", [input], dtype=dtype)
        return b.emit(name, kind, [input], dims=axes(dim, input.rank), keepdim=keepdim)

    return convert


def prod(b: Builder, name: str, input: Node, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return reduce("prod")(b, name, input, dim, keepdim, dtype=dtype)


def extreme(kind: str) -> Converter:
    """amax and amin."""

    def convert(b: Builder, name: str, input: Node, dim: Any = None, keepdim: bool = False) -> Node:
        return b.emit(name, kind, [input], dims=axes(dim, input.rank), keepdim=keepdim)

    return convert


def extreme_or_pair(kind: str, of_two: str) -> Converter:
    """torch.max and torch.min: of everything, along an axis with its indices, or of two tensors."""

    def convert(b: Builder, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(("dim", "keepdim"), args, strict=False)) | kwargs
        other = given.pop("other", None)
        first = given.get("dim")
        if other is not None or isinstance(first, (Node, torch.Tensor)):
            return pair(b, name, of_two, input, first if other is None else other)
        if first is None:
            return b.emit(name, kind, [input], dims=tuple(range(input.rank)), keepdim=False)
        dim, keepdim = first % max(input.rank, 1), given.get("keepdim", False)
        values = b.emit(f"{name}/values", kind, [input], dims=(dim,), keepdim=keepdim)
        indices = b.emit(f"{name}/indices", f"arg{kind}", [input], dim=dim, keepdim=keepdim)
        return getattr(torch.return_types, kind)((values, indices))

    return convert


def arg(kind: str) -> Converter:
    """The index of the largest or smallest; int64."""

    def convert(b: Builder, name: str, input: Node, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            if keepdim:
                return NotImplemented
            input, dim = shaped(b, f"{name}/flat", input, (math.prod(input.shape),)), 0
        keep: dict[str, Any] = {"keepdim": True} if keepdim else {}
        return b.emit(name, kind, [input], dim=dim % max(input.rank, 1), **keep)

    return convert


def cumsum(b: Builder, name: str, input: Node, dim: int, *, dtype: Any = None) -> Node:
    input = input if dtype is None or dtype == input.dtype else b.emit(f"{name}/cast", "cast", [input], dtype=dtype)
    return b.emit(name, "cumsum", [input], dim=dim % max(input.rank, 1))


def topk(
    b: Builder, name: str, input: Node, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, **more: Any
) -> Any:
    attrs: dict[str, Any] = {"k": int(k), "dim": dim % input.rank, "largest": largest, "sorted": sorted, **more}
    parts: Any = tuple(b.emit(f"{name}/{part}", f"topk_{part}", [input], **attrs) for part in ("values", "indices"))
    return torch.return_types.topk(parts)


def sort(b: Builder, name: str, input: Node, dim: int = -1, descending: bool = False, stable: Any = False) -> Any:
    """Values and places; the runtimes take equal values in their order, as a stable sort does."""
    more = {"stable": True} if stable else {}
    parts = topk(b, name, input, input.shape[dim], dim, descending, **more)
    return torch.return_types.sort(tuple(parts))


def any_all(kind: str) -> Converter:
    """any and all, of truth values or numbers that are not 0."""

    def convert(b: Builder, name: str, input: Node, dim: Any = None, keepdim: bool = False) -> Node:
        truth = input if input.dtype == torch.bool else b.emit(f"{name}/truth", "not_equal", [input], other=0)
        number = b.emit(f"{name}/number", "cast", [truth], dtype=torch.float32)
        kind_of = "max" if kind == "any" else "min"
        found = b.emit(f"{name}/{kind_of}", kind_of, [number], dims=axes(dim, input.rank), keepdim=keepdim)
        return b.emit(name, "cast", [found], dtype=torch.bool)

    return convert


# Spread


def variance(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
    dims, divisor, keepdim = _spread(input, args, kwargs)
    mean = b.emit(f"{name}/mean", "mean", [input], dims=dims, keepdim=True)
    apart = b.emit(f"{name}/apart", "sub", [input, mean])
    square = b.emit(f"{name}/square", "mul", [apart, apart])
    if divisor == 1:
        return b.emit(name, "mean", [square], dims=dims, keepdim=keepdim)
    mean_square = b.emit(f"{name}/mean_square", "mean", [square], dims=dims, keepdim=keepdim)
    return b.emit(name, "mul", [mean_square], other=divisor)


def _spread(x: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[int, ...], float, bool]:
    """Axes, what the mean square is multiplied by, and keepdim, of any of the ways that torch takes them in."""
    given = dict(kwargs)
    if args and isinstance(args[0], bool):
        given["unbiased"] = args[0]
    else:
        given |= dict(zip(("dim", "unbiased", "keepdim"), args, strict=False))
    dims = axes(given.get("dim"), x.rank)
    correction = given.get("correction")
    if correction is None:
        correction = int(given.get("unbiased", True))
    count = math.prod(x.shape[dim] for dim in dims)
    return dims, count / max(count - correction, 0) if count > correction else math.nan, given.get("keepdim", False)


def deviation(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
    return b.emit(name, "sqrt", [variance(b, f"{name}/variance", input, *args, **kwargs)])


def spread_and_mean(root: bool) -> Converter:
    """var_mean and std_mean."""

    def convert(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
        dims, _, keepdim = _spread(input, args, kwargs)
        spread = (deviation if root else variance)(b, f"{name}/spread", input, *args, **kwargs)
        return spread, b.emit(f"{name}/mean", "mean", [input], dims=dims, keepdim=keepdim)

    return convert


# Norms


def norm(
    b: Builder,
    name: str,
    input: Node,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **k: Any,
) -> Any:
    order = {"fro": 2.0, None: 2.0}.get(p, p)
    if isinstance(order, str):
        return NotImplemented
    return vector_norm(b, name, input, order, dim, keepdim, dtype=dtype)


def vector_norm(
    b: Builder, name: str, x: Node, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """(sum |x|^p)^(1/p), or the largest or smallest for an infinite p."""
    x = as_float(b, name, x) if dtype is None else b.emit(f"{name}/cast", "cast", [x], dtype=dtype)
    dims, p = axes(dim, x.rank), float(ord)
    more: dict[str, Any] = {"dims": dims, "keepdim": keepdim}
    if p == 0:
        return NotImplemented
    if p == 2:
        total = b.emit(f"{name}/sum", "sum", [b.emit(f"{name}/square", "mul", [x, x])], **more)
        return b.emit(name, "sqrt", [total])
    size = b.emit(f"{name}/abs", "abs", [x])
    if math.isinf(p):
        return b.emit(name, "max" if p > 0 else "min", [size], **more)
    if p == 1:
        return b.emit(name, "sum", [size], **more)
    total = b.emit(f"{name}/sum", "sum", [b.emit(f"{name}/power", "pow", [size], other=p)], **more)
    return b.emit(name, "pow", [total], other=1 / p)


def matrix_norm(
    b: Builder, name: str, A: Node, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, **k: Any
) -> Any:
    return vector_norm(b, name, A, 2, dim, keepdim) if ord == "fro" else NotImplemented


def linalg_norm(
    b: Builder, name: str, A: Node, ord: Any = None, dim: Any = None, keepdim: bool = False, **k: Any
) -> Any:
    single = dim is None or isinstance(dim, int) or len(dim) == 1
    if ord is None or (single and isinstance(dim, (int, tuple, list))):
        return vector_norm(b, name, A, 2 if ord is None else ord, dim, keepdim)
    return NotImplemented


def normalize(b: Builder, name: str, input: Node, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, **k: Any) -> Any:
    """x over its norm, which is at least eps."""
    size = vector_norm(b, f"{name}/norm", input, p, dim, True)
    if size is NotImplemented:
        return NotImplemented
    least = b.emit(f"{name}/least", "clip", [size], min=float(eps), max=None)
    return b.emit(name, "div", [input, least])


def logsumexp(b: Builder, name: str, input: Node, dim: Any, keepdim: bool = False) -> Any:
    dims = axes(dim, input.rank)
    largest = b.emit(f"{name}/largest", "max", [input], dims=dims, keepdim=True)
    powers = b.emit(f"{name}/exp", "exp", [b.emit(f"{name}/apart", "sub", [input, largest])])
    log = b.emit(f"{name}/log", "log", [b.emit(f"{name}/sum", "sum", [powers], dims=dims, keepdim=True)])
    total = b.emit(name if keepdim else f"{name}/total", "add", [log, largest])
    shape = tuple(size for axis, size in enumerate(input.shape) if axis not in dims)
    return total if keepdim else b.emit(name, "reshape", [total], shape=shape)


def cosine_similarity(b: Builder, name: str, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    like = x1 if isinstance(x1, Node) else x2
    one, two = b.operand(f"{name}/x1", x1, like), b.operand(f"{name}/x2", x2, like)
    dim %= max(one.rank, two.rank)
    if one.rank != two.rank or one.shape[dim] != two.shape[dim]:  # their sizes are those of what they are broadcast to
        shape = tuple(torch.broadcast_shapes(one.shape, two.shape))  # type: ignore[no-untyped-call]
        one, two = (expanded(b, f"{name}/wide", x, shape) for x in (one, two))
    one = normalize(b, f"{name}/one", one, 2.0, dim, eps)
    two = normalize(b, f"{name}/two", two, 2.0, dim, eps)
    return b.emit(name, "sum", [b.emit(f"{name}/product", "mul", [one, two])], dims=(dim,), keepdim=False)


def pairwise_distance(
    b: Builder, name: str, x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    apart = pair(b, f"{name}/apart", "sub", x1, x2)
    return vector_norm(b, name, b.emit(f"{name}/more", "add", [apart], other=eps), p, -1, keepdim)
