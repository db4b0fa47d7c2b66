"""Functions of torch that are a few of its others in a row."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.attention import matmul
from edgekit.frontend.operators.elementwise import Converter, binary, pair, trunc
from edgekit.frontend.operators.indexing import embedding
from edgekit.frontend.operators.moving import cut, shaped, transpose
from edgekit.frontend.operators.reductions import topk, vector_norm


def _two(b: Builder, name: str, one: Any, other: Any) -> tuple[Node, Node]:
    """Both operands as nodes, of which one at least is one."""
    like = one if isinstance(one, Node) else other
    return b.operand(f"{name}/left", one, like), b.operand(f"{name}/right", other, like)


# Products


def tensordot(b: Builder, name: str, a: Any, other: Any, dims: Any = 2, **k: Any) -> Any:
    """A product of matrices whose inner axis is all axes that are summed over."""
    left, right = _two(b, name, a, other)
    if isinstance(dims, int):
        dims = (range(left.rank - dims, left.rank), range(dims))
    of_left, of_right = ([int(d) % x.rank for d in side] for side, x in zip(dims, (left, right), strict=True))
    rows = [axis for axis in range(left.rank) if axis not in of_left]
    columns = [axis for axis in range(right.rank) if axis not in of_right]
    inner = math.prod(left.shape[axis] for axis in of_left)
    front, back = [left.shape[axis] for axis in rows], [right.shape[axis] for axis in columns]
    left = shaped(b, f"{name}/rows", _turned(b, f"{name}/a", left, [*rows, *of_left]), (math.prod(front), inner))
    right = shaped(
        b, f"{name}/columns", _turned(b, f"{name}/b", right, [*of_right, *columns]), (inner, math.prod(back))
    )
    product = b.emit(f"{name}/product", "matmul", [left, right])
    return shaped(b, name, product, (*front, *back))


def _turned(b: Builder, name: str, x: Node, dims: list[int]) -> Node:
    return x if dims == list(range(x.rank)) else b.emit(f"{name}/order", "permute", [x], dims=tuple(dims))


def inner(b: Builder, name: str, input: Any, other: Any) -> Any:
    left, right = _two(b, name, input, other)
    return tensordot(b, name, left, right, ([left.rank - 1], [right.rank - 1]))


def vecdot(b: Builder, name: str, x: Any, y: Any, *, dim: int = -1) -> Any:
    product = pair(b, f"{name}/product", "mul", x, y)
    return b.emit(name, "sum", [product], dims=(dim % product.rank,), keepdim=False)


def chain_matmul(b: Builder, name: str, *tensors: Any, **k: Any) -> Any:
    given = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)
    while len(given) > 1:
        one, other = given[:2]
        constant = not isinstance(one, Node) and not isinstance(other, Node)
        given[:2] = [one @ other if constant else matmul(b, name, one, other)]
    return given[0]


def addbmm(b: Builder, name: str, input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    if (beta, alpha) != (1, 1):
        return NotImplemented
    product = matmul(b, f"{name}/product", batch1, batch2)
    return pair(b, name, "add", b.emit(f"{name}/sum", "sum", [product], dims=(0,), keepdim=False), input)


def cross(b: Builder, name: str, input: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product along an axis of three: the first one where none is told."""
    left, right = _two(b, name, input, other)
    dim = left.shape.index(3) if dim is None else dim % left.rank

    def turned(x: Node, by: int) -> Node:
        parts = [cut(b, f"{name}/part", x, dim, start, stop) for start, stop in ((by, 3), (0, by))]
        return b.emit(f"{name}/turned", "cat", parts, dim=dim)

    one = b.emit(f"{name}/one", "mul", [turned(left, 1), turned(right, 2)])
    return b.emit(name, "sub", [one, b.emit(f"{name}/two", "mul", [turned(left, 2), turned(right, 1)])])


# Distances


