"""What the zoo claims on real weights: SqueezeNet 1.0 as its authors compressed it. See bench_self."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

import edgekit
from edgekit.checkpoints.load import load, variant_of
from edgekit.data.images import labeled
from edgekit.records import preprocessing as preprocess
from scripts.bench_helpers import Line, evaluated, paths, points

WEIGHTS = "squeezenet_1.0_deep_compression.npz"


def squeezenet(data: Path, scratch: Path) -> Iterator[Line]:
    """Top-1 of torch, ONNX and TFLite, each on the same images."""
    weights, images = data / "weights" / WEIGHTS, data / "imagenet_val"
    if not weights.exists() or not images.exists():
        yield Line("SqueezeNet 1.0", ">= 55 %", f"{weights} or {images} is missing", None)
        return
    files = paths(edgekit.export("squeezenet1_0", weights=str(weights)))
    result = evaluated(list(files.values()), images, scratch)
    found = {format: points(result, path) for (format, _), path in files.items()}
    found["torch"], count = _torch_points(weights, images)
    for name, top1 in found.items():
        claim = f"SqueezeNet 1.0 {name} fp32 on {count} validation images"
        yield Line(claim, ">= 55 %", f"{top1:.1f} %", top1 >= 55)
    apart = max(found.values()) - min(found.values())
    yield Line("SqueezeNet 1.0: torch, ONNX and TFLite apart", "<= 1 point", f"{apart:.2f} points", apart <= 1)


def _torch_points(weights: Path, images: Path) -> tuple[float, int]:
    """Top-1 in per cent of the torch network itself, neither folded nor exported."""
    point = variant_of(str(weights), "squeezenet1_0")  # at the file's own resolution
    network = point.build()
    preprocessing = load(network, point, str(weights)).preprocessing
    size = (point.resolution, point.resolution)
    samples = labeled(images)
    hits = 0
    with torch.no_grad():
        for sample in samples:
            x = torch.from_numpy(preprocess.apply(preprocessing, sample.load(), size))
            hits += int(network(x[None]).argmax()) == (sample.label or 0) + preprocessing.class_offset
    return 100 * hits / len(samples), len(samples)
