"""Products of matrices, and attention, which is made of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import pair, scaled
from edgekit.frontend.operators.layers import linear
from edgekit.frontend.operators.moving import diagonal, pad, shaped, transpose
from edgekit.frontend.refusals import at


def matmul(b: Builder, name: str, input: Any, other: Any) -> Any:
    if isinstance(input, Node) and _is_weight(input, other):
        return linear(b, name, input, other.detach().t())
    like = input if isinstance(input, Node) else other
    left, right = b.operand(f"{name}/left", input, like), b.operand(f"{name}/right", other, like)
    if left.rank >= 2 and right.rank >= 2:
        return b.emit(name, "matmul", [left, right])
    one = shaped(b, f"{name}/row", left, (1, *left.shape)) if left.rank == 1 else left
    two = shaped(b, f"{name}/column", right, (*right.shape, 1)) if right.rank == 1 else right
    product = b.emit(f"{name}/product", "matmul", [one, two])
    shape = list(product.shape)
    if right.rank == 1:
        shape.pop(-1)
    if left.rank == 1:
        shape.pop(-1 if right.rank == 1 else -2)
    return shaped(b, name, product, shape)


def _is_weight(x: Node, other: Any) -> bool:
    """Whether a product with a constant is what a linear layer computes."""
    return x.rank > 1 and isinstance(other, Tensor) and other.dim() == 2 and other.dtype == x.dtype


def rmatmul(b: Builder, name: str, input: Any, other: Any) -> Any:
    return matmul(b, name, other, input)


def baddbmm(b: Builder, name: str, input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta * input + alpha * (batch1 @ batch2); also addmm and addmv."""
    row = isinstance(input, Tensor) and input.dim() == 1 and alpha == beta == 1
    if row and isinstance(batch1, Node) and _is_weight(batch1, batch2):
        return linear(b, name, batch1, batch2.detach().t(), input)
    product = matmul(b, f"{name}/product", batch1, batch2)
    product = product if alpha == 1 else scaled(b, f"{name}/alpha", product, alpha)
    if beta == 0:
        return product
    rest = input if beta == 1 else scaled(b, f"{name}/beta", input, beta)
    return pair(b, name, "add", product, rest)


def einsum(b: Builder, name: str, equation: Any, *operands: Any) -> Any:
    """Two tensors as one product of matrices; one tensor as a sum and a permutation; more, one after the other."""
    given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else list(operands)
    equation = str(equation).replace(" ", "")
    if "." in equation:
        equation = _spelled(equation, given)
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        letters = left.replace(",", "")
        result = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    if len(terms) != len(given) or len(set(result)) != len(result):
        return NotImplemented
    like = next(x for x in given if isinstance(x, Node))
    nodes = [b.operand(f"{name}/{index}", x, like) for index, x in enumerate(given)]
    for index, node in enumerate(nodes):
        nodes[index], terms[index] = _diagonals(b, f"{name}/diagonal", node, terms[index])
    while len(nodes) > 2:
        keep = "".join(dict.fromkeys(x for x in terms[0] + terms[1] if x in "".join(terms[2:]) + result))
        nodes[:2] = [_two(b, f"{name}/product{len(nodes)}", nodes[:2], terms[:2], keep)]
        terms[:2] = [keep]
    if len(nodes) == 2:
        return _two(b, name, nodes, terms, result)
    return _arranged(b, name, _summed(b, name, nodes[0], terms[0], result), _left(terms[0], result), result)


