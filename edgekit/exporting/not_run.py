"""The ONNX file that an engine was built from, where the engine itself cannot be run.

It answers here instead, on onnxruntime's kernels for the processor: what NVIDIA's builder was given is then known to be
right, and what it made of that is not. The record says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.remote_session import FarSession
from edgekit.device.target import Opened
from edgekit.records.manifest import ParityRecord

NOT_RUN = "built, not run"
UNKNOWN = ParityRecord(
    passed=None, n=0, n_real=0, max_abs_error=None, max_rel_error=None, cosine=None, top1_agreement=None, snr_db=None
)


def open_built_from(engine: Path) -> Opened:
    """Return the file that an engine was built from, which its writer left beside it, in a process of its own.

    It runs as it is written: the pairs of an int8 network compute in float, and nothing saturates.
    """
    session = FarSession(LocalLink(), engine.with_suffix(".onnx"), "onnxruntime", unoptimized=True)
    return Opened("onnxruntime", session, session.found, session.close)


def not_run(reason: str, source: ParityRecord, proof: dict[str, Any]) -> tuple[ParityRecord, dict[str, Any]]:
    """The parity of an engine that was not run, and what stands for its proof; a source that is wrong fails it."""
    if not source.passed:
        reasons = tuple(f"the ONNX file that it was built from: {one}" for one in source.reasons)
        return source.model_copy(update={"reasons": reasons}), proof
    parity = UNKNOWN.model_copy(update={"reasons": (f"{NOT_RUN}: {reason}",)})
    of_source = {**proof, "parity": source.model_dump(mode="json", exclude_none=True)}
    return parity, {"device": None, "runtime": None, "version": None, "not_run": reason, "source": of_source}
