"""Parity: the file that ships, opened again and run, against the folded torch network.

An int8 file must be right: answer as the integers that were decided on answer in a simulation. That is asked of every
file. How near those integers are to the float network is another question, and a gate only where weights are trained.

What each precision must reach stands in one table: edgekit.exporting.thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DeviceUnreachable, EnvironmentRefused, MeasurementInvalid, in_one_line
from edgekit.exporting import places
from edgekit.exporting.reference import Array, Reference, nothing_open
from edgekit.exporting.stored_values import dequantized, from_layout, stored, to_layout
from edgekit.exporting.thresholds import THRESHOLDS, Threshold, threshold
from edgekit.ir import near_ties
from edgekit.records.manifest import ParityRecord, TensorRecord
from edgekit.records.preprocessing import Preprocessing
from edgekit.records.runtime import Session

SIMULATION_MARGIN = 3.0  # dB: rounding that grows on its way moves right files by 1.6 at most (17 networks, 2 formats)
_BESIDE = "of its integer simulation"
ALL_BUT_EXACT = 30.0  # dB: what a step of 8 bits everywhere loses at most, where the simulation itself loses nothing
MIN_REAL = 16  # below this many images an agreement says nothing
_STILL = "the network's output does not vary with its input, so agreement would prove nothing"


def compare(
    session: Session,
    inputs: Sequence[TensorRecord],
    outputs: Sequence[TensorRecord],
    precision: str,
    reference: Reference,
    batch: int | None = None,
    preprocessing: Preprocessing | None = None,
    simulated: Sequence[Array] | None = None,
) -> ParityRecord:
    """Run every example through a file that was opened again, one by one, and judge each output.

    With `preprocessing` a file whose integers are pixels gets pixels, as an evaluation hands them over.

    `simulated` is what the integer simulation answers to the first examples.

    With `batch` the inputs also go through together, that many at once, and must come out as they did alone.
    """

    def run(xs: Sequence[Array]) -> list[Array]:
        fed = [
            to_layout(stored(x, given, preprocessing if given is inputs[0] else None), given.layout)
            for x, given in zip(xs, inputs, strict=True)
        ]
        answered = zip(session.run(fed), outputs, strict=True)
        return [from_layout(dequantized(y, taken), taken.layout) for y, taken in answered]

    each = [run(reference.example(index)) for index in range(reference.n)]
    got = [np.concatenate(ys) for ys in zip(*each, strict=True)]
    names = [taken.name for taken in outputs]
    record = judge(got, reference, precision, simulated, names)
    if batch is not None and record.passed:
        several, expected = (
            tuple(np.resize(x, (batch, *x.shape[1:])) for x in side) for side in (reference.inputs, got)
        )
        alone = replace(reference, inputs=several, outputs=expected, undecided=nothing_open)
        reasons = tuple(f"at batch {batch}: {reason}" for reason in _together(run, alone, precision))
        record = record.model_copy(update={"passed": not reasons, "reasons": reasons})
    return record


def _together(run: Callable[[Sequence[Array]], list[Array]], alone: Reference, precision: str) -> tuple[str, ...]:
    """Why inputs that go through together do not come out as they did alone; empty where they do."""
    if THRESHOLDS[precision].simulation_rel_error is not None:
        precision = "fp32"  # the same float arithmetic twice, whatever its weights are
    try:
        return judge(run(alone.inputs), alone, precision).reasons
    except (DeviceUnreachable, EnvironmentRefused, MeasurementInvalid):
        raise
    except Exception as error:  # each runtime has exceptions of its own
        return (f"the runtime refuses it: {in_one_line(error)}",)


def judge(
    got: Sequence[Array],
    reference: Reference,
    precision: str,
    simulated: Sequence[Array] | None = None,
    names: Sequence[str] = (),
) -> ParityRecord:
    """Return the record of one comparison of every output; of several it holds the worst of each figure.

    `got` must have the shapes of the reference outputs, `simulated` those of their first examples. Where a file of
    real numbers differs, elements that rounding decides are not judged (edgekit.ir.near_ties).
    """
    record = _record(got, reference, precision, simulated, names)
    if record.passed or precision not in near_ties.NOISE or len(got) != len(reference.outputs):
        return record
    found = near_ties.settled(got, reference.outputs, reference.undecided(precision))
    if found is None:
        return record
    again = _record(found[0], reference, precision, simulated, names)
    return again.model_copy(update={"undecided": found[1]}) if again.passed else record


def _record(
    got: Sequence[Array],
    reference: Reference,
    precision: str,
    simulated: Sequence[Array] | None,
    names: Sequence[str],
) -> ParityRecord:
    if len(got) != len(reference.outputs):
        return _failed(reference, f"the file has {len(got)} outputs, the network {len(reference.outputs)}")
    moving = any(map(varies, reference.outputs))
    records = []
    for index, (y, want) in enumerate(zip(got, reference.outputs, strict=True)):
        told = None if simulated is None else simulated[index]
        records.append(_judged(y, want, reference, precision, index, told, moving))
    return records[0] if len(records) == 1 else _worst(records, names or [str(i) for i in range(len(records))])


_LARGER_IS_WORSE = ("max_abs_error", "max_rel_error")
_SMALLER_IS_WORSE = ("cosine", "top1_agreement", "snr_db", "simulated_snr_db", "simulation_snr_db")


def _worst(records: Sequence[ParityRecord], names: Sequence[str]) -> ParityRecord:
    """One record for several outputs."""
    reasons = tuple(f"{name}: {reason}" for name, one in zip(names, records, strict=True) for reason in one.reasons)
    figures: dict[str, float | None] = {}
    for choose, fields in ((max, _LARGER_IS_WORSE), (min, _SMALLER_IS_WORSE)):
        for field in fields:
            known = [value for one in records if (value := getattr(one, field)) is not None]
            figures[field] = choose(known, default=None)
    worst = min(records, key=lambda one: math.inf if one.worst_channel_snr_db is None else one.worst_channel_snr_db)
    figures |= {field: getattr(worst, field) for field in ("worst_channel", "worst_channel_snr_db")}
    return records[0].model_copy(update={**figures, "passed": not reasons, "reasons": reasons})


def _judged(
    got: Array,
    want: Array,
    reference: Reference,
    precision: str,
    index: int,
    simulated: Array | None,
    moving: bool,
) -> ParityRecord:
    """The record of the output at `index`. `moving`: whether any output varies with the input."""
    limit = threshold(precision, reference, index)
    if got.shape != want.shape:
        return _failed(reference, f"the file's output has shape {got.shape[1:]}, the network's {want.shape[1:]}")
    if not np.isfinite(want).all():
        return _failed(reference, "the network itself returns values that are not finite")
    if not np.isfinite(got).all():
        return _failed(reference, "the file returns values that are not finite")
    telling = _telling(reference, precision)
    seen, expected = got[telling], want[telling]
    difference = seen.astype(np.float64) - expected
    record = ParityRecord(
        passed=True,
        n=reference.n,
        n_real=reference.n_real,
        max_abs_error=float(np.abs(difference).max()),
        max_rel_error=_rel_error(difference, expected),
        cosine=_cosine(seen, expected),
        top1_agreement=_agreement(seen, expected),
        snr_db=_snr_db(expected, difference),
    )
    if index in reference.places:  # it is whole numbers
        judged = reference.trained and reference.n_real >= MIN_REAL
        why = places.reasons(precision, got, want, judged, simulated)
        return places.record(record, got, want, why if moving else [_STILL, *why])
    # What no simulation has shown to be right must at least be good.
    judged = reference.trained or simulated is None
    reasons = _reasons(record, reference, limit, judged, moving)
    if precision == "int8":
        axes = reference.axes[index] if reference.axes else (1,)
        record = record.model_copy(update=_worst_channel(seen, expected, axes))
        reasons += _parts(seen, expected, reference, index) if judged else []
    if simulated is not None:
        found, gap = _against_simulation(
            got[: len(simulated)], want[: len(simulated)], simulated, limit.simulation_rel_error
        )
        record = record.model_copy(update=found)
        reasons += [gap] if gap else []
    return record.model_copy(update={"passed": not reasons, "reasons": tuple(reasons)})


def _telling(reference: Reference, precision: str) -> slice:
    """The examples that show how good a file is: of int8, images alone, for noise leaves the ranges that they gave.

    Whether an int8 file is right is another question, which every example answers: its simulation clips as it does.
    """
    return slice(reference.n - told_of(precision, reference.n, reference.n_real), None)


def told_of(precision: str, n: int, n_real: int) -> int:
    """Return how many of `n` inputs show how good a file is: of int8 images alone, where they are enough."""
    return n_real if precision.startswith("int8") and n_real >= MIN_REAL else n


def _parts(got: Array, whole: Array, reference: Reference, index: int) -> list[str]:
    """Why the tensors that an output joins are not each good: a large one hides what a small one loses."""
    limit, reasons = THRESHOLDS["int8"].snr_db, []
    for part in (one for one in reference.parts if one.output == index):
        want = part.of(whole)
        db = _snr_db(want, part.of(got).astype(np.float64) - want)
        if db is not None and limit is not None and db < limit and np.any(want):
            share = f"{part.where.sum()} of the output's {part.where.size} values"
            reasons.append(f"signal-to-noise {db:.1f} dB of {part.name} ({share}) is under {limit:g} dB")
    return reasons


def _worst_channel(got: Array, want: Array, axes: Sequence[int]) -> dict[str, float | int | None]:
    """The channel of a map or of a list of boxes that loses most, for the record; channels lie on one of `axes`."""
    found = []
    for axis in axes if want.ndim > 2 else ():
        others = tuple(one for one in range(want.ndim) if one != axis)
        signal = np.square(want.astype(np.float64)).sum(others)
        noise = np.square(got.astype(np.float64) - want).sum(others)
        told = (signal > 0) & (noise > 0)
        ratios = np.where(told, signal / np.where(told, noise, 1.0), np.inf)
        found.append((float(ratios.min()), int(ratios.argmin())))
    ratio, worst = min(found, default=(math.inf, 0))
    if math.isinf(ratio):
        return {}
    return {"worst_channel": worst, "worst_channel_snr_db": 10 * math.log10(ratio)}


def _against_simulation(
    got: Array, want: Array, simulated: Array, most: float | None
) -> tuple[dict[str, float | None], str | None]:
    """The file against its simulation: figures for the record, and why it is not right where it is not.

    `most` is the largest relative error of float arithmetic; None where integers decide.
    """
    file, simulation = (_snr_db(want, y.astype(np.float64) - want) for y in (got, simulated))
    found = {
        "simulated_snr_db": _snr_db(simulated, got.astype(np.float64) - simulated),
        "simulation_snr_db": simulation,
    }
    if most is not None:
        error = _rel_error(got.astype(np.float64) - simulated, simulated)
        above = f"relative error {error:.2g} against the float network with rounded weights is above {most:g}"
        return found, above if error > most else None
    best = ALL_BUT_EXACT if simulation is None else simulation
    if file is None or file >= best - SIMULATION_MARGIN:
        return found, None
    exact = ", which is exact" if simulation is None else ""
    return found, f"signal-to-noise {file:.1f} dB is under the {best:.1f} dB {_BESIDE}{exact}"


def is_a_step_beside(record: ParityRecord) -> bool:
    """Whether nothing is said against an int8 file but its simulation, from which it is a step of 8 bits at most.

    Of an output of few numbers, chance decides whose steps are nearer to the float network.
    """
    near = record.simulated_snr_db is not None and record.simulated_snr_db >= ALL_BUT_EXACT
    return near and not record.passed and all(_BESIDE in reason for reason in record.reasons)


def _reasons(record: ParityRecord, reference: Reference, limit: Threshold, judged: bool, moving: bool) -> list[str]:
    reasons = []
    if not moving:
        reasons.append(_STILL)
    if limit.max_rel_error is not None and (record.max_rel_error or 0.0) > limit.max_rel_error:
        reasons.append(f"relative error {record.max_rel_error:.2g} is above {limit.max_rel_error:g}")
    if judged and limit.snr_db is not None and record.snr_db is not None and record.snr_db < limit.snr_db:
        reasons.append(f"signal-to-noise {record.snr_db:.1f} dB is under {limit.snr_db:g} dB")
    telling = reference.trained and reference.n_real >= MIN_REAL and record.top1_agreement is not None
    if telling and limit.top1_agreement is not None and (record.top1_agreement or 0.0) < limit.top1_agreement:
        reasons.append(f"top-1 agreement {record.top1_agreement:.1%} is under {limit.top1_agreement:.0%}")
    return reasons


def varies(outputs: Array) -> bool:
    """Whether different inputs gave different outputs."""
    spread = float(np.ptp(outputs, axis=0).max()) if len(outputs) > 1 else 0.0
    return spread > 1e-6 * max(float(np.abs(outputs).max()), 1e-30)


def _rel_error(difference: NDArray[np.float64], want: Array) -> float:
    """The largest absolute error over the largest absolute value."""
    largest = float(np.abs(want).max())
    return float(np.abs(difference).max()) / largest if largest else 0.0


def _failed(reference: Reference, reason: str) -> ParityRecord:
    return ParityRecord(
        passed=False,
        n=reference.n,
        n_real=reference.n_real,
        max_abs_error=None,
        max_rel_error=None,
        cosine=None,
        top1_agreement=None,
        snr_db=None,
        reasons=(reason,),
    )


def _cosine(got: Array, want: Array) -> float:
    a, b = got.reshape(-1).astype(np.float64), want.reshape(-1).astype(np.float64)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale else 0.0


def _agreement(got: Array, want: Array) -> float | None:
    if want.ndim != 2 or want.shape[1] < 2:
        return None
    return float((got.argmax(1) == want.argmax(1)).mean())


def _snr_db(want: Array, difference: NDArray[np.float64]) -> float | None:
    noise = float((difference**2).sum())
    return float(10 * np.log10(float((want.astype(np.float64) ** 2).sum()) / noise)) if noise else None