def _diagonals(b: Builder, name: str, x: Node, term: str) -> tuple[Node, str]:
    """A tensor with each letter of its term once."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first, second = term.index(letter), term.rindex(letter)
            x = diagonal(b, name, x, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return x, term


def _spelled(equation: str, given: list[Any]) -> str:
    """An equation with letters in the place of its ellipsis."""
    left, arrow, result = equation.partition("->")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    terms = left.split(",")
    counts = [len(x.shape) - len(term.replace("...", "")) for term, x in zip(terms, given, strict=True)]
    most = max(count for term, count in zip(terms, counts, strict=True) if "..." in term)
    letters = "".join(free[:most])
    terms = [term.replace("...", letters[most - n :] if n else "") for term, n in zip(terms, counts, strict=True)]
    return ",".join(terms) + arrow + result.replace("...", letters)


def _left(term: str, result: str) -> str:
    return "".join(letter for letter in term if letter in result)


def _summed(b: Builder, name: str, x: Node, term: str, needed: str) -> Node:
    """Without the axes that nobody needs."""
    gone = tuple(axis for axis, letter in enumerate(term) if letter not in needed)
    return b.emit(f"{name}/sum", "sum", [x], dims=gone, keepdim=False) if gone else x


def _arranged(b: Builder, name: str, x: Node, term: str, wanted: str) -> Node:
    dims = tuple(term.index(letter) for letter in wanted)
    return x if dims == tuple(range(x.rank)) else b.emit(name, "permute", [x], dims=dims)


def _two(b: Builder, name: str, nodes: list[Node], terms: list[str], result: str) -> Node:
    """Axes of both that stay are in front, those of both that go are summed over, the others are rows and columns."""
    parts = []
    for index, other in ((0, 1), (1, 0)):
        needed = terms[other] + result
        parts.append(_summed(b, f"{name}/{index}", nodes[index], terms[index], needed))
        terms[index] = _left(terms[index], needed)
    one, two = terms
    sizes = dict(zip(one, parts[0].shape, strict=True))
    for letter, size in zip(two, parts[1].shape, strict=True):
        sizes[letter] = max(sizes.get(letter, 1), size)
    front = [x for x in one if x in two and x in result]
    inner = [x for x in one if x in two and x not in result]
    rows, columns = [x for x in one if x not in two], [x for x in two if x not in one]
    a = _matrix(b, f"{name}/left", parts[0], one, front, rows, inner)
    c = _matrix(b, f"{name}/right", parts[1], two, front, inner, columns)
    order = "".join([*front, *rows, *columns])
    plain = len(rows) == len(columns) == 1 and order == result
    product = b.emit(name if plain else f"{name}/product", "matmul", [a, c])
    product = shaped(b, name if order == result else f"{name}/axes", product, [sizes[letter] for letter in order])
    return _arranged(b, name, product, order, result)


def _matrix(b: Builder, name: str, x: Node, term: str, front: list[str], rows: list[str], columns: list[str]) -> Node:
    """A tensor with its axes in three groups, the second and third as one axis each."""
    x = _arranged(b, f"{name}/order", x, term, "".join([*front, *rows, *columns]))
    n, m = len(front), len(front) + len(rows)
    shape = (*x.shape[:n], math.prod(x.shape[n:m]), math.prod(x.shape[m:]))
    return shaped(b, name, x, shape)


def outer(b: Builder, name: str, input: Any, vec2: Any) -> Any:
    return einsum(b, name, "i,j->ij", input, vec2)


def dot(b: Builder, name: str, input: Any, tensor: Any) -> Any:
    return matmul(b, name, input, tensor)


# Attention


def scaled_dot_product_attention(
    b: Builder,
    name: str,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(query @ key.T * scale + mask) @ value"""
    if dropout_p:
        return NotImplemented
    like = next(x for x in (query, key, value) if isinstance(x, Node))
    q, k, v = (b.operand(f"{name}/{part}", x, like) for part, x in (("query", query), ("key", key), ("value", value)))
    if enable_gqa and q.shape[-3] != k.shape[-3]:
        k, v = (_heads(b, f"{name}/{part}", x, q.shape[-3]) for part, x in (("keys", k), ("values", v)))
    q = b.emit(f"{name}/scaled", "mul", [q], other=1 / math.sqrt(q.shape[-1]) if scale is None else float(scale))
    scores = b.emit(f"{name}/scores", "matmul", [q, transpose(b, f"{name}/columns", k, -2, -1)])
    if is_causal:
        attn_mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    scores = masked(b, f"{name}/masked", scores, attn_mask)
    weights = b.emit(f"{name}/softmax", "softmax", [scores], dim=scores.rank - 1)
    return b.emit(name, "matmul", [weights, v])


