"""The bytes of exported files, so that a change of the code that should change none of them is seen to change none.

Weights and ranges are fixed numbers: whole numbers over powers of two, drawn with integers alone, and BatchNorms whose
factor is a power of two. No sum of floats decides anything, so the bytes are the same on every processor, with whatever
vector instructions. What calibration measures is therefore not in them; the tests of ranges and of rounding have it.
Accept new bytes with EDGEKIT_ACCEPT=1, and say in the commit why they changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges
from edgekit.exporters.int8.weights_only import weights_only
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant
from edgekit.network.user_model import find
from edgekit.records.preprocessing import Preprocessing
from tests.exporters.small_networks import NETWORKS as SMALL
from tests.exporters.small_networks import SHAPE, head
from tests.paths import GOLDENS

GOLDEN = GOLDENS / "exported_bytes.json"
# One small member of each family whose folded graph has forms of its own: name, alpha, resolution (None: the
# network's own). The other families are made of the forms of these, and a row of a large one takes seconds.
NETWORKS: tuple[tuple[str, float | None, int | None], ...] = (
    ("lenet5", None, None),
    ("nin", None, 64),
    ("squeezenet1_1", None, 64),
    ("googlenet_bn", None, 64),
    ("inception_3a", None, None),
    ("mobilenet", 0.25, 96),
    ("mobilenet_v2", 0.35, 64),
    ("mnasnet", 0.5, 64),
    ("efficientnet_b0", None, 64),
    ("densenet40_12_cifar", None, None),
    ("resnet20_cifar", None, None),
    ("nasnet_mobile", None, 32),
    ("pnasnet_mobile", None, 32),
    ("darts", None, 32),
)
OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{name: (build, SHAPE) for name, build in SMALL.items()},
    "volumes": (
        lambda: nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.AdaptiveAvgPool3d(1), *head(8)[1:]
        ),
        (1, 3, 4, 12, 12),
    ),
}
LABELS = tuple(f"class {index}" for index in range(10))
FILES = {  # name of the row in the golden file: format, precision, int8 scheme
    "onnx fp32": ("onnx", "fp32", None),
    "onnx fp16": ("onnx", "fp16", None),
    "onnx int8": ("onnx", "int8", "onnxruntime"),
    "onnx int8 for tensorrt": ("onnx", "int8", "tensorrt"),
    "tflite fp32": ("tflite", "fp32", None),
    "tflite fp16": ("tflite", "fp16", None),
    "tflite int8": ("tflite", "int8", "tflite"),
}
PIXELS = Preprocessing()
OPTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "onnx dynamic batch": ("onnx", "fp32", {"dynamic_batch": True}),
    "onnx opset 13": ("onnx", "fp32", {"opset": 13}),
    "onnx labels": ("onnx", "fp32", {"labels": LABELS, "preprocessing": PIXELS, "description": "small"}),
    "tflite dynamic batch": ("tflite", "fp32", {"dynamic_batch": True}),
    "tflite labels": ("tflite", "fp32", {"labels": LABELS, "preprocessing": PIXELS, "description": "small"}),
    "onnx int8w": ("onnx", "int8w", {}),
    "tflite int8w": ("tflite", "int8w", {}),
    "tflite int8 pixels": ("tflite", "int8", {"io": "uint8", "preprocessing": PIXELS}),
}


def _fill(network: nn.Module) -> None:
    random = np.random.default_rng(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            whole = random.integers(-127, 128, tuple(tensor.shape))
            if name.endswith("running_var"):
                whole = np.full_like(whole, 256)
            tensor.copy_(torch.from_numpy(np.asarray(whole / 256, np.float32)))
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_var is not None
                module.weight.copy_(torch.sqrt(module.running_var + module.eps))


def _ranges(graph: Graph) -> Ranges:
    """A range for each operator, by its place: -1.5 .. 2 or so, and 0 .. 2 after what is never negative."""

    def extremes(place: int, op: Op) -> tuple[float, float]:
        positive = op.kind in ("relu", "clip", "sigmoid", "softmax", "hardsigmoid")
        return (0.0 if positive else -1.0 - place % 5 / 8, 2.0 + place % 7 / 4)

    return Ranges({op.name: extremes(place, op) for place, op in enumerate(graph)}, {}, 1, None)


@cache
def _graph(name: str, alpha: float | None = None, resolution: int | None = None) -> Graph:
    if name in OTHERS:
        build, shape = OTHERS[name]
    else:
        point = variant(find(name, None), alpha=alpha, resolution=resolution)
        build, shape = point.build, point.input_shape
    network = build().eval()
    _fill(network)
    return fold(trace(network, shape)).graph


def _hash(job: WriteJob, format: str, folder: Path) -> str:
    FORMATS[format].write(job, folder / "n")
    return hashlib.sha256((folder / "n").read_bytes()).hexdigest()[:16]


def _check(name: str, found: dict[str, str]) -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    if os.environ.get("EDGEKIT_ACCEPT"):
        golden[name] = found
        GOLDEN.write_text(json.dumps(golden, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert golden.get(name) == found, "to accept this, run again with EDGEKIT_ACCEPT=1"


@pytest.mark.parametrize(
    ("name", "alpha", "resolution"), [*NETWORKS, *((name, None, None) for name in OTHERS)], ids=lambda value: str(value)
)
def test_the_bytes_of_a_network_are_the_golden_ones(
    name: str, alpha: float | None, resolution: int | None, tmp_path: Path
) -> None:
    graph = _graph(name, alpha, resolution)
    ranges, found = _ranges(graph), {}
    for row, (format, precision, scheme) in FILES.items():
        quantized = quantize(graph, ranges, scheme, "fast") if scheme else None
        job = WriteJob(quantized.graph if quantized else graph, precision, quantized)
        found[row] = _hash(job, format, tmp_path)
    _check(name, found)


def test_the_bytes_of_options_are_the_golden_ones(tmp_path: Path) -> None:
    graph, found = _graph("separable"), {}
    for row, (format, precision, options) in OPTIONS.items():
        quantized = weights_only(graph) if precision == "int8w" else None
        if precision == "int8":
            quantized = quantize(graph, _ranges(graph), "tflite", "fast", pixels=options["preprocessing"])
        job = WriteJob(quantized.graph if quantized else graph, precision, quantized, **options)
        found[row] = _hash(job, format, tmp_path)
    _check("options", found)
