"""Determinants and inverses of small matrices, from products of their elements."""

from __future__ import annotations

from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.attention import matmul
from edgekit.frontend.operators.compositions import cross
from edgekit.frontend.operators.moving import diagonal, flip, select, shaped, stack, turned

MOST = 3  # rows: above that the products lose too many digits


def _is_small(x: Any) -> bool:
    return isinstance(x, Node) and x.rank >= 2 and x.shape[-1] == x.shape[-2] <= MOST


def _rows(b: Builder, name: str, x: Node) -> list[Node]:
    return [select(b, f"{name}/row{index}", x, -2, index) for index in range(x.shape[-2])]


def determinant(b: Builder, name: str, A: Any) -> Any:
    """a; ad - bc; of three rows the product of one with the cross product of the others."""
    if not _is_small(A):
        return NotImplemented
    if A.shape[-1] == 1:
        return shaped(b, name, A, A.shape[:-2])
    if A.shape[-1] == 2:
        main, other = (diagonal(b, f"{name}/diagonal", x, 0, -2, -1) for x in (A, flip(b, f"{name}/flip", A, -1)))
        one, two = (b.emit(f"{name}/product", "prod", [x], dims=(x.rank - 1,), keepdim=False) for x in (main, other))
        return b.emit(name, "sub", [one, two])
    first, second, third = _rows(b, name, A)
    product = b.emit(f"{name}/product", "mul", [first, cross(b, f"{name}/cross", second, third, -1)])
    return b.emit(name, "sum", [product], dims=(product.rank - 1,), keepdim=False)


def inverse(b: Builder, name: str, A: Any) -> Any:
    """The matrix of cofactors, turned and divided by the determinant."""
    if not _is_small(A):
        return NotImplemented
    size = shaped(b, f"{name}/size", determinant(b, f"{name}/det", A), (*A.shape[:-2], 1, 1))
    if A.shape[-1] == 1:
        return b.emit(name, "reciprocal", [size])
    if A.shape[-1] == 2:
        swapped = turned(b, f"{name}/turn", flip(b, f"{name}/flip", A, -2, -1))
        signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=A.dtype)
        cofactors = b.emit(f"{name}/cofactors", "mul", [swapped], {"other": signs})
    else:
        rows = _rows(b, name, A)
        pairs = (cross(b, f"{name}/cross", rows[(at + 1) % 3], rows[(at + 2) % 3], -1) for at in range(3))
        cofactors = stack(b, f"{name}/cofactors", list(pairs), -1)
    return b.emit(name, "div", [cofactors, size])


def solve(b: Builder, name: str, A: Any, B: Any, *, left: bool = True) -> Any:
    """The inverse times B, which may be a vector, or a batch of them."""
    if not _is_small(A) or not left:
        return NotImplemented
    is_vector = len(B.shape) == 1 or (len(B.shape) == A.rank - 1 and tuple(B.shape) == A.shape[:-1])
    right = b.operand(f"{name}/right", B, A)
    right = shaped(b, f"{name}/column", right, (*right.shape, 1)) if is_vector else right
    y = matmul(b, f"{name}/product", inverse(b, f"{name}/inverse", A), right)
    return shaped(b, name, y, y.shape[:-1]) if is_vector else y


def trace(b: Builder, name: str, input: Node) -> Node:
    """The sum of a matrix's diagonal."""
    places = diagonal(b, f"{name}/diagonal", input)
    return b.emit(name, "sum", [places], dims=(0,), keepdim=False)


def power(b: Builder, name: str, input: Node, n: int) -> Any:
    """A matrix times itself, by squares."""
    if n < 1:
        return NotImplemented
    found, square = None, input
    while n:
        if n & 1:
            found = square if found is None else b.emit(f"{name}/product", "matmul", [found, square])
        n >>= 1
        square = b.emit(f"{name}/square", "matmul", [square, square]) if n else square
    return found
