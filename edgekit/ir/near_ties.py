"""Elements of the outputs that rounding decides: where a network chooses among values that nearly tie.

Two right programs add the same numbers in another order, and may choose otherwise there: another place of a map,
another row of a list, with all that follows from it. So such elements say nothing about a file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.ir.graph import Graph, Op

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Of a layer's largest value, as deviation: some times what two right programs are apart behind a sum. And of an
# output's largest value: what only passes the noise on stays below.
NOISE = {"fp32": (3e-6, 1e-4), "fp16": (5e-4, 5e-2)}
DRAWS = 8  # a tie within the noise falls otherwise in about every second draw
MOST = 0.5  # of an output's elements: a proof needs the others
_SUMS = frozenset({"conv", "conv_transpose", "linear", "matmul"})
_CHOICES = frozenset(
    {
        *("topk_indices", "argmax", "argmin", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        *("floor", "ceil", "round", "sign", "floor_div"),
    }
)


def chooses(graph: Graph) -> bool:
    """Return whether a network chooses among values, or rounds them: without that, rounding decides nothing."""
    return any(op.kind in _CHOICES for op in graph)


def undecided(graph: Graph, inputs: Sequence[Array], outputs: Sequence[Array], precision: str) -> tuple[Mask, ...]:
    """Return a mask of each output's elements that rounding moves in a precision, of a network that chooses.

    `inputs` has (n, *shape of one) for each input, `outputs` what the graph answers to them.
    """
    random, (noise, moved) = torch.Generator().manual_seed(0), NOISE[precision]

    def rounded(op: Op, y: Tensor) -> Tensor | None:
        if op.kind not in _SUMS or not y.is_floating_point() or not y.numel():
            return None
        return y + torch.randn(y.shape, generator=random) * (noise * float(y.abs().max()))

    masks: tuple[Mask, ...] = tuple(np.zeros(one.shape, np.bool_) for one in outputs)
    for _ in range(DRAWS):
        for index in range(len(inputs[0])):
            found = graph.run(*(torch.from_numpy(x[index : index + 1]) for x in inputs), observe=rounded)
            for mask, y, want in zip(masks, found if isinstance(found, tuple) else (found,), outputs, strict=True):
                apart = np.abs(y.float().numpy()[0] - want[index])
                mask[index] |= apart > moved * float(np.abs(want).max())
    return masks


def settled(got: Sequence[Array], want: Sequence[Array], masks: Sequence[Mask]) -> tuple[list[Array], float] | None:
    """Return what a file gave with the wanted values where rounding decides, and the largest share of such elements.

    None where there are none, where too much is left open, or where a shape is another.
    """
    share = max((float(mask.mean()) for mask in masks), default=0.0)
    if not 0.0 < share <= MOST or any(y.shape != one.shape for y, one in zip(got, want, strict=True)):
        return None
    return [np.where(mask, one, y) for y, one, mask in zip(got, want, masks, strict=True)], share
