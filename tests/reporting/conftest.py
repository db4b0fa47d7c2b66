"""Records for the tests of the report: what a store would hold after a few exports, measurements and evaluations."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from edgekit.records.manifest import (
    CalibrationRecord,
    Manifest,
    ParityRecord,
    TensorRecord,
    VariantRecord,
    WeightsRecord,
)
from edgekit.records.measurement import Accuracy, Measurement, Memory, ProcessRun, Protocol
from edgekit.records.preprocessing import TENSORFLOW
from edgekit.storage.store import Store

RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert"}
VERSIONS = {"onnxruntime": "1.31.1", "litert": "2.3.0"}
MACHINE = {"processor": "Example CPU 3000 @ 2.40GHz", "cores": 2, "kernel": "Linux 6.1.0"}

PARITY = ParityRecord(
    passed=True,
    n=20,
    n_real=10,
    max_abs_error=1.1e-5,
    max_rel_error=2e-6,
    cosine=0.9999999,
    top1_agreement=1.0,
    snr_db=None,
)


def variant(name: str) -> VariantRecord:
    """A variant whose name is `network_alpha_resolution`, or anything else."""
    parts = name.split("_")
    return VariantRecord(
        name=name,
        model=parts[0],
        family=parts[0],
        alpha=float(parts[1]) if len(parts) == 3 else 1.0,
        resolution=int(parts[-1]) if parts[-1].isdigit() else 224,
        classes=1000,
        input_shape=(1, 3, 160, 160),
    )


def calibrated(synthetic: bool) -> CalibrationRecord:
    return CalibrationRecord(
        hash="ab" * 32, n=100, synthetic=synthetic, method="minmax", source="data", seed=0, pixels=("0" * 16,) * 100
    )


def manifest(
    name: str = "mobilenet_0.5_160",
    *,
    format: str = "onnx",
    precision: str = "fp32",
    macs: int = 76_520_000,
    trained: bool = True,
    synthetic: bool = False,
    details: dict[str, Any] | None = None,
) -> Manifest:
    sha256 = hashlib.sha256(f"{name}{format}{precision}{trained}{synthetic}".encode()).hexdigest()
    return Manifest(
        edgekit="0.1.0",
        file=f"{name}_{precision}.{format}",
        sha256=sha256,
        bytes=macs // 14 // (4 if precision == "int8" else 1),
        format=format,
        precision=precision,
        variant=variant(name),
        weights=WeightsRecord(
            origin="mobilenet_v1.tflite" if trained else "random",
            id="01234567" if trained else "random0",
            sha256="01234567" * 8 if trained else None,
            trained=trained,
        ),
        preprocessing=TENSORFLOW,
        inputs=(TensorRecord(name="input", dtype="float32", shape=(1, 160, 160, 3), layout="NHWC"),),
        outputs=(TensorRecord(name="output", dtype="float32", shape=(1, 1000), layout="NC"),),
        calibration=calibrated(synthetic) if precision == "int8" else None,
        parity=PARITY,
        macs=macs,
        params=1_331_592,
        activation_elements=2_000_000,
        remaining_batch_norms=(),
        operators={"Conv": 27, "GlobalAveragePool": 1, "Gemm": 1},
        tool_versions={"torch": "2.13.0", "onnx": "1.23.2"},
        seconds=1.9,
        created="2026-11-20T09:00:00Z",
        details=details or {},
    )


def identity(*parts: object) -> str:
    """An id for a record, the same in every run of the tests."""
    return hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()[:12]


def run(median_ms: float, samples: int, chance: random.Random) -> ProcessRun:
    """A process whose samples are around a median, with a tail to the right."""
    taken = tuple(int(1e6 * median_ms * (0.985 + chance.expovariate(45))) for _ in range(samples))
    return ProcessRun(
        samples_ns=taken,
        warmup_ns=taken[:5],
        load_ns=int(40e6 + 1e6 * median_ms),
        first_ns=int(3e6 * median_ms),
        wall_ns=sum(taken) + 1000,
    )


def measurement(
    known: Manifest | None,
    median_ms: float = 1.6,
    *,
    sha256: str | None = None,
    artifact: str | None = None,
    device: str = "local",
    host: str | None = "3fc95c0b",
    runtime: str | None = None,
    threads: int = 1,
    batch: int = 1,
    created: str = "2026-11-20T10:00:00Z",
    verdict: str = "not assessed",
    reasons: tuple[str, ...] = (),
    samples: int = 60,
    processes: int = 3,
    seed: int = 0,
    memory: Memory | None = None,
    found: dict[str, Any] | None = None,
) -> Measurement:
    chance = random.Random(f"{seed}{median_ms}{device}")
    format = known.format if known else "onnx"
    runtime = runtime or RUNTIMES[format]
    return Measurement(
        id=identity(known, artifact, sha256, device, host, runtime, threads, batch, created, found),
        created=created,
        artifact=artifact or (known.file if known else "foreign.onnx"),
        sha256=sha256 or (known.sha256 if known else "f" * 64),
        bytes=known.bytes if known else 5_000_000,
        format=format,
        manifest=known,
        device=device,
        runtime=runtime,
        protocol=Protocol(threads=threads, batch=batch, processes=processes),
        runs=tuple(run(median_ms, samples, chance) for _ in range(processes)),
        memory=memory or Memory(peak_bytes=92_000_000, baseline_bytes=61_000_000, method="VmHWM of a separate process"),
        found=MACHINE
        | {"threads": threads, "batch": batch, "runtime_version": VERSIONS.get(runtime)}
        | ({"host": host} if host else {})
        | (found or {}),
        verdict=verdict,
        reasons=reasons,
    )


def accuracy(
    known: Manifest | None,
    top1: float = 0.6,
    *,
    n: int = 650,
    created: str = "2026-11-20T11:00:00Z",
    sha256: str | None = None,
    dataset: str = "validation",
    dataset_hash: str = "cd" * 32,
) -> Accuracy:
    correct1 = round(top1 * n)
    correct5 = min(n, round((top1 + 0.2) * n))
    sha256 = sha256 or (known.sha256 if known else "f" * 64)
    return Accuracy(
        id=identity(created, sha256, dataset),
        created=created,
        artifact=known.file if known else "foreign.onnx",
        sha256=sha256,
        format=known.format if known else "onnx",
        manifest=known,
        device="local",
        runtime="onnxruntime",
        dataset=dataset,
        dataset_hash=dataset_hash,
        n=n,
        correct1=correct1,
        correct5=correct5,
        hits="1" * correct1 + "5" * (correct5 - correct1) + "-" * (n - correct5),
        images_per_second=210.0,
    )


def family() -> tuple[list[Measurement], list[Accuracy]]:
    """Sixteen published points of MobileNet v1 in two formats and two precisions, with plausible latencies."""
    measurements, accuracies = [], []
    for index, (name, (macs, top1)) in enumerate(POINTS.items()):
        published = [{"source": "TF-slim, 2018", "top1": top1, "top5": None, "macs": None, "params": None}]
        for format in ("onnx", "tflite"):
            for precision, speed, drop in (("fp32", 1.0, 0.0), ("int8", 0.45, 0.008)):
                known = manifest(
                    f"mobilenet_{name}",
                    format=format,
                    precision=precision,
                    macs=int(1e6 * macs),
                    details={"opset": 17, "published": published},
                )
                cost = (0.12 + macs / 45) * speed * (1.12 if format == "onnx" else 1.0)
                verdict = ("valid", "suspect", "invalid", "not assessed")[(0, 0, 0, 1, 0, 0, 2, 0, 0, 3)[index % 10]]
                reasons = {
                    "suspect": ("background load: 0.6 of a core was busy",),
                    "invalid": ("throttled: 2.4 to 1.2 GHz",),
                }
                measurements.append(
                    measurement(known, cost, verdict=verdict, reasons=reasons.get(verdict, ()), seed=index)
                )
                accuracies.append(accuracy(known, top1 - drop + 0.003 * (index % 3)))
    return measurements, accuracies


# (MACs in millions as counted, TF-slim's published top-1) of MobileNet v1 by alpha and resolution
POINTS = {
    "1.0_224": (568.74, 0.709),
    "1.0_192": (418.12, 0.700),
    "1.0_160": (290.68, 0.680),
    "1.0_128": (186.40, 0.652),
    "0.75_224": (325.40, 0.684),
    "0.75_192": (239.27, 0.672),
    "0.75_160": (166.40, 0.653),
    "0.75_128": (106.77, 0.621),
    "0.5_224": (149.50, 0.633),
    "0.5_192": (109.97, 0.617),
    "0.5_160": (76.52, 0.591),
    "0.5_128": (49.16, 0.563),
    "0.25_224": (41.03, 0.498),
    "0.25_192": (30.21, 0.477),
    "0.25_160": (21.06, 0.455),
    "0.25_128": (13.57, 0.415),
}


class Records:
    """What the tests make records with."""

    manifest = staticmethod(manifest)
    measurement = staticmethod(measurement)
    accuracy = staticmethod(accuracy)
    family = staticmethod(family)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, measurements: Iterable[Measurement] = (), accuracies: Iterable[Accuracy] = ()) -> Store:
        """A store on the disk with these records."""
        store = Store(str(self._folder / "records.db"))
        for measured in measurements:
            store.append(measured)
        for evaluated in accuracies:
            store.append(evaluated)
        return store


@pytest.fixture
def make(tmp_path: Path) -> Records:
    return Records(tmp_path)