def _heads(b: Builder, name: str, x: Node, heads: int) -> Node:
    """Each head for several queries'."""
    places = torch.arange(x.shape[-3]).repeat_interleave(heads // x.shape[-3])
    return b.emit(name, "gather", [x], {"indices": places}, dim=x.rank - 3)


def masked(b: Builder, name: str, scores: Node, mask: Any) -> Node:
    """Scores with a mask: of numbers that are added, or of truth values, where False is minus infinity."""
    if mask is None:
        return scores
    if isinstance(mask, Tensor):
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape, dtype=scores.dtype).masked_fill(~mask, -math.inf)
        return b.emit(name, "add", [scores], {"other": mask.to(scores.dtype)})
    if mask.dtype != torch.bool:
        return b.emit(name, "add", [scores, mask])
    return b.emit(name, "where", [mask, scores, b.number(f"{name}/never", -math.inf, scores)])


_MHA = [
    "query",
    "key",
    "value",
    "embed_dim_to_check",
    "num_heads",
    "in_proj_weight",
    "in_proj_bias",
    "bias_k",
    "bias_v",
    "add_zero_attn",
    "dropout_p",
    "out_proj_weight",
    "out_proj_bias",
    "training",
    "key_padding_mask",
    "need_weights",
    "attn_mask",
    "use_separate_proj_weight",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
    "static_k",
    "static_v",
    "average_attn_weights",
    "is_causal",
]


