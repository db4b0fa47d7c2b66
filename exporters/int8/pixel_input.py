"""Camera pixels as the input's integers: int8 is pixel - 128, and what that lacks goes into the first biases.

A network that was trained on x = (pixel - 127.5) / 127.5 has no zero point that is a whole number. So the grid stands
for x less half a step, and half a step times the sum of its weights is added to the bias of each output channel of the
first layers: exact wherever the kernel meets pixels only. Where it meets padding, zeros stand for pixel 128 in place of
127.5, half a step beside, which is the smallest error that 8-bit padding can make. A mean that is further from a whole
number of its own (or means that differ by channel) is folded where nothing is padded, and not elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QParams
from edgekit.records.preprocessing import Preprocessing

HALF_STEP = 0.5001  # of a pixel


@dataclass(frozen=True)
class PixelEntry:
    """int8 = pixel - 128 on `grid`; the network's input is what the grid stands for, plus `offset` (channels,)."""

    grid: QParams
    offset: Tensor


def pixel_entry(graph: Graph, in_float: Collection[str], preprocessing: Preprocessing) -> PixelEntry | None:
    """Return how pixels enter a network as they are; None where its first layers cannot take up what is missing.

    They can where each is a convolution or linear layer in integers, one scale serves all channels, and padding, where
    there is some, stays within half a pixel of zero.
    """
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    if len(graph.inputs) > 1 or not graph.input.dtype.is_floating_point:
        return None
    readers = graph.consumers[graph.input.name]
    if len(graph.input.shape) != 4 or graph.input.shape[1] != len(mean) or np.ptp(std) > 0:
        return None
    if any(op.kind != "conv" or op.name in in_float for op in readers) or graph.is_output(graph.input.name):
        return None
    zero_point = int(np.clip(np.floor((mean.min() + mean.max()) / 2 + HALF_STEP) - 128, -128, 127))
    missing = zero_point + 128 - mean
    padded = any(amount for op in readers for pair in op.attrs["padding"] for amount in pair)
    if padded and np.abs(missing).max() > HALF_STEP:
        return None
    return PixelEntry(QParams(1 / float(std[0]), zero_point), torch.tensor(missing / std, dtype=torch.float32))


def response(op: Op, weight: Tensor, offset: Tensor) -> Tensor:
    """Return what a convolution answers to a constant input, (outputs,): `offset` is (channels,); nothing is padded."""
    per_channel = weight.flatten(2).sum(2)  # (outputs, channels of a group)
    constant = offset.reshape(op.attrs["groups"], 1, -1)
    return (per_channel.reshape(len(constant), -1, per_channel.shape[1]) * constant).sum(2).reshape(-1)
