"""Tensors of which a TFLite file has only some elements: the others are 0.

Sources: SparsityParameters of the schema. Axes are gone through one after the other, in an order that the file says.
An axis is dense, with all of its places, or has only some, as the columns of a CSR matrix have. Blocks are axes, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Places = NDArray[np.int64]
_VECTORS = {1: schema.Int32Vector, 2: schema.Uint16Vector, 3: schema.Uint8Vector}
_MOST_LEVELS = 16


@dataclass(frozen=True)
class Level:
    """An axis on the way: `size` places, or those between `segments` of `indices` where these are not None."""

    size: int
    segments: Places | None = None
    indices: Places | None = None


@dataclass(frozen=True)
class Sparsity:
    """How the elements lie. `order` has an axis of the tensor for each level, or above those a block."""

    order: tuple[int, ...]
    blocks: tuple[int, ...]  # the axis that each block belongs to
    levels: tuple[Level, ...]

    def dense(self, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the whole tensor. Raises ValueError for elements that lie outside of it, or of another number."""
        places = self._places(math.prod(shape))
        if any(len(one) != len(values) for one in places):
            raise ValueError(f"{len(values)} elements for {len(places[0])} places")
        found = [places[self.order.index(axis)] for axis in range(len(shape))]
        for block, axis in enumerate(self.blocks):
            level = self.order.index(len(shape) + block)
            found[axis] = found[axis] * self.levels[level].size + places[level]
        if any(len(one) and not 0 <= one.min() <= one.max() < size for one, size in zip(found, shape, strict=True)):
            raise ValueError("an element outside of its tensor")
        whole = np.zeros(shape, values.dtype)
        whole[tuple(found)] = values
        return whole

    def _places(self, most: int) -> list[Places]:
        """For each level the place of each element on it."""
        found, count = list[Places](), 1
        for level in self.levels:
            if level.segments is None or level.indices is None:
                if count * level.size > most:
                    raise ValueError(f"more than {most} elements")
                lengths, new = np.full(count, level.size), np.tile(np.arange(level.size), count)
            else:
                lengths, new = np.diff(level.segments), level.indices
                if len(lengths) != count or (lengths < 0).any() or lengths.sum() != len(new) or level.segments[0]:
                    raise ValueError("segments of other indices")
            count = len(new)
            found = [np.repeat(one, lengths) for one in found] + [new]
        return found


def sparsity(raw: Any, rank: int) -> Sparsity | None:
    """Return how the elements of a tensor lie; None where it has all. Raises ValueError for what makes no tensor."""
    found = raw.Sparsity()
    if found is None:
        return None
    order = tuple(int(found.TraversalOrder(at)) for at in range(min(found.TraversalOrderLength(), _MOST_LEVELS)))
    blocks = tuple(int(found.BlockMap(at)) for at in range(min(found.BlockMapLength(), _MOST_LEVELS)))
    levels = tuple(_level(found.DimMetadata(at)) for at in range(min(found.DimMetadataLength(), _MOST_LEVELS)))
    whole = sorted(order) == list(range(rank + len(blocks))) and len(levels) == len(order)
    if not whole or any(not 0 <= axis < rank for axis in blocks) or any(level.size < 0 for level in levels):
        raise ValueError("a sparse tensor whose axes are not its own")
    return Sparsity(order, blocks, levels)


def _level(raw: Any) -> Level:
    if raw.Format() == schema.DimensionType.DENSE:
        return Level(int(raw.DenseSize()))
    segments = _vector(raw.ArraySegments(), raw.ArraySegmentsType())
    return Level(0, segments, _vector(raw.ArrayIndices(), raw.ArrayIndicesType()))


def _vector(table: Any, kind: int) -> Places:
    vector = _VECTORS[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.array(vector.ValuesAsNumpy(), np.int64).reshape(-1)
