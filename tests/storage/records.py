"""One record of each kind, as small as it may be."""

from __future__ import annotations

from typing import Any

from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement, Memory, ProcessRun, Protocol
from edgekit.records.record import new_id, now


def measurement(artifact: str = "x.onnx", found: dict[str, Any] | None = None) -> Measurement:
    run = ProcessRun(samples_ns=(1, 2, 3), warmup_ns=(4,), load_ns=5, first_ns=6, wall_ns=7)
    memory = Memory(peak_bytes=None, baseline_bytes=8, method="none", reason="not asked")
    return Measurement(
        id=new_id(), created=now(), artifact=artifact, sha256="00", bytes=9, format="onnx", manifest=None,
        device="local", runtime="null", protocol=Protocol(), runs=(run,), memory=memory, found=found or {"threads": 1},
    )  # fmt: skip


def accuracy() -> Accuracy:
    return Accuracy(
        id=new_id(), created=now(), artifact="x.onnx", sha256="00", format="onnx", manifest=None, device="local",
        runtime="null", dataset="images", dataset_hash="11", n=3, correct1=1, correct5=2, hits="15-",
        images_per_second=2.5,
    )  # fmt: skip


def failed(reason: str = "no weights") -> FailedCell:
    return FailedCell(
        id=new_id(), created=now(), variant="net_1.0_224", format="onnx", precision="int8", device="local",
        code="usage", reason=reason, remedy="give some",
    )  # fmt: skip
