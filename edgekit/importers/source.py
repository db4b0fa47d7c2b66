"""What a reader of files gives: the network, and what stands in the file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.frontend.imported import Imported
from edgekit.records.manifest import SourceRecord
from edgekit.records.preprocessing import Preprocessing

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A file that was looked into. `build` reads its weights, and gives the network in float32.

    `shapes` has the shape of each input, batch first. `precision` is what the file computes in: fp32, fp16 or int8.
    `ranges` maps a layer to the (low, high) that the file's own integers span there; empty for a file of real numbers.
    """

    path: Path
    shapes: Mapping[str, Shape]
    build: Callable[[], Imported]
    record: SourceRecord
    precision: str = "fp32"
    preprocessing: Preprocessing | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
