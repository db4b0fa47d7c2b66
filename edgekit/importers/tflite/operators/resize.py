"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR, by the three rules that TensorFlow has had for where elements lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, first, maps
from edgekit.importers.onnx.node import Node as OnnxNode
from edgekit.importers.onnx.operators.resize import resize
from edgekit.importers.tflite.node import Node


def bilinear(n: Node, x: Held, size: Held) -> Held:
    """Corners on corners, centers on centers, or, as TensorFlow 1 did, first elements on first elements."""
    data, wanted = first(x), _wanted(n, x, size)
    corners, centers = bool(n.get("AlignCorners", False)), bool(n.get("HalfPixelCenters", False))
    if corners or centers:
        return maps(F.interpolate(data, wanted, mode="bilinear", align_corners=corners))
    said = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    node = OnnxNode(n.name, "Resize", (), (), 21, attributes=said)
    return maps(resize(node, data, None, None, torch.tensor([*data.shape[:2], *wanted])))


def nearest(n: Node, x: Held, size: Held) -> Held:
    data, wanted = first(x), _wanted(n, x, size)
    corners, centers = bool(n.get("AlignCorners", False)), bool(n.get("HalfPixelCenters", False))
    places = [_places(have, want, corners, centers) for have, want in zip(data.shape[2:], wanted, strict=True)]
    for mode in ("nearest", "nearest-exact"):
        pairs = zip(places, data.shape[2:], wanted, strict=True)
        if all(taken == _torchs(have, want, mode) for taken, have, want in pairs):
            return maps(F.interpolate(data, wanted, mode=mode))
    for dim, taken in enumerate(places, start=2):
        data = data.index_select(dim, torch.tensor(taken))
    return maps(data)


def _wanted(n: Node, x: Held, size: Held) -> tuple[int, ...]:
    wanted = n.integers(size, "size")
    if len(wanted) != 2 or min(wanted) < 1 or x.rank != 4:
        raise n.refusal(f"makes a map of {wanted}", "get or export the file again")
    n.sized([x.shape[0], *wanted, x.shape[3]])
    return tuple(wanted)


def _places(have: int, want: int, corners: bool, centers: bool) -> list[int]:
    """Which element stands at each place, in float32 as the kernel computes it."""
    at = np.arange(want, dtype=np.float32)
    if corners and want > 1:
        scale = np.float32((have - 1) / (want - 1))
        found = np.floor(at * scale + np.float32(0.5))
    else:
        found = np.floor((at + np.float32(0.5 if centers else 0)) * (np.float32(have) / np.float32(want)))
    return [min(int(place), have - 1) for place in found]


def _torchs(have: int, want: int, mode: str) -> list[int]:
    line: Tensor = torch.arange(have, dtype=torch.float32).reshape(1, 1, -1)
    return [int(place) for place in F.interpolate(line, want, mode=mode).reshape(-1).tolist()]
