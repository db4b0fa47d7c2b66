"""Padding in TensorFlow's words, which TFLite has taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Padding:
    """TensorFlow's word for it, and the pairs that must be padded explicitly before (empty where none)."""

    word: str  # SAME or VALID
    explicit: tuple[tuple[int, int], ...] = ()


def padding_of(
    sizes: Sequence[int],
    outputs: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    given: Sequence[tuple[int, int]],
) -> Padding:
    """The word for the `given` (low, high) pairs: SAME as TensorFlow pads, VALID without any, else PAD before VALID.

    High padding that no window reaches is dropped first (a stride of 2 on an even size never reads it).
    """
    pairs, same = [], []
    for size, out, k, s, d, (low, high) in zip(sizes, outputs, kernel, stride, dilation, given, strict=True):
        reach = d * (k - 1) + 1
        pairs.append((low, min(high, max((out - 1) * s + reach - size - low, 0))))
        total = max((-(-size // s) - 1) * s + reach - size, 0)
        same.append((total // 2, total - total // 2))
    if all(pair == (0, 0) for pair in pairs):
        return Padding("VALID")
    if pairs == same:
        return Padding("SAME")
    return Padding("VALID", tuple(pairs))
