"""What values each tensor of the folded network takes on the calibration images: the ground of every int8 file.

True minima and maxima, not a moving average of them, which saturates the logits. Recorded once per network and set,
kept by content in the user's cache folder, and shared by all schemes.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.data.calibration import CalibrationSet
from edgekit.errors import UsageError
from edgekit.exporters.int8.masks import finite_extremes, infinite
from edgekit.exporters.int8.output_channels import apart, channel_axes
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import OwnIntegers
from edgekit.util.files import cache_folder

MAX_BATCH = 16  # images at a time
BATCH_BYTES = 64 << 20  # of the largest activation in a batch: VGG-16 at 224 goes 4 at a time
WIDE_SPREAD = 0.25  # between halves of the set: above it, more images would change the ranges
_VERSION = 3  # of the cache's content

Seen = Callable[[int, int], None]


@dataclass(frozen=True)
class Ranges:
    """Extremes and means over the calibration images.

    `extremes` is (low, high) for each tensor that exists, by operator name. `windows` is, for each conv and linear by
    name, the mean of the input that each of its weights meets (input channels, *kernel), padding counted as zeros.
    `spread` is how far the widths differ between the two halves of the set, relative to the wider one, at the 90th
    percentile of the tensors; None for ranges from a file. `images` are there to measure on, where there are any and
    the network takes several at once. `channels` says of what an output is made of how many times one of its channels
    is larger than another (output_channels).
    """

    extremes: Mapping[str, tuple[float, float]]
    windows: Mapping[str, Tensor]
    n: int
    spread: float | None
    source: str = "data"  # or "file"
    images: CalibrationSet | None = field(default=None, compare=False)
    own: OwnIntegers | None = field(default=None, compare=False)  # of a quantized file, kept where they are given
    channels: Mapping[str, float] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about them."""
        if self.spread is None or self.spread <= WIDE_SPREAD:
            return ()
        return (
            f"the ranges of the two halves of the {self.n} calibration images differ by {self.spread:.0%}: "
            "more images would give safer ones",
        )


def record(graph: Graph, images: CalibrationSet, seen: Seen | None = None) -> Ranges:
    """Run the folded graph over the set, or read what an earlier run kept.

    `seen` hears how many images of how many were run.

    Raises UsageError for an activation that is not finite, naming the layer.
    """
    kept = _kept_path(graph, images)
    ranges = _read(kept) if kept is not None else None
    if ranges is None:
        ranges = _measure(graph, images, seen)
        if kept is not None:
            _keep(kept, ranges)
    return replace(ranges, images=images if graph.takes_several else None)


def from_file(
    graph: Graph, told: Mapping[str, tuple[float, float]], recorded: Ranges, own: OwnIntegers | None = None
) -> Ranges:
    """Return the recorded ranges, replaced by those that a file carries (by operator name) where it has them.

    With the file's `own` integers, their scales are kept too, and biases are not measured anew. Raises UsageError when
    the file names no layer of the graph.
    """
    known = {op.name for op in graph}
    fitting = {name: pair for name, pair in told.items() if name in known}
    if not fitting:
        raise UsageError("the weights file carries no activation ranges", "leave --ranges out: they come from --data")
    followers = {producer: op.name for producer, op in fused_activations(graph).items()}
    moved = {followers.get(name, name): pair for name, pair in fitting.items()}
    images = recorded.images if own is None else None
    extremes = {**recorded.extremes, **moved}
    return replace(recorded, extremes=extremes, spread=None, source="file", images=images, own=own)


