"""What the file that a network was read from answers in its own runtime, which our reading of it is held against.

The runtime runs each operator as the file has it, in a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.remote_session import FarSession
from edgekit.errors import BackendMissing, GateFailed
from edgekit.exporting.stored_values import dequantized, from_layout, quantized, to_layout
from edgekit.frontend import verify
from edgekit.frontend.imported import Imported
from edgekit.importers.source import Source
from edgekit.ir.shares import FAINT
from edgekit.records.formats import FORMATS
from edgekit.records.runtime import choose

Array = NDArray[np.float32]
# How near a file that rounds must be, in dB of signal-to-noise, by the precision that it computes in.
NEAR = {"fp16": 25.0, "int8": 15.0}
CHAOTIC = 20.0  # times what the network's own float32 is off from its float64


def answers(source: Source, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return what the file answers to each of (n, *shape) of each input, one by one.

    Raises BackendMissing where its runtime does not run it.
    """
    runtime = choose(source.path, FORMATS[source.record.format].runtime).name
    try:
        session = FarSession(LocalLink(), source.path, runtime, unoptimized=True)
    except BackendMissing as error:
        raise BackendMissing(
            f"{source.path.name} does not run, so that nothing could be held against it: {error.message}",
            "give a file that its runtime runs",
        ) from error
    try:
        each = [_answer(source, session, [x[index : index + 1] for x in inputs]) for index in range(len(inputs[0]))]
    finally:
        session.close()
    return tuple(np.concatenate(ys) for ys in zip(*each, strict=True))


def _answer(source: Source, session: FarSession, example: Sequence[Array]) -> list[Array]:
    """What the file answers to one example, in torch's order of axes and as real numbers."""
    if source.batch > 1:
        example = [np.repeat(x, source.batch, 0) for x in example]
    if source.takes:
        pairs = zip(example, source.takes, strict=True)
        given = [to_layout(quantized(x, one).astype(one.dtype), one.layout) for x, one in pairs]
    else:
        names = list(source.shapes)
        given = [example[names.index(one.name)].astype(one.dtype) for one in session.inputs]
    answered = [y[:1] if source.batch > 1 else y for y in session.run(given)]
    if not source.gives:
        return [np.asarray(y, np.float32) for y in answered]
    return [from_layout(dequantized(y, one), one.layout) for y, one in zip(answered, source.gives, strict=True)]


def held_against(
    source: Source, network: nn.Module, inputs: Sequence[Array], read: Sequence[Array], least: Sequence[float] = ()
) -> tuple[tuple[Array, ...] | None, str | None]:
    """What the files are to answer as: the file's own answers, or None where ours (`read`) say more, with the reason.

    `least` has for each output the least size by which its errors are measured. Raises GateFailed where what was read
    is not what the file computes.
    """
    if source.record.format not in FORMATS:
        return None, (
            f"no runtime here runs {source.record.format} files: what is written is held against what was read of "
            f"{source.path.name}"
        )
    own = answers(source, inputs)
    precision = source.precision
    rounded = _rounding(network, inputs) if precision == "int8" else read
    gap = verify.distance(rounded, own)
    measured = verify.distance(rounded, own, least)
    name, runtime = source.path.name, FORMATS[source.record.format].runtime
    if precision in NEAR:
        db, how = _snr_db(rounded, own), ""
        if db < NEAR[precision] and (exact := _unsaturated(source, inputs)) is not None:
            db, how = _snr_db(rounded, exact), " with unsigned weights, because signed ones saturate here,"
        if db >= NEAR[precision]:
            told = f"a signal-to-noise of {db:.1f} dB" if np.isfinite(db) else "no noise"
            near = f"has {told} against what is read"
            return None, f"{name} computes in {precision}: {runtime}{how} {near}"
    if gap <= verify.TOLERANCE:
        return own, None
    if measured <= verify.TOLERANCE:
        return None, (
            f"{name} gives shares near 0 only, which {runtime} computes to parts of 1: they are within "
            f"{measured * FAINT:.1g} of what is read"
        )
    rounding = verify.rounding(network, inputs)
    if precision == "fp32" and rounding is not None and gap <= CHAOTIC * rounding:
        return None, (
            f"float32 rounding moves the answers of {name}: {runtime} is within {gap:.2g} of what is read from it, and "
            f"float64 is {rounding:.2g} from float32"
        )
    raise GateFailed(
        f"what was read from {name} differs from what {runtime} computes by {gap:.2g} of the largest output",
        "report this with the file",
    )


def _unsaturated(source: Source, inputs: Sequence[Array]) -> tuple[Array, ...] | None:
    """What an ONNX file of integers answers where no sum saturates; None for one that has no such weights."""
    if source.record.format != "onnx":
        return None
    from edgekit.importers.onnx.unsigned import with_unsigned_weights

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.path.name
        return answers(replace(source, path=path), inputs) if with_unsigned_weights(source.path, path) else None


def _rounding(network: nn.Module, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """What a network answers that rounds what its file rounds."""
    assert isinstance(network, Imported)
    network.rounds = True
    try:
        return verify.answers(network, *inputs)
    finally:
        network.rounds = False


def _snr_db(want: Sequence[Array], got: Sequence[Array]) -> float:
    """The signal-to-noise of the worst output."""
    found = [np.inf]
    for a, b in zip(want, got, strict=True):
        noise = float(np.square(a - b, dtype=np.float64).sum())
        found.append(10 * float(np.log10(float(np.square(a, dtype=np.float64).sum()) / noise)) if noise else np.inf)
    return min(found)
