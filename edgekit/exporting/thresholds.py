"""What parity asks of a file: one table, each figure with its reason, and what a network's own rounding allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgekit.exporting.reference import Reference
from edgekit.records.manifest import ParityRecord


@dataclass(frozen=True)
class Threshold:
    """What a file of one precision must reach; None: not asked."""

    max_rel_error: float | None  # largest absolute error over the largest absolute output
    snr_db: float | None  # of an int8 file that is right by its simulation: with trained weights only
    top1_agreement: float | None  # on real images with trained weights only: random logits nearly tie
    reason: str
    simulation_rel_error: float | None = None  # of a file against its simulation; None: SIMULATION_MARGIN instead


THRESHOLDS = {
    "fp32": Threshold(
        3e-4,
        None,
        1.0,
        "the same arithmetic in another order: trained networks differ by 1e-6 to 1e-5, deep random ones by 1e-4, "
        "and a wrong weight or padding shows at 1e-2 and above",
    ),
    "fp16": Threshold(
        1e-1,
        25.0,
        0.97,
        "each value is rounded at 5e-4; trained networks stay above 44 dB, random MobileNets amplify it to 30 dB",
    ),
    "int8": Threshold(
        None,
        8.0,
        0.80,
        "a sound int8 network keeps 15 to 30 dB; saturated, mis-scaled or per-tensor weights fall under 5 dB",
    ),
    "int8w": Threshold(
        None,
        8.0,
        0.80,
        "the arithmetic of fp32 with rounded weights, which keep 30 to 45 dB; what it loses is no more than int8 may",
        3e-4,
    ),
}
# A network whose own float32 is off from its float64 cannot be held to less than a few times that: each runtime adds in
# an order of its own. Up to what a wrong weight or padding shows; where rounding alone grows beyond that, so does such
# a mistake, to the size of the outputs, and twice the own rounding is allowed.
OWN_ROUNDING, MOST_ROUNDING = 5.0, 1e-2
CHAOTIC, MOST_CHAOTIC = 2.0, 0.2


def in_words(precision: str) -> str:
    """Return what a file of a precision must reach, for a reader of its figures."""
    limit = THRESHOLDS[precision]
    if limit.max_rel_error is None:
        return (
            f"an answer as near as its simulation's; of trained weights also a signal-to-noise of {limit.snr_db:g} dB, "
            f"and the same top-1 on {limit.top1_agreement:.0%} of the images"
        )
    error = f"an error of at most {100 * limit.max_rel_error:g} % of the largest output"
    return f"{error} and a signal-to-noise of {limit.snr_db:g} dB" if limit.snr_db else error


def threshold(precision: str, reference: Reference, index: int) -> Threshold:
    """Return what is asked of an output, whose own rounding is allowed for where float32 answers are compared."""
    limit = THRESHOLDS[precision]
    if not reference.rounding:
        return limit
    own = _allowed(reference.rounding[index])
    if precision == "int8w":
        return replace(limit, simulation_rel_error=max(limit.simulation_rel_error or 0.0, own))
    return replace(limit, max_rel_error=max(limit.max_rel_error or 0.0, own)) if precision == "fp32" else limit


def _allowed(own: float) -> float:
    """The relative error that is put down to rounding where the network's own float32 is `own` from its float64."""
    return min(OWN_ROUNDING * own, max(MOST_ROUNDING, min(CHAOTIC * own, MOST_CHAOTIC)))


def rounding_note(record: ParityRecord, precision: str, reference: Reference) -> str | None:
    """Return what to say of an fp32 file that passed because the network's own rounding was allowed for, or None."""
    usual = THRESHOLDS[precision].max_rel_error
    judged = precision == "fp32" and record.passed and not record.by_layer
    if not judged or usual is None or (record.max_rel_error or 0.0) <= usual:
        return None
    own = max(reference.rounding)
    return (
        f"fp32 files were allowed a relative error of {_allowed(own):.2g}: float32 rounding puts the network itself "
        f"{own:.2g} of its largest output from its float64"
    )
