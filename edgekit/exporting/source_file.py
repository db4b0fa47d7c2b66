"""The ONNX file that an engine was built from, where the engine itself cannot be run.

It answers here instead, on onnxruntime's kernels for the processor: what NVIDIA's builder was given is then known to be
right, and what it made of that is not. The record says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.device.target import Opened
from edgekit.records.manifest import ParityRecord

NOT_RUN = "built, not run"
UNKNOWN = ParityRecord(
    passed=None, n=0, n_real=0, max_abs_error=None, max_rel_error=None, cosine=None, top1_agreement=None, snr_db=None
)


class SourceSession:
    """The file as it is written: pairs of an int8 network stay as they are, and compute in float without saturating."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.log_severity_level = 3
        settings.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self._names = [one.name for one in self._session.get_inputs()]
        self.found: dict[str, Any] = {"runtime_version": onnxruntime.__version__}

    def run(self, arrays: list[Any]) -> list[Any]:
        """One array per output."""
        return list(self._session.run(None, dict(zip(self._names, arrays, strict=True))))


def open_source(engine: Path) -> Opened:
    """The file that an engine was built from, which its writer left beside it."""
    session: Any = SourceSession(engine.with_suffix(".onnx"))
    return Opened("onnxruntime", session, session.found, lambda: None)


def not_run(reason: str, source: ParityRecord, proof: dict[str, Any]) -> tuple[ParityRecord, dict[str, Any]]:
    """The parity of an engine that was not run, and what stands for its proof; a source that is wrong fails it."""
    if not source.passed:
        reasons = tuple(f"the ONNX file that it was built from: {one}" for one in source.reasons)
        return source.model_copy(update={"reasons": reasons}), proof
    parity = UNKNOWN.model_copy(update={"reasons": (f"{NOT_RUN}: {reason}",)})
    of_source = {**proof, "parity": source.model_dump(mode="json", exclude_none=True)}
    return parity, {"device": None, "runtime": None, "version": None, "not_run": reason, "source": of_source}
