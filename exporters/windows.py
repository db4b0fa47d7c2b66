"""Adaptive average pooling as a product: its windows need not be of one size, and then no format has an operator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def means(sizes: Sequence[int], wanted: Sequence[int]) -> Tensor:
    """What turns a flattened map of `sizes` into the flattened means of its windows: (prod(wanted), prod(sizes)).

    The i-th of n windows over a side goes from floor(i * side / n) to ceil((i + 1) * side / n), as torch's do.
    """
    matrix = torch.ones(1, 1)
    for size, count in zip(sizes, wanted, strict=True):
        rows = torch.zeros(count, size)
        for i in range(count):
            start, stop = i * size // count, -(-(i + 1) * size // count)
            rows[i, start:stop] = 1 / (stop - start)
        matrix = torch.kron(matrix, rows)
    return matrix
