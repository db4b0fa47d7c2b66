"""What a runtime tells of an input or output."""

from __future__ import annotations

from typing import NamedTuple


class Tensor(NamedTuple):
    """An input or output, as a caller sees it; -1 for a free batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]