@torch.no_grad()
def _measure(graph: Graph, images: CalibrationSet, tell: Seen | None) -> Ranges:
    watch = _Watch(graph)
    seen = 0
    largest = 4 * max(math.prod(op.shape[1:]) for op in graph)
    together = min(max(BATCH_BYTES // largest, 1), MAX_BATCH, -(-images.n // 2)) if graph.takes_several else 1
    for batch in images.inputs(together):
        watch.half = 0 if 2 * seen < images.n else 1
        xs = [torch.from_numpy(x) for x in batch]
        # torch's depthwise convolutions are twice as fast on this layout.
        xs = [x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in xs]
        graph.run(*xs, observe=watch)
        seen += len(xs[0])
        if tell is not None:
            tell(seen, images.n)
    windows = {op.name: window_mean(op, graph.tensors(op)["weight"], watch.mean(op.inputs[0])) for op in watch.readers}
    return Ranges(watch.extremes(), windows, seen, watch.spread(), channels=watch.channels())


class _Watch:
    """Looks at each tensor as it is computed."""

    def __init__(self, graph: Graph) -> None:
        self.half = 0
        self.readers = [op for op in graph if op.kind in ("conv", "linear")]
        self._fused = set(fused_activations(graph))
        self._masked = infinite(graph)
        self._axes = channel_axes(graph)
        self._sizes: dict[tuple[str, int], Tensor] = {}
        self._meant = {op.inputs[0] for op in self.readers}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._halves: dict[str, list[tuple[float, float] | None]] = {}

    def __call__(self, op: Op, y: Tensor) -> None:
        if not y.is_floating_point():
            return
        if op.name not in self._fused:
            self._extreme(op, y)
            self._channels(op, y)
        if op.name in self._meant:
            y = y[None] if y.dim() == 1 else y
            total = as_it_lies(y).sum(0, keepdim=True)
            self._sums[op.name] = self._sums.get(op.name, 0) + (total.movedim(-1, 1) if _lies_turned(y) else total)
            self._counts[op.name] = self._counts.get(op.name, 0) + y.shape[0]

    def _extreme(self, op: Op, y: Tensor) -> None:
        # The integers' own end stands for the infinity of a padding.
        if op.name in self._masked or (op.kind == "pad" and math.isinf(op.attrs["value"])):
            low, high = finite_extremes(y)
        else:
            low, high = (float(value) for value in torch.aminmax(as_it_lies(y)))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UsageError(
                f"layer {op.name} gives values that are not finite on the calibration images",
                "check the weights and the images' preprocessing; int8 needs finite ranges",
            )
        halves = self._halves.setdefault(op.name, [None, None])
        before = halves[self.half]
        halves[self.half] = (low, high) if before is None else (min(low, before[0]), max(high, before[1]))

    def _channels(self, op: Op, y: Tensor) -> None:
        for axis in self._axes.get(op.name, ()):
            sizes = y.abs().amax([one for one in range(y.dim()) if one != axis])
            before = self._sizes.get((op.name, axis))
            self._sizes[op.name, axis] = sizes if before is None else torch.maximum(before, sizes)

    def mean(self, name: str) -> Tensor:
        """Return the mean over the images (1, C, *spatial)."""
        return self._sums[name] / self._counts[name]

    def extremes(self) -> dict[str, tuple[float, float]]:
        """Over both halves."""
        found = {name: [half for half in halves if half] for name, halves in self._halves.items()}
        return {name: (min(low for low, _ in both), max(high for _, high in both)) for name, both in found.items()}

    def channels(self) -> dict[str, float]:
        """Return how many times one channel is larger than another, by operator name."""
        each: dict[str, list[Tensor]] = {}
        for (name, _), sizes in self._sizes.items():
            each.setdefault(name, []).append(sizes)
        return {name: apart(sizes) for name, sizes in each.items()}

    def spread(self) -> float | None:
        """How far the halves' ranges differ, relative to the wider one, at the 90th percentile of the tensors."""
        differences = []
        for first, second in self._halves.values():
            if first is None or second is None:
                return None
            widths = sorted(high - low for low, high in (first, second))
            differences.append(1 - widths[0] / widths[1] if widths[1] > 0 else 0.0)
        return float(np.quantile(differences, 0.9)) if differences else None


def as_it_lies(y: Tensor) -> Tensor:
    """The same values with axes in the order of memory: torch copies a channels-last tensor before it reduces it."""
    return y.movedim(1, -1) if _lies_turned(y) else y


def _lies_turned(y: Tensor) -> bool:
    return y.dim() == 4 and not y.is_contiguous() and y.is_contiguous(memory_format=torch.channels_last)


def window_mean(op: Op, weight: Tensor, mean: Tensor) -> Tensor:
    """Return the mean input that each weight meets, over all places where the kernel is put.

    From the mean image (1, C, *spatial); a linear layer gives (in,), a convolution (C, *kernel). Each kernel offset
    looks at one strided part of the padded image.
    """
    if op.kind == "linear":
        return mean.reshape(-1, mean.shape[-1]).mean(0)
    kernel, a = tuple(weight.shape[2:]), op.attrs
    padded = F.pad(mean[0], [amount for pair in reversed(a["padding"]) for amount in pair])
    windows = torch.empty(mean.shape[1], *kernel)
    for offset in np.ndindex(*kernel):
        part = padded
        for axis, (at, out) in enumerate(zip(offset, op.shape[2:], strict=True)):
            start, step = at * a["dilation"][axis], a["stride"][axis]
            part = part.narrow(axis + 1, start, (out - 1) * step + 1)
            part = part[(slice(None),) * (axis + 1) + (slice(None, None, step),)]
        windows[(slice(None), *offset)] = part.flatten(1).mean(1)
    return windows


# Kept by content


def _kept_path(graph: Graph, images: CalibrationSet) -> Path | None:
    """None for a graph with a function of the user's in it, whose content cannot be hashed."""
    digest = graph_hash(graph)
    if digest is None:
        return None
    name = hashlib.sha256(f"{_VERSION} {digest} {images.hash} {images.n}".encode()).hexdigest()[:32]
    return cache_folder() / "ranges" / f"{name}.npz"


def graph_hash(graph: Graph) -> str | None:
    """Return the digest of operators and tensors; None where an operator is a function."""
    digest = hashlib.sha256()
    for op in graph:
        if op.kind == "call":
            return None
        digest.update(repr((op.name, op.kind, op.inputs, op.shape, dict(op.params), dict(op.attrs))).encode())
    for name, tensor in graph.params.items():
        array = np.asarray(tensor.detach().numpy(), order="C")
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _keep(path: Path, ranges: Ranges) -> None:
    content: dict[str, Any] = {
        "names": np.array(list(ranges.extremes)),
        "extremes": np.array(list(ranges.extremes.values())),
        "channels": np.array(list(ranges.channels)),
        "apart": np.array(list(ranges.channels.values())),
        "n": ranges.n,
        "spread": math.nan if ranges.spread is None else ranges.spread,
    } | {f"window {name}": window.numpy() for name, window in ranges.windows.items()}
    with suppress(OSError):  # a cache that cannot be written costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **content)
        Path(draft).replace(path)


def _read(path: Path) -> Ranges | None:
    """What was kept, or None: nothing, or nothing that can be read."""
    try:
        with path.open("rb") as stream, np.load(stream) as content:
            spread = float(content["spread"])
            pairs = zip(content["names"].tolist(), content["extremes"].tolist(), strict=True)
            return Ranges(
                {name: (low, high) for name, (low, high) in pairs},
                {key[7:]: torch.from_numpy(content[key]) for key in content.files if key.startswith("window ")},
                int(content["n"]),
                None if math.isnan(spread) else spread,
                channels=dict(zip(content["channels"].tolist(), content["apart"].tolist(), strict=True)),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