def multi_head_attention_forward(b: Builder, name: str, *args: Any, **kwargs: Any) -> Any:
    """torch.nn.MultiheadAttention on (length, batch, channels) or (length, channels)."""
    given: dict[str, Any] = dict(zip(_MHA, args, strict=False)) | kwargs
    if given.get("static_k") is not None or given.get("static_v") is not None:
        return NotImplemented
    like = next(x for x in (given["query"], given["key"], given["value"]) if isinstance(x, Node))
    x = [b.operand(f"{name}/{part}", given[part], like) for part in ("query", "key", "value")]
    alone = x[0].rank == 2
    if alone:
        x = [shaped(b, f"{name}/batch", one, (one.shape[0], 1, one.shape[1])) for one in x]
    (length, count, channels), heads = x[0].shape, int(given["num_heads"])
    more = [_rows_more(given, part, count) for part in "qkv"]
    q, k, v = (
        _by_head(b, f"{name}/{part}", _and_rows(b, name, linear(b, f"{name}/{part}_proj", one, *own), rows), heads)
        for part, one, own, rows in zip("qkv", x, _projections(given), more, strict=True)
    )
    q = b.emit(f"{name}/scaled", "mul", [q], other=1 / math.sqrt(channels // heads))
    scores = b.emit(f"{name}/scores", "matmul", [q, transpose(b, f"{name}/columns", k, -2, -1)])
    for part, of_keys, mask in (
        ("masked", False, given.get("attn_mask")),
        ("padded", True, given.get("key_padding_mask")),
    ):
        seen = _seen(b, f"{name}/{part}/mask", mask, scores, len(more[1]), of_keys)
        scores = masked(b, f"{name}/{part}", scores, seen)
    weights = b.emit(f"{name}/softmax", "softmax", [scores], dim=3)
    y = b.emit(f"{name}/heads", "matmul", [weights, v])  # (batch, heads, length, channels of a head)
    y = b.emit(f"{name}/order", "permute", [y], dims=(2, 0, 1, 3))
    y = shaped(b, f"{name}/joined", y, (length, count, channels))
    y = linear(b, f"{name}/out_proj", y, given["out_proj_weight"], given["out_proj_bias"])
    y = shaped(b, f"{name}/alone", y, (length, channels)) if alone else y
    if not given.get("need_weights", True):
        return y, None
    if given.get("average_attn_weights", True):
        weights = b.emit(f"{name}/weights", "mean", [weights], dims=(1,), keepdim=False)
    return y, shaped(b, f"{name}/weights_alone", weights, weights.shape[1:]) if alone else weights


def _rows_more(given: dict[str, Any], part: str, count: int) -> list[Tensor]:
    """What stands behind the projected keys and values: a row that is learned, a row of zeros; (1, batch, channels)."""
    own = given.get(f"bias_{part}") if part != "q" else None
    rows = [] if own is None else [own.detach().expand(1, count, -1).contiguous()]
    if part != "q" and given.get("add_zero_attn"):
        rows.append(torch.zeros(1, count, int(given["embed_dim_to_check"]), dtype=given["out_proj_weight"].dtype))
    return rows


def _and_rows(b: Builder, name: str, x: Node, rows: list[Tensor]) -> Node:
    own = [b.constant(f"{name}/row", row) for row in rows]
    return b.emit(f"{name}/rows", "cat", [x, *own], dim=0) if own else x


def _projections(given: dict[str, Any]) -> list[tuple[Any, Any]]:
    bias = given.get("in_proj_bias")
    biases = [None] * 3 if bias is None else list(bias.detach().chunk(3))
    if given.get("use_separate_proj_weight"):
        weights = [given[f"{part}_proj_weight"] for part in "qkv"]
    else:
        weights = list(given["in_proj_weight"].detach().chunk(3))
    return list(zip(weights, biases, strict=True))


def _by_head(b: Builder, name: str, x: Node, heads: int) -> Node:
    """(length, batch, channels) as (batch, heads, length, channels of a head)."""
    length, count, channels = x.shape
    x = shaped(b, f"{name}/heads", x, (length, count, heads, channels // heads))
    return b.emit(name, "permute", [x], dims=(1, 2, 0, 3))


def _seen(b: Builder, name: str, mask: Any, scores: Node, more: int, of_keys: bool) -> Any:
    """A mask for scores (batch, heads, length, length), of one that says what must not be seen, as torch has it here.

    The `more` rows behind the keys are seen by all.
    """
    if isinstance(mask, Tensor):
        mask = F.pad(~mask, (0, more), value=True) if mask.dtype == torch.bool else F.pad(mask, (0, more))
    elif isinstance(mask, Node):
        if mask.dtype == torch.bool:
            ends = (
                b.number(f"{name}/{what}", value, scores) for what, value in (("never", -math.inf), ("always", 0.0))
            )
            mask = b.emit(f"{name}/added", "where", [mask, *ends])
        mask = pad(b, f"{name}/more", mask, (0, more)) if more else mask
    count, heads = scores.shape[:2]
    if mask is None or not (of_keys or len(mask.shape) == 3):
        return mask
    shape = (count, 1, 1, mask.shape[-1]) if of_keys else (count, heads, *mask.shape[1:])
    return shaped(b, f"{name}/axes", mask, shape) if isinstance(mask, Node) else mask.reshape(shape)


def left_aligned(b: Builder, name: str, *args: Any) -> Any:
    """What nn.TransformerEncoder asks of a padding mask, to leave the padding out where it is behind all else."""
    raise UsageError(
        at(scope.line(), "nn.TransformerEncoder leaves out what src_key_padding_mask says, by its values"),
        "make it with enable_nested_tensor=False: it then computes the padding, too",
    )


def bilinear(b: Builder, name: str, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    y = einsum(b, name if bias is None else f"{name}/product", "...i,oij,...j->...o", input1, weight, input2)
    return y if bias is None else pair(b, name, "add", y, bias)