def cdist(b: Builder, name: str, x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    """The distance of each row of one from each row of the other."""
    left, right = _two(b, name, x1, x2)
    (*front, rows, width), (*back, columns, _) = left.shape, right.shape
    left = shaped(b, f"{name}/rows", left, (*front, rows, 1, width))
    right = shaped(b, f"{name}/columns", right, (*back, 1, columns, width))
    return vector_norm(b, name, b.emit(f"{name}/apart", "sub", [left, right]), p, -1)


def dist(b: Builder, name: str, input: Any, other: Any, p: float = 2.0) -> Any:
    return vector_norm(b, name, pair(b, f"{name}/apart", "sub", input, other), p)


def hypot(b: Builder, name: str, input: Any, other: Any) -> Any:
    left, right = _two(b, name, input, other)
    squares = [b.emit(f"{name}/square", "mul", [x, x]) for x in (left, right)]
    return b.emit(name, "sqrt", [b.emit(f"{name}/sum", "add", squares)])


# Parts of matrices


def triangle(upper: bool) -> Converter:
    """triu and tril: zeros on one side of a diagonal."""

    def convert(b: Builder, name: str, input: Node, diagonal: int = 0) -> Node:
        kept = torch.ones(input.shape[-2:], dtype=torch.bool)
        kept = kept.triu(diagonal) if upper else kept.tril(diagonal)
        zero = b.number(f"{name}/zero", 0, input)
        return b.emit(name, "where", [b.constant(f"{name}/kept", kept), input, zero])

    return convert


def diag_embed(b: Builder, name: str, input: Node, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    if (offset, dim1, dim2) != (0, -2, -1):
        return NotImplemented
    size = input.shape[-1]
    column = shaped(b, f"{name}/column", input, (*input.shape, 1))
    return b.emit(name, "mul", [column], {"other": torch.eye(size, dtype=input.dtype)})


def rot90(b: Builder, name: str, input: Node, k: int = 1, dims: Any = (0, 1)) -> Any:
    one, other = (d % input.rank for d in dims)
    if k % 4 == 2:
        return b.emit(name, "flip", [input], dims=(one, other))
    if k % 2 == 0:
        return input
    flipped = b.emit(f"{name}/flip", "flip", [input], dims=(other if k % 4 == 1 else one,))
    return transpose(b, name, flipped, one, other)


def as_strided(b: Builder, name: str, input: Node, size: Any, stride: Any, storage_offset: int | None = None) -> Node:
    """The places that the strides mean in a tensor which lies without gaps."""
    count = math.prod(input.shape)
    places = torch.arange(count).as_strided(tuple(size), tuple(stride), storage_offset or 0)
    flat = shaped(b, f"{name}/flat", input, (count,))
    taken = b.emit(f"{name}/taken", "gather", [flat], {"indices": places.reshape(-1)}, dim=0)
    return shaped(b, name, taken, places.shape)


def block_diag(b: Builder, name: str, *tensors: Any) -> Node:
    """Matrices one below the other along the diagonal, with zeros beside them."""
    like = next(x for x in tensors if isinstance(x, Node))
    nodes = [b.operand(f"{name}/{index}", x, like) for index, x in enumerate(tensors)]
    nodes = [shaped(b, f"{name}/row", x, ((1, 1) + x.shape)[-2:]) for x in nodes]
    width, before, rows = sum(x.shape[1] for x in nodes), 0, []
    for x in nodes:
        beside = (before, width - before - x.shape[1])
        rows.append(b.emit(f"{name}/beside", "pad", [x], pads=((0, 0), beside), value=0.0))
        before += x.shape[1]
    return b.emit(name, "cat", rows, dim=0)


def kron(b: Builder, name: str, input: Any, other: Any) -> Node:
    """Every element of one times the whole of the other."""
    left, right = _two(b, name, input, other)
    rank = max(left.rank, right.rank)
    one, two = ((1,) * (rank - x.rank) + x.shape for x in (left, right))
    left = shaped(b, f"{name}/outer", left, [size for many in one for size in (many, 1)])
    right = shaped(b, f"{name}/inner", right, [size for many in two for size in (1, many)])
    product = b.emit(f"{name}/product", "mul", [left, right])
    return shaped(b, name, product, [a * c for a, c in zip(one, two, strict=True)])


# Elements


def logaddexp(b: Builder, name: str, input: Any, other: Any) -> Any:
    """The larger, and log(1 + exp(-|difference|))."""
    left, right = _two(b, name, input, other)
    far = b.emit(f"{name}/abs", "abs", [b.emit(f"{name}/apart", "sub", [left, right])])
    small = b.emit(f"{name}/exp", "exp", [b.emit(f"{name}/neg", "neg", [far])])
    more = b.emit(f"{name}/log", "log", [b.emit(f"{name}/more", "add", [small], other=1.0)])
    return b.emit(name, "add", [b.emit(f"{name}/larger", "maximum", [left, right]), more])


def div(b: Builder, name: str, input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """A quotient; one whose fraction is left out ("trunc") is, of whole numbers, that of their sizes with its sign."""
    if rounding_mode != "trunc":
        return binary("div")(b, name, input, other, rounding_mode=rounding_mode)
    if any(isinstance(x, float) or (not isinstance(x, int) and x.dtype.is_floating_point) for x in (input, other)):
        return trunc(b, name, pair(b, f"{name}/ratio", "div", input, other))
    both = _two(b, name, input, other)
    size = b.emit(f"{name}/size", "floor_div", [b.emit(f"{name}/abs", "abs", [x]) for x in both])
    sign = b.emit(f"{name}/signs", "mul", [b.emit(f"{name}/sign", "sign", [x]) for x in both])
    return b.emit(name, "mul", [size, sign])


def fmod(b: Builder, name: str, input: Any, other: Any) -> Any:
    """The remainder with the sign of the dividend."""
    left, right = _two(b, name, input, other)
    sizes = [b.emit(f"{name}/abs", "abs", [x]) for x in (left, right)]
    rest = b.emit(f"{name}/rest", "remainder", sizes)
    return b.emit(name, "mul", [rest, b.emit(f"{name}/sign", "sign", [left])])


def erfc(b: Builder, name: str, input: Node) -> Node:
    return b.emit(name, "sub", [b.emit(f"{name}/erf", "erf", [input])], other=1.0, reflected=True)


def scaled_by(factor: float) -> Converter:
    return lambda b, name, input: b.emit(name, "mul", [input], other=factor)


def diff(b: Builder, name: str, input: Node, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if prepend is not None or append is not None:
        return NotImplemented
    dim %= input.rank
    for _ in range(n):
        size = input.shape[dim]
        later, first = cut(b, f"{name}/later", input, dim, 1, size), cut(b, f"{name}/first", input, dim, 0, size - 1)
        input = b.emit(name, "sub", [later, first])
    return input


# Orders and counts


def aminmax(b: Builder, name: str, *args: Any, dim: int | None = None, keepdim: bool = False, **k: Any) -> Any:
    input = args[0] if args else k["input"]
    dims = tuple(range(input.rank)) if dim is None else (dim % input.rank,)
    parts: Any = tuple(b.emit(f"{name}/{kind}", kind, [input], dims=dims, keepdim=keepdim) for kind in ("min", "max"))
    return torch.return_types.aminmax(parts)


def kthvalue(b: Builder, name: str, input: Node, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The last of the k smallest, and where it is."""
    dim %= input.rank
    parts = topk(b, f"{name}/smallest", input, k, dim, False)
    shape = tuple(1 if axis == dim else size for axis, size in enumerate(input.shape) if keepdim or axis != dim)
    ends: Any = tuple(shaped(b, f"{name}/end", cut(b, f"{name}/last", x, dim, k - 1, k), shape) for x in parts)
    return torch.return_types.kthvalue(ends)


def median(b: Builder, name: str, input: Node, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the two in the middle, as torch takes it."""
    if dim is None:
        flat = shaped(b, f"{name}/flat", input, (math.prod(input.shape),))
        return kthvalue(b, name, flat, (flat.shape[0] + 1) // 2)[0]
    found: Any = tuple(kthvalue(b, name, input, (input.shape[dim] + 1) // 2, dim, keepdim))
    return torch.return_types.median(found)


def count_nonzero(b: Builder, name: str, input: Node, dim: Any = None) -> Node:
    there = input if input.dtype == torch.bool else b.emit(f"{name}/there", "not_equal", [input], other=0)
    number = b.emit(f"{name}/number", "cast", [there], dtype=torch.float32)
    given = range(input.rank) if dim is None else (dim if isinstance(dim, (tuple, list)) else (dim,))
    total = b.emit(f"{name}/sum", "sum", [number], dims=tuple(sorted(d % input.rank for d in given)), keepdim=False)
    return b.emit(name, "cast", [total], dtype=torch.int64)


def one_hot(b: Builder, name: str, tensor: Node, num_classes: int = -1) -> Any:
    if num_classes < 0:
        return NotImplemented
    column = shaped(b, f"{name}/column", tensor, (*tensor.shape, 1))
    same = b.emit(f"{name}/same", "equal", [column], {"other": torch.arange(num_classes)})
    return b.emit(name, "cast", [same], dtype=torch.int64)


def embedding_bag(
    b: Builder,
    name: str,
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: Any = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum, mean or maximum of the embeddings in each row, where every row is a bag."""
    if offsets is not None or max_norm is not None or padding_idx is not None or len(input.shape) != 2:
        return NotImplemented
    if isinstance(input, Node):
        found = embedding(b, f"{name}/each", input, weight)
    elif isinstance(weight, torch.Tensor):
        found = b.constant(f"{name}/each", weight.detach()[input])
    else:
        return NotImplemented
    if per_sample_weights is not None:
        shares = b.operand(f"{name}/shares", per_sample_weights, found)
        found = b.emit(f"{name}/part", "mul", [found, shaped(b, f"{name}/column", shares, (*shares.shape, 1))])
    return b.emit(name, mode, [found], dims=(1,), keepdim=False)
