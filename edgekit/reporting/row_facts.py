"""What a row of a report is derived from: the quantiles of raw samples, and the provenance of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.records.manifest import Manifest
from edgekit.records.measurement import Accuracy, Measurement, ProcessRun
from edgekit.stats.latency import samples_of
from edgekit.stats.medians import NS_PER_MS

QUANTILES = (0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 1.0)
MISTAKES = 5  # of each kind that a report tells of an accuracy


def quantiles(runs: Sequence[ProcessRun]) -> tuple[float, ...] | None:
    """The empirical `QUANTILES` of all samples in milliseconds: what was seen, for a picture; None without samples."""
    series = samples_of(runs)
    if not series:
        return None
    samples = np.sort(np.concatenate(series))
    places = np.asarray(QUANTILES) * (samples.size - 1)
    return tuple(np.round(np.interp(places, np.arange(samples.size), samples) / NS_PER_MS, 6).tolist())


def provenance(measured: Measurement | None, evaluated: Accuracy | None) -> dict[str, dict[str, Any]]:
    """Return where every number of a row comes from: section -> what -> value."""
    record = measured or evaluated
    assert record is not None
    sections: dict[str, dict[str, Any]] = {
        "File": {"name": record.artifact, "sha256": record.sha256, "format": record.format}
    }
    if record.manifest:
        sections |= _made(record.manifest)
    if measured:
        sections |= _measured(measured)
    if evaluated:
        sections["Evaluated"] = _evaluated(evaluated)
    return sections


def _made(known: Manifest) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {
        "Exported": {
            "created": known.created,
            "edgekit": known.edgekit,
            "tools": known.tool_versions,
            "seconds": known.seconds,
            "batch norms left": list(known.remaining_batch_norms),
            "notes": list(known.notes),
        }
        | known.details,
        "Operators": dict(known.operators),
        "Weights": known.weights.model_dump(),
        "Preprocessing": known.preprocessing.model_dump(),
        "Parity": known.parity.model_dump(),
    }
    if known.calibration:
        pixels = {"pixels": True}  # one hash for each image: the set's own hash stands for them
        sections["Calibration"] = known.calibration.model_dump(exclude=pixels)
    return sections


def _measured(record: Measurement) -> dict[str, dict[str, Any]]:
    return {
        "Measured": {
            "id": record.id,
            "created": record.created,
            "device": record.device,
            "runtime": record.runtime,
            "verdict": record.verdict,
            "reasons": list(record.reasons),
        },
        "Protocol": record.protocol.model_dump(),
        "Found": dict(record.found),
        "Memory": record.memory.model_dump(),
    }


def _evaluated(record: Accuracy) -> dict[str, Any]:
    kept = ("id", "created", "device", "runtime", "dataset", "dataset_hash", "n", "correct1", "correct5")
    lost = record.breakdown.summary(MISTAKES) if record.breakdown else {}
    return record.model_dump(include=set(kept)) | {"images_per_second": round(record.images_per_second, 2)} | lost
