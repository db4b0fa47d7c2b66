"""Where torch's axes lie in the stored tensor, and what a change of shape does to them. Pure arithmetic on tuples.

A layout lists torch's axes in the order in which they are stored: (0, 2, 3, 1) is NHWC. None is an axis of size 1 that
torch's tensor does not have: a 1-D convolution reads (0, None, 2, 1). A permutation then moves nothing, a TRANSPOSE is
written only where an operator or the caller needs another order, and splitting channels into groups stays a RESHAPE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Shape = tuple[int, ...]
Layout = tuple[int | None, ...]


def channels_last(rank: int) -> Layout:
    """Return how convolutions read maps of `rank` axes: NWC, NHWC, NDHWC; other ranks are as in torch."""
    return (0, *range(2, rank), 1) if 3 <= rank <= 5 else tuple(range(rank))


def spatial(rank: int) -> Layout:
    """Return what two-dimensional operators read: NHWC, with a height of 1 for (N, C, L)."""
    return (0, None, 2, 1) if rank == 3 else channels_last(rank)


def border(rank: int, torchs_axes: bool = False) -> Layout:
    """Return how inputs and outputs are stored: maps and volumes channels-last unless torch's axes are asked for."""
    return channels_last(rank) if rank in (4, 5) and not torchs_axes else tuple(range(rank))


def layout_name(rank: int, torchs_axes: bool = False) -> str:
    """Return the letters of border(rank)."""
    maps = {4: "NCHW", 5: "NCDHW"} if torchs_axes else {4: "NHWC", 5: "NDHWC"}
    return ({0: "", 1: "N", 2: "NC", 3: "NCL"} | maps).get(rank, "as in torch")


def stored_shape(shape: Shape, layout: Layout) -> Shape:
    """Return the sizes of the stored axes."""
    return tuple(1 if axis is None else shape[axis] for axis in layout)


def order(shape: Shape, layout: Layout) -> Shape:
    """Return the axes that decide where an element lies. The batch always counts: it may be 1 only here."""
    return tuple(axis for axis in layout if axis is not None and (axis == 0 or shape[axis] != 1))


def merged_broadcast(shapes: list[Shape], out: Shape) -> list[Shape]:
    """Operands of one broadcast operation, all of out's rank, with as few axes as say the same; then `out` itself."""
    groups: list[tuple[tuple[bool, ...] | None, list[int]]] = []
    for axis, size in enumerate(out):
        pattern = None if size == 1 else tuple(shape[axis] == size for shape in shapes)
        if groups and (pattern is None or groups[-1][0] in (None, pattern)):
            groups[-1] = (groups[-1][0] or pattern, [*groups[-1][1], axis])
        else:
            groups.append((pattern, [axis]))
    return [tuple(math.prod(shape[axis] for axis in axes) for _, axes in groups) for shape in (*shapes, out)]


@dataclass(frozen=True)
class Reshaping:
    """What a reshape needs and gives: the input's elements in the order of its axes `target`, the output's layout."""

    stored: Shape  # the input's axes as they lie
    target: Shape  # as they must lie
    layout: Layout  # of the output

    @property
    def direct(self) -> bool:
        """Whether the elements already lie so."""
        return self.stored == self.target


def reshaping(before: Shape, after: Shape, layout: Layout) -> Reshaping:
    """Return the way from `before`, stored in `layout`, to `after` that moves the fewest elements."""
    everything = order(before, layout)
    pairs = sorted(_matching(before, after), key=lambda pair: min(map(everything.index, pair[0])))
    target = tuple(axis for left, _ in pairs for axis in left)
    stored = tuple(axis for axis in everything if axis in target)
    lying = tuple(axis for _, right in pairs for axis in right)
    rank = len(after)
    units = tuple(axis for axis in range(rank) if axis not in lying)
    fallback = (*lying[:1], *units, *lying[1:])
    choices: tuple[Layout, ...] = (channels_last(rank), tuple(range(rank)), fallback)
    fitting = next(choice for choice in choices if tuple(axis for axis in choice if axis in lying) == lying)
    return Reshaping(stored, target, fitting)


def _matching(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes of both shapes that have the same number of elements; axes of size 1 left out."""
    pairs: list[tuple[list[int], list[int]]] = []
    i = j = int(bool(before and after) and before[0] == after[0])
    while i < len(before) and j < len(after):
        left, right, have, want = [i], [j], before[i], after[j]
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                have *= before[i]
                left.append(i)
                i += 1
            else:
                want *= after[j]
                right.append(j)
                j += 1
        pairs.append(([a for a in left if before[a] != 1], [a for a in right if after[a] != 1]))
    kept = [pair for pair in pairs if pair[0]]
    return [([0], [0]), *kept] if before and after and before[0] == after[0] else kept
