"""The JSON files that trtexec exports: the times of each query, the times of each layer, the layers of an engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.errors import UsageError
from edgekit.util.numerals import LARGEST

LARGEST_MS = LARGEST / 1e6  # so that nanoseconds are no more than LARGEST


@dataclass(frozen=True)
class Times:
    """What --exportTimes says of each query, in order, in nanoseconds."""

    compute_ns: tuple[int, ...]
    latency_ns: tuple[int, ...]  # with the copies to and from the GPU, where they were made
    enqueue_ns: tuple[int, ...]


def parse_times(text: str) -> Times:
    """Return the samples of --exportTimes. Raises UsageError for anything that is no such file, or holds no query."""
    rows = _json(text, "exportTimes")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError("this is no --exportTimes file: it is no list of queries", "measure again")
    return Times(
        tuple(_ns(row, "computeMs") for row in rows),
        tuple(_ns(row, "latencyMs") for row in rows),
        tuple(_ns(row, "endEnqMs") - _ns(row, "startEnqMs") for row in rows),
    )


def parse_profile(text: str) -> tuple[int, tuple[Mapping[str, Any], ...]]:
    """Return how often --exportProfile ran the network, and its layers. Raises UsageError for anything else."""
    rows = _json(text, "exportProfile")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError("this is no --exportProfile file", "measure again")
    count = rows[0].get("count")
    names = {"timeMs": "total_ms", "averageMs": "average_ms", "medianMs": "median_ms", "percentage": "percent"}
    if isinstance(count, bool) or not isinstance(count, int) or abs(count) > LARGEST:
        raise UsageError("this --exportProfile file does not say how often it ran", "measure again")
    layers = [
        {"name": str(row["name"]), **{ours: _float(row.get(theirs)) for theirs, ours in names.items()}}
        for row in rows[1:]
        if "name" in row
    ]
    return count, tuple(layers)


def parse_layers(text: str) -> dict[str, int]:
    """Return how many layers of each kind --exportLayerInfo lists. Raises UsageError for anything else."""
    found = _json(text, "exportLayerInfo")
    layers = found.get("Layers") if isinstance(found, dict) else None
    if not isinstance(layers, list):
        raise UsageError("this is no --exportLayerInfo file", "build again")
    counts: dict[str, int] = {}
    for layer in layers:  # names alone, where the engine was not built with --profilingVerbosity=detailed
        kind = str(layer.get("LayerType", "unnamed")) if isinstance(layer, dict) else "unnamed"
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the --{what} file is cut or broken: {error}", "run trtexec again") from error


def _ns(row: Mapping[str, Any], key: str) -> int:
    value = _float(row.get(key))
    if value is None:
        raise UsageError(f"a query of the --exportTimes file has no {key}", "measure again")
    return round(value * 1e6)


def _float(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= LARGEST_MS else None  # not a number is not, either
