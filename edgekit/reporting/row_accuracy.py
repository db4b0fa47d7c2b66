"""The part of a report's row that is about accuracy."""

from __future__ import annotations

from typing import Any

from edgekit.records.conditions import instructions
from edgekit.records.manifest import Manifest
from edgekit.records.measurement import Accuracy
from edgekit.stats.accuracy import fraction
from edgekit.stats.proportions import wilson

ONE_INDEX = "the file answers with one index: export it without --output argmax"
FEW_CLASSES = "there are no more than five classes, and the right one is always among five"


def accuracy_of(known: Manifest | None, evaluated: Accuracy | None, missing: dict[str, str]) -> dict[str, Any]:
    """Return the accuracy that may be shown: none for weights or int8 ranges that nothing was learnt from."""
    reason = None
    if known and not known.weights.trained:  # first: no images would tell more
        reason = "random weights: only the latency means anything"
    elif known and known.calibration and known.calibration.synthetic:
        reason = "synthetic calibration: only the latency means anything"
    elif evaluated is None or evaluated.n == 0:
        reason = "not evaluated with `edgekit eval`"
    if evaluated is None or reason is not None:
        missing |= dict.fromkeys(("top1", "top5"), reason or "")
        return {}
    correct5 = None if known is not None and known.variant.classes <= 5 else evaluated.correct5
    if correct5 is None:
        missing["top5"] = ONE_INDEX if evaluated.correct5 is None else FEW_CLASSES
    return {
        "top1": evaluated.correct1 / evaluated.n,
        "top1_ci95": wilson(evaluated.correct1, evaluated.n),
        "top5": fraction(correct5, evaluated.n),
        "top5_ci95": None if correct5 is None else wilson(correct5, evaluated.n),
        "images": evaluated.n,
        "dataset": evaluated.dataset,
        "dataset_hash": evaluated.dataset_hash,
        "accuracy_instructions": instructions(evaluated),
    }
