"""Sections of `make bench-self`: int8 ONNX files on this processor's kernels, and what it costs that none saturates.

Sums are exact in onnxruntime with the session option `session.x64quantprecision`, on every processor: what a file gives
so is what it gives with VNNI.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import edgekit
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import pair_cost, quantize
from edgekit.records.formats import FORMATS
from scripts.bench_helpers import Line, images, latency
from scripts.int8.causes import network
from scripts.int8.quality import (
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
SCHEMES = ("onnxruntime", "onnxruntime-vnni")  # of safe weights and of the full range


def kernels(data: Path, scratch: Path) -> Iterator[Line]:
    """Int8 ONNX files by edgekit and by `quantize_static` on this processor's kernels: what saturates agrees less."""
    for weights in _networks(data):
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
    """What the weights lose that saturate nowhere, against the full range, and what that gives on this processor.

    The files are written without the proof, which refuses a file of the full range where it saturates.
    """
    for weights in _networks(data):
        if not weights.exists():
            yield Line(f"int8 safe range, {weights.stem}", "-", f"{weights} is missing", None)
            continue
        one, real, safe, full = network(weights, data), *(scratch / f"{name}.onnx" for name in ("fp32", "safe", "full"))
        FORMATS["onnx"].write(WriteJob(one.graph, "fp32"), real)
        made = {
            path: quantize(one.graph, one.ranges, scheme) for path, scheme in zip((safe, full), SCHEMES, strict=True)
        }
        for path, quantized in made.items():
            FORMATS["onnx"].write(WriteJob(quantized.graph, "int8", quantized), path)
        want, here, as_full = (run_onnx(path, one.shown.inputs) for path in (real, safe, full))
        exact, best = (_exact(path, one.shown.inputs) for path in (safe, full))
        name, same = f"{weights.stem}, onnx int8 on {_instructions()}", bool(np.array_equal(exact, here))
        yield Line(f"{name}, safe weights with exact sums", "the same answers", "the same" if same else "others", same)
        lost, cost = _agreement(best, want) - _agreement(here, want), pair_cost(made[safe])
        assert cost is not None
        told = f"{quality(here, want, one.shown)}; full range with exact sums {quality(best, want, one.shown)}, as it "
        told += f"runs here {quality(as_full, want, one.shown)}; scales x {cost['growth']:.3f}"
        yield Line(f"{name}, agreement with fp32 that safe weights cost", "<= 0.01", told, lost <= 0.01)
        ratio, mine, other = latency(safe, full, 5)
        told = f"{ratio:.3f} ({mine:.2f} ms, {other:.2f} ms)"
        yield Line(f"{name}, safe over full range, latency, one thread, 5 pairs", "<= 1.03", told, ratio <= 1.03)


def _networks(data: Path) -> list[Path]:
    """One that was never trained for int8, and one that was."""
    return [data / "weights" / "mobilenet_0.25_128_keras.h5", *hosted_rows(data)[5:6]]


def _exact(path: Path, inputs: Array) -> Array:
    """What an ONNX file answers where no sum of products saturates."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in inputs])


def _agreement(got: Array, real: Array) -> float:
    return float(np.mean(got.argmax(1) == real.argmax(1)))


def _instructions() -> str:
    return ", ".join(edgekit.doctor().machine["features"] or ["unknown instructions"])
