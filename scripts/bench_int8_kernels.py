"""Sections of `make bench-self`: int8 ONNX files on this processor's kernels, and what it costs that none saturates.

Sums are exact in onnxruntime with the session option `session.x64quantprecision`, on every processor: what a file gives
so is what it gives with VNNI. Its files of the full range are those of `--int8-range full`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import edgekit
from edgekit.records.artifact import Artifact
from scripts.bench_helpers import Images, Line, images, latency
from scripts.bench_int8 import (
    CALIBRATION_IMAGES,
    answers,
    exported,
    hosted_rows,
    laid_out,
    prepared,
    quality,
    quantized_by_onnxruntime,
)
from tests.oracle.client import Array, run_onnx

EXACT = "session.x64quantprecision"


def kernels(data: Path, scratch: Path) -> Iterator[Line]:
    """Int8 ONNX files by edgekit and by `quantize_static` on this processor's kernels: what saturates agrees less."""
    for weights in (_keras(data), *hosted_rows(data)[5:6]):
        if not weights.exists():
            yield Line(f"int8 kernels, {weights.stem}", "-", f"{weights} is missing", None)
            continue
        made = exported("mobilenet", weights, data)
        full = made["onnx", "fp32"]
        assert full.manifest is not None
        shown, shape = prepared(full, data), full.manifest.variant.input_shape
        chosen = images(data / "imagenet_calibration", full.manifest.preprocessing, shape, CALIBRATION_IMAGES)
        files = {"edgekit": made["onnx", "int8"].path}
        for name, reduced in (("quantize_static", False), ("quantize_static, reduce_range", True)):
            files[name] = scratch / f"static_{reduced}.onnx"
            quantized_by_onnxruntime(full.path, chosen, files[name], reduced)
        real = answers(full, shown)
        found = {name: run_onnx(path, laid_out(shown, "onnx")) for name, path in files.items()}
        agreed = {name: _agreement(got, real) for name, got in found.items()}
        mine = quality(found.pop("edgekit"), real, shown)
        for name, got in found.items():
            claim = f"{weights.stem}, onnx int8 on {_instructions()}, against {name}: agreement with fp32"
            yield Line(claim, "more", f"{mine}; theirs {quality(got, real, shown)}", agreed["edgekit"] > agreed[name])


def safe_range(data: Path, scratch: Path) -> Iterator[Line]:
    """What the weights lose that saturate nowhere, against the full range, and what that gives on this processor."""
    agreed: dict[str, list[float]] = {}
    for weights in (_keras(data), *hosted_rows(data)):
        if not weights.exists():
            yield Line(f"int8 safe range, {weights.stem}", "-", f"{weights} is missing", None)
            continue
        made, full = exported("mobilenet", weights, data), _full_range(weights, data, scratch)
        safe = made["onnx", "int8"]
        assert safe.manifest is not None
        shown = prepared(made["onnx", "fp32"], data)
        real, here = (answers(made["onnx", precision], shown) for precision in ("fp32", "int8"))
        found = {"safe": here, "full range, exact sums": _exact(full, shown), "full range": answers(full, shown)}
        growth = safe.manifest.details["weight_pairs"]["growth"]
        each = "; ".join(f"{name} {quality(got, real, shown)}" for name, got in found.items())
        claim = f"{weights.stem}, onnx int8 on {_instructions()}, safe weights with exact sums"
        same = bool(np.array_equal(_exact(safe, shown), here))
        yield Line(
            claim, "the same answers", f"{'the same' if same else 'others'}; scales x {growth:.3f}; {each}", same
        )
        if weights != _keras(data):
            agreed.setdefault("growth", []).append(growth)
            for name, got in found.items():
                agreed.setdefault(name, []).append(_agreement(got, real))
        if weights == hosted_rows(data)[-3]:
            ratio, mine, other = latency(safe.path, full.path, 5)
            told = f"{ratio:.3f} ({mine:.2f} ms, {other:.2f} ms)"
            yield Line(f"{weights.stem}, safe over full range, latency, one thread", "<= 1.03", told, ratio <= 1.03)
    if agreed:
        told = ", ".join(f"{name} {np.mean(found):.3f}" for name, found in agreed.items())
        lost = float(np.mean(agreed["full range, exact sums"]) - np.mean(agreed["safe"]))
        yield Line("hosted networks: agreement with fp32 that the safe range costs", "<= 0.01", told, lost <= 0.01)


def _keras(data: Path) -> Path:
    return data / "weights" / "mobilenet_0.25_128_keras.h5"


def _full_range(weights: Path, data: Path, scratch: Path) -> Artifact:
    made = edgekit.export(
        "mobilenet",
        weights=str(weights),
        format=["onnx"],
        precision=["int8"],
        data=data / "imagenet_calibration",
        int8_range="full",
        out=scratch / "full",
    )
    if made.failed:
        raise made.failed[0].error
    return made.artifacts[0]


def _exact(artifact: Artifact, shown: Images) -> Array:
    """What an ONNX file answers where no sum of products saturates."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(str(artifact.path), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in laid_out(shown, "onnx")])


def _agreement(got: Array, real: Array) -> float:
    return float(np.mean(got.argmax(1) == real.argmax(1)))


def _instructions() -> str:
    return ", ".join(edgekit.doctor().machine["features"] or ["unknown instructions"])
