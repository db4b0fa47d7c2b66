"""Padding as numbers, which files say by rule or by number, and in torch's order."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

Pairs = tuple[tuple[int, int], ...]


def same(size: int, k: int, s: int, d: int = 1, upper: bool = True) -> tuple[int, int]:
    """Return (low, high) that give every stride a window; an odd element lies at the end (`upper`) or the beginning."""
    total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def padded(x: Tensor, pairs: Pairs) -> tuple[Tensor, tuple[int, ...]]:
    """Return what a convolution is given, and the padding that it does itself: torch's is alike at both ends."""
    if all(low == high for low, high in pairs):
        return x, tuple(low for low, _ in pairs)
    return F.pad(x, flat(pairs)), (0,) * len(pairs)


def flat(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return (low, high) of each axis as torch's F.pad has them: the last axis first."""
    return [amount for pair in reversed(pairs) for amount in pair]
