"""Weights whose products onnxruntime's x86 kernels can add two by two without leaving 16 bits.

Without VNNI these kernels multiply unsigned activations by signed weights with `vpmaddubsw`, which adds two
neighboring products in 16 bits and saturates: 255 * (127 + 127) is beyond 32767. Two integers whose sum stays within
LIMIT cannot get there, whatever the activations are. docs/int8.md names the kernels, and which processors have them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit.ir.graph import Op

LIMIT = 128  # 255 * 128 is the last multiple of 255 below 2^15
_ROWS = 256  # channels at a time: a large linear layer needs no second copy of itself


def adds_in_pairs(op: Op, weight: Tensor) -> bool:
    """Whether the kernels add products of this layer in pairs.

    Depthwise convolutions (one channel in and out of each group) have kernels that widen first.
    """
    depthwise = weight.shape[1] == 1 and op.attrs.get("groups") == weight.shape[0]
    return op.kind in ("conv", "linear") and not depthwise


def in_kernel_order(weight: Tensor) -> Tensor:
    """A weight (outputs, inputs, *kernel) as rows (outputs, sums) in the order of the kernels' sums: inputs last."""
    return weight.flatten(2).transpose(1, 2).flatten(1) if weight.dim() > 2 else weight


def from_kernel_order(rows: Tensor, shape: torch.Size) -> Tensor:
    """Return the inverse of `in_kernel_order` for a weight of this shape."""
    if len(shape) == 2:
        return rows
    return rows.reshape(shape[0], -1, shape[1]).transpose(1, 2).reshape(shape)


def fitted(rows: Tensor) -> Tensor:
    """Integers (outputs, sums) of at most 127, each pair whose sum is beyond LIMIT brought back: each gives half.

    The larger gives the odd one. Half of what is over is never more than the smaller has.
    """
    pairs, found = rows.shape[1] // 2, rows.clone()
    for start in range(0, len(rows), _ROWS):
        block = found[start : start + _ROWS, : 2 * pairs]
        one, other = block[:, ::2].float(), block[:, 1::2].float()
        total = one + other
        over = (total.abs() - LIMIT).clamp_(min=0)
        if bool(over.any()):
            less = (over * 0.5).floor_()  # integers have no fast division
            of_one, sign = torch.where(one.abs() >= other.abs(), over - less, less), total.sign()
            block[:, ::2] -= (sign * of_one).to(rows.dtype)
            block[:, 1::2] -= (sign * (over - of_one)).to(rows.dtype)
    return found
