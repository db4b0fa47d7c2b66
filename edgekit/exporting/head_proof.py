"""Whether a file with a head answers with the softmax or argmax of what the same file without it answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import GateFailed
from edgekit.exporting.reference import Array, Reference
from edgekit.exporting.stored_values import dequantized, quantized, to_layout
from edgekit.records.formats import ARGMAX
from edgekit.records.manifest import TensorRecord
from edgekit.records.runtime import Session

HEAD_ERROR = {"fp32": 1e-5, "fp16": 5e-3, "int8": 1e-5, "int8w": 1e-5}  # of a softmax in float


def check_head(
    head: str,
    plain: tuple[Session, TensorRecord],
    headed: tuple[Session, TensorRecord],
    taken: TensorRecord,
    precision: str,
    reference: Reference,
) -> None:
    """Whether a file answers with the softmax or argmax of what the same file without a head answers.

    Both are given as an open session and its output; `taken` is their input. Raises GateFailed.
    """
    inputs = [to_layout(quantized(x[None], taken), taken.layout) for x in reference.inputs[0]]
    scores, got = (
        np.concatenate([dequantized(session.run([x])[0], output) for x in inputs])
        for session, output in (plain, headed)
    )
    if head == ARGMAX:
        wrong = int((got != scores.argmax(1)).sum())
        cause = f"its index is another than that of the largest output for {wrong} of {len(inputs)} inputs"
    else:
        gap = float(np.abs(got - _softmax(scores)).max())
        step = headed[1].scale
        wrong = not gap <= (2 * step if step else HEAD_ERROR[precision])  # not a number fails too
        cause = f"its softmax is off by {gap:.2g}"
    if wrong:
        raise GateFailed(f"{head} failed its proof: {cause}", "leave --output out, and report this")


def _softmax(scores: Array) -> NDArray[np.float64]:
    raised = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
