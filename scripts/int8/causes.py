"""Section of `make bench-self`: what int8 costs a TFLite file part by part, beside what ONNX leaves in float."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.checkpoints.load import load, variant_of
from edgekit.data import calibration
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges, record
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.user_model import find
from edgekit.records.formats import FORMATS
from scripts.bench_helpers import Images, Line, images
from scripts.int8.quality import CALIBRATION_IMAGES, hosted_rows, laid_out
from tests.oracle.client import Array, run_tflite


@dataclass(frozen=True)
class Network:
    """A folded network with the ranges of its calibration images and the images that it is asked about."""

    graph: Graph
    ranges: Ranges
    shown: Images

    @property
    def layers(self) -> list[str]:
        """The layers with weights, in order."""
        return [op.name for op in self.graph if op.kind in ("conv", "linear")]


def causes(data: Path, scratch: Path) -> Iterator[Line]:
    """How often TFLite files agree with fp32 where some layers of the hosted networks stay in float."""
    rows = hosted_rows(data)
    if not rows:
        yield Line("int8 part by part", "-", f"{data}/mobilenet_v1_hosted is missing", None)
        return
    agreed: dict[str, list[bool]] = {}
    decibels: dict[str, list[float]] = {}
    for weights in rows:
        one = network(weights, data)
        real = _answers(one, None, scratch)
        for name, kept in _parts(one.layers).items():
            got = _answers(one, kept, scratch)
            agreed.setdefault(name, []).extend((got.argmax(1) == real.argmax(1)).tolist())
            decibels.setdefault(name, []).append(10 * np.log10(np.square(real).sum() / np.square(got - real).sum()))
    for name, found in agreed.items():
        share = float(np.mean(found))
        told = f"{share:.1%}, {np.mean(decibels[name]):.1f} dB"
        yield Line(f"tflite int8, {name}: agreement with fp32 of {len(found)} answers", ">= 95 %", told, share >= 0.95)


def _parts(layers: list[str]) -> dict[str, list[str]]:
    """The layers that stay in float, by what they are called."""
    return {
        "all in integers": [],
        "first convolution in float": layers[:1],
        "first two convolutions in float": layers[:2],
        "last layer in float": layers[-1:],
        "first two and last in float": [*layers[:2], layers[-1]],
    }


def network(weights: Path, data: Path) -> Network:
    """Fold a hosted network, and record its ranges."""
    point = variant_of(str(weights), find("mobilenet", None))
    module = point.build()
    wanted = load(module, point, str(weights)).preprocessing
    graph = fold(trace(module, point.input_shape)).graph
    chosen = calibration.from_folder(data / "imagenet_calibration", wanted, point.input_shape, n=CALIBRATION_IMAGES)
    return Network(graph, record(graph, chosen), images(data / "imagenet_val", wanted, point.input_shape))


def _answers(network: Network, kept: Collection[str] | None, scratch: Path) -> Array:
    """Of the network in int8 but for the layers that are kept in float; None: of fp32."""
    path = scratch / "part.tflite"
    if kept is None:
        job = WriteJob(network.graph, "fp32")
    else:
        quantized = quantize(network.graph, network.ranges, "tflite", keep_float=kept)
        job = WriteJob(quantized.graph, "int8", quantized)
    FORMATS["tflite"].write(job, path)
    return run_tflite(path, laid_out(network.shown, "tflite")).astype(np.float64)
