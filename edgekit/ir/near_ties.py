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
from edgekit.ir.kernels import OutsideTable
from edgekit.ir.reference import LAYERS
from edgekit.ir.whole_inputs import whole_numbers

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Of a layer's largest value, as deviation: some times what two right programs are apart behind a sum. And of an
# output's largest value: what only passes the noise on stays below.
NOISE = {"fp32": (3e-6, 1e-4), "fp16": (5e-4, 5e-2)}
AMPLIFIED = 1e-2  # of an output's largest value: below, noise of rounding's own size, 30 times less, fails no file
DRAWS = 8  # a tie within the noise falls otherwise in about every second draw
MOST = 0.5  # of an output's elements: a proof needs the others
_PLACES = frozenset({"topk_indices", "argmax", "argmin"})
_SUMS = LAYERS | {"matmul"}
_CHOICES = frozenset(
    {
        *_PLACES,
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        *("floor", "ceil", "round", "sign", "floor_div"),
    }
)


def chooses(graph: Graph) -> bool:
    """Return whether a network chooses among values, or rounds them: without that, rounding decides nothing."""
    return any(map(is_choice, graph))


def is_choice(op: Op) -> bool:
    """Return whether an operator chooses among values, or rounds them."""
    return op.kind in _CHOICES


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
            try:
                found = graph.run(*(torch.from_numpy(x[index : index + 1]) for x in inputs), observe=rounded)
            except OutsideTable:
                for mask in masks:
                    mask[index] = True
                continue
            for mask, y, want in zip(masks, found if isinstance(found, tuple) else (found,), outputs, strict=True):
                apart = np.abs(y.float().numpy()[0] - want[index])
                mask[index] |= apart > moved * float(np.abs(want).max())
    return masks


def amplifies(graph: Graph, inputs: Sequence[Array], outputs: Sequence[Array]) -> bool:
    """Return whether a network makes noise as small as float32's rounding in its first example large in an output.

    `inputs` and `outputs` are those of `undecided`.
    """
    random, (noise, _) = np.random.default_rng(0), NOISE["fp32"]
    whole = whole_numbers(graph)

    def noisy(name: str, x: Array) -> Array:
        if name in whole:
            return x
        return np.asarray(x + noise * np.abs(x).max(initial=0.0) * random.standard_normal(x.shape), x.dtype)

    given = zip(graph.inputs, inputs, strict=True)
    try:
        found = graph.run(*(torch.from_numpy(noisy(op.name, x[:1])) for op, x in given))
    except OutsideTable:
        return True
    pairs = zip(found if isinstance(found, tuple) else (found,), outputs, strict=True)
    return any(
        bool((np.abs(y.float().numpy() - want[:1]) > AMPLIFIED * np.abs(want[:1]).max()).any()) for y, want in pairs
    )


def settled(got: Sequence[Array], want: Sequence[Array], masks: Sequence[Mask]) -> tuple[list[Array], float] | None:
    """Return what a file gave with the wanted values where rounding decides, and the largest share of such elements.

    None where there are none, where too much is left open, or where a shape is another.
    """
    share = max((float(mask.mean()) for mask in masks), default=0.0)
    if not 0.0 < share <= MOST or any(y.shape != one.shape for y, one in zip(got, want, strict=True)):
        return None
    return [np.where(mask, one, y) for y, one, mask in zip(got, want, masks, strict=True)], share


def chosen_otherwise(op: Op, x: Tensor, want: Tensor, got: Tensor, tie: float) -> Tensor:
    """Return where an operator gives other whole numbers or truth values than wanted, and no other place of a tie.

    `x` is what it reads. Values that are at most `tie` apart tie, and each of their places is right.
    """
    wrong = want != got
    if op.kind not in _PLACES:
        return wrong
    dim = op.attrs["dim"]
    last = x.shape[dim] - 1
    drops = op.kind != "topk_indices" and not op.attrs.get("keepdim", False)
    places = [one.unsqueeze(dim) if drops else one for one in (want, got)]
    apart = torch.sub(*(x.gather(dim, one.clamp(0, last)).double() for one in places)).abs()
    tied = (apart.squeeze(dim) if drops else apart) <= tie
    return wrong.logical_and(~(tied & (got >= 0) & (got <= last)))
