"""Measurements made by hand, and what compares them."""

from __future__ import annotations

from typing import Any

from edgekit.comparison.command import compare
from edgekit.comparison.result import CompareResult
from edgekit.records.measurement import Measurement, Memory, ProcessRun, Protocol, Sensed, Snapshot
from edgekit.records.record import new_id, now
from edgekit.storage.store import Store

SPREAD = (-0.004, -0.002, -0.001, 0.0, 0.001, 0.003)  # how six processes differ


FOUND = {"threads": 1, "batch": 1, "processor": "A", "machine": "x86_64", "runtime_version": "1.20.0"}


BASE, NEW = "b" * 12, "c" * 12


def record(
    name: str = "a.onnx",
    ms: float = 10.0,
    session: str = "0" * 12,
    processes: int = 6,
    blocks: bool = False,
    spread: tuple[float, ...] = SPREAD,
    found: dict[str, Any] | None = None,
    **fields: Any,
) -> Measurement:
    """A measurement whose processes have medians around `ms`."""
    runs = tuple(
        ProcessRun(
            samples_ns=(int(ms * 1e6 * (1 + spread[index % len(spread)])),) * 3,
            warmup_ns=(),
            load_ns=1,
            first_ns=1,
            wall_ns=10,
            block=index if blocks else None,
            position=index % 2 if blocks else None,
        )
        for index in range(processes)
    )
    values: dict[str, Any] = {
        "id": new_id(), "created": now(), "artifact": name, "sha256": f"of {name}", "bytes": 1, "format": "onnx",
        "manifest": None, "device": "local", "runtime": "onnxruntime", "protocol": Protocol(), "runs": runs,
        "memory": Memory(peak_bytes=1, baseline_bytes=1, method="m"), "found": FOUND | (found or {}),
        "session": session, "verdict": "valid",
    }  # fmt: skip
    return Measurement(**values | fields)


def keep(*records: Measurement, store: str = "edgekit.db") -> None:
    for one in records:
        Store(store).append(one)


def two(base: Measurement, new: Measurement, **options: Any) -> CompareResult:
    """Compare two measurements by their ids."""
    keep(base, new)
    return compare(base.id, new.id, **options)


def on_gpu(name: str) -> tuple[ProcessRun, ...]:
    """Runs beside which nvidia-smi told of a GPU, as onnxruntime's are."""
    cards: Any = ([{"name": name}], [{"name": name}])
    sensed = Sensed(before=Snapshot(time_ns=0), after=Snapshot(time_ns=1), gpus=cards)
    return tuple(run.model_copy(update={"sensed": sensed}) for run in record().runs)


def in_mode(mode: str) -> dict[str, Any]:
    """What a Jetson tells of itself, as it is recorded."""
    return {"device": {"model": "NVIDIA Orin Nano", "power_mode": mode}}
