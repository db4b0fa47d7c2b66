"""Where an inference's time went, and how much of the machine each part of it used.

The roofline model (Williams, Waterman and Patterson, Communications of the ACM 52, 2009): a layer that computes much on
every byte is bound by the arithmetic, one that computes little by the memory; the two meet where peak arithmetic over
peak bandwidth is. The records are kept with a measurement; everything else is worked out when they are read.
"""

from __future__ import annotations

from typing import Any

from edgekit.records.record import Record, Whole


class LayerTime(Record):
    """What the runtime ran for some layers together, or for none of them (`layers` is empty): its own work."""

    name: str
    layers: tuple[str, ...]
    kind: str | None  # as in the layer table
    operators: str  # in the runtime's words
    ms: float  # median over inferences, in whole microseconds
    macs: Whole | None = None
    bytes: Whole | None = None  # weights, and what is read from and given to other layers, each once
    int8: bool = False


class Peaks(Record):
    """What the machine reaches with a large matrix product and a large copy (bench/ondevice/peaks.py)."""

    threads: Whole
    gemm_float32_gmacs: float | None
    gemm_float32_by: str
    gemm_int8_gmacs: float | None
    gemm_int8_by: str
    copy_gbytes: float | None  # read and written, per second
    copy_by: str

    def gmacs(self, int8: bool) -> float | None:
        """Return the arithmetic roof in 1e9 multiply-accumulates per second."""
        return self.gemm_int8_gmacs if int8 else self.gemm_float32_gmacs


class Profile(Record):
    """One profile pass: a process of its own, in which the runtime's profiler was on, and off before and after."""

    rows: tuple[LayerTime, ...] = ()  # in the order in which they ran
    absent: tuple[str, ...] = ()  # layers that the runtime runs no operator for
    profiled_ms: float | None = None  # the whole inference with the profiler, median
    plain_ms: float | None = None  # without it, in the same process
    runs: Whole = 0
    method: str = ""
    peaks: Peaks | None = None
    reasons: tuple[str, ...] = ()  # what is missing, and why

    @property
    def sum_ms(self) -> float:
        """All rows together."""
        return sum(row.ms for row in self.rows)

    @property
    def between_ms(self) -> float | None:
        """What the whole inference took beside its operators; None where the medians of the parts sum to more."""
        if self.profiled_ms is None or self.profiled_ms < self.sum_ms:
            return None
        return self.profiled_ms - self.sum_ms

    def to_json(self) -> dict[str, Any]:
        """Everything that is known, and what follows from it; shares are fractions of the whole inference."""
        known = self.model_dump(exclude={"rows", "peaks"})
        return {
            **known,
            "overhead": ratio(self.profiled_ms, self.plain_ms, -1),
            "sum_ms": self.sum_ms if self.rows else None,
            "between_ms": self.between_ms,
            **network(self),
            "layers": [layer(row, self) for row in self.rows],
            "peaks": self.peaks.model_dump() if self.peaks else None,
        }


def layer(row: LayerTime, profile: Profile) -> dict[str, Any]:
    """Return one row with its share, what it achieved, and against which roof. None where it cannot be known."""
    peaks, gmacs = profile.peaks, _rate(row.macs, row.ms)
    return {
        **row.model_dump(),
        "share": ratio(row.ms, whole(profile)),
        "gmacs_per_s": gmacs,
        "gbytes_per_s": _rate(row.bytes, row.ms),
        "intensity": ratio(row.macs, row.bytes),  # multiply-accumulates on a byte
        "peak_share": ratio(gmacs, peaks.gmacs(row.int8)) if peaks else None,
        "bound": bound(row, peaks),
    }


def bound(row: LayerTime, peaks: Peaks | None) -> str | None:
    """Return the lower of the two roofs over a layer: "compute" or "memory"."""
    if peaks is None or not row.macs or not row.bytes:
        return "memory" if peaks and row.bytes and row.macs == 0 else None
    roof, bandwidth = peaks.gmacs(row.int8), peaks.copy_gbytes
    if roof is None or bandwidth is None:
        return None
    return "compute" if row.macs / row.bytes >= roof / bandwidth else "memory"


def network(profile: Profile) -> dict[str, float | None]:
    """Return what the whole network achieves without the profiler, and its share of the arithmetic peak.

    Layers of int8 and of float have peaks of their own: the share is the time that all multiply-accumulates would take
    at their peaks, over the time that the inference took.
    """
    macs = sum(row.macs or 0 for row in profile.rows)
    gmacs = _rate(macs or None, profile.plain_ms)
    best_ms = 0.0
    for row in profile.rows:
        roof = profile.peaks.gmacs(row.int8) if profile.peaks else None
        if row.macs and roof is None:
            return {"gmacs_per_s": gmacs, "peak_share": None}
        best_ms += row.macs / roof / 1e6 if row.macs and roof else 0.0
    return {"gmacs_per_s": gmacs, "peak_share": ratio(best_ms or None, profile.plain_ms)}


def whole(profile: Profile) -> float | None:
    """Return what shares are fractions of: the inference with the profiler, or its parts where they sum to more."""
    return max(profile.profiled_ms or 0.0, profile.sum_ms) or None


def ratio(part: float | None, of: float | None, more: float = 0.0) -> float | None:
    """`part` / `of` + `more`; None where either is unknown or nothing."""
    return None if part is None or not of else part / of + more


def _rate(amount: int | None, ms: float | None) -> float | None:
    """1e9 of something per second."""
    return None if amount is None or not ms else amount / ms / 1e6
