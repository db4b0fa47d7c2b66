"""Outputs that are whole numbers or truth values: places of a largest element, classes, masks.

How far two of them are apart means nothing, so no signal-to-noise is asked of them: the same elements are counted.
"""

from __future__ import annotations

from edgekit.exporting.reference import Array
from edgekit.records.manifest import ParityRecord

# The share of elements that must be the same. Rounding moves the largest of several that nearly tie.
LEAST_SAME = {"fp32": 0.999, "fp16": 0.90, "int8": 0.80}
SIMULATION_MARGIN = 0.10  # by which an int8 file may agree less than the simulation of its integers


def reasons(precision: str, got: Array, want: Array, judged: bool, simulated: Array | None) -> list[str]:
    """Return why an output is not what it should be; empty where it is.

    `judged` says whether an int8 file must agree with the float network, `simulated` is what its integers answer to
    the first examples.
    """
    found = []
    same, least = share(got, want), LEAST_SAME[precision]
    one = precision != "fp32" and int((got != want).sum()) <= 1
    if same < least and not one and (judged or precision != "int8"):
        found.append(f"{same:.1%} of its elements are the same, under {least:.0%}")
    if simulated is not None:
        first = want[: len(simulated)]
        file, simulation = share(got[: len(simulated)], first), share(simulated, first)
        if file < simulation - SIMULATION_MARGIN:
            found.append(f"{file:.1%} of its elements are the same, of its integer simulation's {simulation:.1%}")
    return found


def share(got: Array, want: Array) -> float:
    """Return the share of equal elements."""
    return float((got == want).mean()) if want.size else 1.0


def record(base: ParityRecord, got: Array, want: Array, why: list[str]) -> ParityRecord:
    """Return the record of such an output: its agreement, and no signal-to-noise."""
    known = {"top1_agreement": share(got, want), "snr_db": None, "passed": not why, "reasons": tuple(why)}
    return base.model_copy(update={**known, "max_rel_error": None, "cosine": None})
