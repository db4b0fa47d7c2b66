"""Mixed precision: keep in float what int8 hurts most, until the drop in top-1 is within its limit.

What hurts is a tensor whose values one scale cannot hold. Each is left unrounded in turn, and ranked by how much noise
that takes from the output. The operators that make and read the worst 1, 2, 4, ... tensors go to float, and the loss is
measured after each step in simulation, on labeled images of the calibration folder that were not calibrated on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.data.calibration import CalibrationSet
from edgekit.data.classes import by_group
from edgekit.data.images import Sample, find, pixel_hash
from edgekit.data.unreadable import Unreadable
from edgekit.errors import GateFailed, UsageError
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges
from edgekit.exporters.int8.simulate import runner
from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.preprocessing import Preprocessing, apply
from edgekit.records.runtime import Session, own_time
from edgekit.stats.accuracy import gained
from edgekit.stats.limit import CANNOT_TELL, Held
from edgekit.stats.proportions import PairedDifference, paired_difference
from edgekit.util.formatting import shape_text

GMACS = 150.0  # what one measuring of the loss may cost
MIN_IMAGES, MAX_IMAGES = 50, 500
WARMUP, ROUNDS = 5, 30  # of timing two files in turn
MOVERS = frozenset({"relu", "clip", "max_pool", "reshape", "pad", "slice", "permute"})  # the same values, elsewhere


@dataclass(frozen=True)
class Judged:
    """Labeled images that no range was taken from, ready for the network: (N, C, H, W) float32."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]  # output indices
    float_hits: NDArray[np.bool_]


@dataclass(frozen=True)
class Drop:
    """Points of top-1 that int8 is under fp32 on the same held-out images, against the limit; below 0 it is above."""

    difference: PairedDifference  # fp32 less int8, as fractions
    limit: float

    @property
    def held(self) -> Held:
        """The drop as a fraction, against its limit."""
        return Held(self.difference.difference, self.difference.ci95, self.difference.n, self.limit / 100)

    @property
    def points(self) -> float:
        """As measured."""
        return self.difference.difference * 100

    def __str__(self) -> str:
        text = f"{gained(self.held, 'fp32')} on {self.difference.n} held-out images"
        doubt = self.held.doubt()
        return f"{text}: these cannot tell whether it is within {self.limit:g}; {doubt}" if doubt else text

    def to_json(self) -> dict[str, Any]:
        """{"verdict", "points", "ci95", "n", "limit", "enough"} for the manifest."""
        return {
            "verdict": self.held.verdict,
            "points": self.points,
            "ci95": [100 * bound for bound in self.difference.ci95],
            "n": self.difference.n,
            "limit": self.limit,
            "enough": self.held.enough if self.held.verdict == CANNOT_TELL else None,
        }


@dataclass(frozen=True)
class Mixed:
    """An int8 network whose measured drop is within the limit, and the layers that stay in float."""

    quantized: QuantizedGraph
    kept_float: tuple[str, ...]
    drop: Drop

    def note(self, scheme: str) -> str:
        """Return one line for the person who asked."""
        layers = (
            f"{len(self.kept_float)} layers stay in float: {', '.join(self.kept_float)}"
            if self.kept_float
            else ("no layer had to stay in float")
        )
        return f"int8 ({scheme}) has {self.drop}; {layers}"


@dataclass(frozen=True)
class FloatCost:
    """Median milliseconds of one inference, run in turn, one thread."""

    int8_ms: float
    mixed_ms: float

    def note(self, format: str) -> str:
        """Return one line for the person who asked."""
        return (
            f"the float layers cost {self.mixed_ms / self.int8_ms - 1:+.0%} of latency in {format}: "
            f"{self.int8_ms:.2f} ms all in int8, {self.mixed_ms:.2f} ms mixed (medians of {ROUNDS}, in turn)"
        )


def float_cost(int8: Session, mixed: Session) -> FloatCost:
    """Time two open files against each other; a guide, not a measurement for the store."""
    sessions = [int8, mixed]
    inputs = [
        np.zeros([max(size, 1) for size in session.inputs[0].shape], session.inputs[0].dtype) for session in sessions
    ]
    samples: list[list[int]] = [[], []]
    for _ in range(ROUNDS + WARMUP):
        for session, x, found in zip(sessions, inputs, samples, strict=True):
            began = time.perf_counter_ns()
            session.run([x])
            took = time.perf_counter_ns() - began
            found.append(own_time(session) or took)
    plain, kept = (float(np.median(found[WARMUP:])) / 1e6 for found in samples)
    return FloatCost(plain, kept)


def within(
    limit: float,
    graph: Graph,
    ranges: Ranges,
    scheme: str,
    effort: str,
    judged: Judged,
    pixels: Preprocessing | None = None,
) -> Mixed:
    """Return the int8 network with as few float layers as bring its measured drop within `limit` points.

    Whether so many images can tell that it is within is the drop's verdict. Raises GateFailed when not even every layer
    in float is within it.
    """
    quantized = quantize(graph, ranges, scheme, effort, pixels=pixels)
    drop = _drop(quantized, judged, limit)
    if drop.held.is_held:
        return Mixed(quantized, (), drop)
    order = _worst_tensors(graph, quantized, judged.inputs)
    count = 1
    while True:
        kept = set().union(*(_around(graph, name) for name in order[:count]))
        quantized = quantize(graph, ranges, scheme, effort, keep_float=kept, pixels=pixels)
        drop = _drop(quantized, judged, limit)
        if drop.held.is_held:
            layers = tuple(op.name for op in graph if op.name in kept and op.kind not in MOVERS)
            return Mixed(quantized, layers, drop)
        if count >= len(order):
            raise GateFailed(
                f"int8 has {drop}, even with every layer in float",
                "calibrate with more images, or raise --max-drop",
            )
        count = min(2 * count, len(order))


def check_output(graph: Graph) -> None:
    """Raises UsageError for a network whose top-1 cannot be measured."""
    last = graph[graph.output]
    if len(last.shape) != 2 or last.shape[1] < 2 or not last.dtype.is_floating_point:
        given = shape_text(last.shape) + f" in {str(last.dtype).removeprefix('torch.')}"
        raise UsageError(
            f"--max-drop is for one score per class, and the network gives {given}",
            "leave --max-drop out",
        )


def held_out(
    graph: Graph, macs: int, calibration: CalibrationSet, folder: Path, class_offset: int, names: Sequence[str] = ()
) -> Judged:
    """Labeled images of the folder that are not in the calibration set.

    Raises UsageError when they are too few, when a label is none of the network's outputs, or as `check_output` does.
    """
    check_output(graph)
    outputs = graph[graph.output].shape[1]
    wanted = int(np.clip(GMACS * 1e9 / max(macs, 1), MIN_IMAGES, MAX_IMAGES))
    known, size = set(calibration.pixels), graph.input.shape[-2:]
    inputs: list[NDArray[np.float32]] = []
    labels: list[int] = []
    samples = find(folder)
    groups = _groups(samples, names[class_offset:], outputs - class_offset)
    for sample in _shuffled(samples):
        if len(labels) == wanted:
            break
        label = groups.get(sample.group, sample.label)
        assert label is not None
        if not 0 <= label + class_offset < outputs:
            raise UsageError(
                f"{sample.name} is of class {label}, and the network has {outputs} outputs"
                + (f" with a class offset of {class_offset}" if class_offset else ""),
                "correct the labels or class offset, or leave --max-drop out",
            )
        try:
            image = sample.load(alpha=calibration.preprocessing.has_alpha)
        except Unreadable:  # the calibration says how many there are
            continue
        if pixel_hash(image) not in known:
            inputs.append(apply(calibration.preprocessing, image, (size[0], size[1])))
            labels.append(label + class_offset)
    if len(labels) < MIN_IMAGES:
        raise UsageError(
            f"--max-drop has {len(labels)} labeled images beside the calibration set, {MIN_IMAGES} are needed",
            "add images to the --data folder",
        )
    x, y = np.stack(inputs), np.array(labels)
    x = x.astype(str(graph.input.dtype).removeprefix("torch."))
    return Judged(x, y, _hits(graph, graph.run, x, y))


def _groups(samples: Sequence[Sample], names: Sequence[str], classes: int) -> dict[str, int]:
    """The class of each group of images whose class its name says, as an evaluation takes it."""
    try:
        return by_group("the network", samples, names, classes, False)
    except UsageError as error:
        raise UsageError(
            f"--max-drop needs labels: {error.message}",
            "give labels.csv, or a sub-folder for each class: called like the names of --labels, or with classes.txt",
        ) from error


def _shuffled(samples: Sequence[Sample]) -> Iterator[Sample]:
    order = np.random.default_rng(0).permutation(len(samples))
    return (samples[index] for index in order)


@torch.no_grad()
def _hits(
    graph: Graph, run: Callable[[Tensor], Tensor], x: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    best = [run(part).argmax(1).numpy() for part in _parts(graph, torch.from_numpy(x))]
    hits: NDArray[np.bool_] = np.concatenate(best) == labels
    return hits


def _parts(graph: Graph, x: Tensor) -> Sequence[Tensor]:
    """The images in batches that the network takes."""
    size = 16 if graph.takes_several else 1
    return [x[start : start + size] for start in range(0, len(x), size)]


def _drop(quantized: QuantizedGraph, judged: Judged, limit: float) -> Drop:
    hits = _hits(quantized.graph, runner(quantized), judged.inputs, judged.labels)
    return Drop(paired_difference(judged.float_hits.tolist(), hits.tolist()), limit)


@torch.no_grad()
def _worst_tensors(graph: Graph, quantized: QuantizedGraph, images: NDArray[np.float32]) -> list[str]:
    """Rounded tensors, the one whose rounding costs the output most first."""
    names = [name for name in quantized.activations if name != graph.input.name]
    macs = sum(graph.params[op.params["weight"]].numel() for op in graph if "weight" in op.params)  # a lower bound
    few = images[: int(np.clip(GMACS * 1e9 / (macs * max(len(names), 1)), 2, 16))]
    parts = _parts(graph, torch.from_numpy(few))
    wants, rounded = [graph.run(x) for x in parts], _with_rounded_weights(graph, quantized)

    def noise_without(name: str) -> float:
        def rounding(op: Op, y: Tensor) -> Tensor | None:
            params = quantized.activations.get(op.name)
            exact = op.name == name or (op.kind == "input" and quantized.input_offset is not None)
            return params.fake(y) if params and not exact else None

        return sum(
            float((rounded.run(x, observe=rounding) - want).square().sum())
            for x, want in zip(parts, wants, strict=True)
        )

    noise = {name: noise_without(name) for name in names}
    return sorted(names, key=noise.__getitem__)


def _with_rounded_weights(graph: Graph, quantized: QuantizedGraph) -> Graph:
    real = {graph[name].params["weight"]: weight.real() for name, weight in quantized.weights.items()}
    return Graph(graph.ops, graph.outputs, {**graph.params, **real})


def _around(graph: Graph, tensor: str) -> set[str]:
    """The operators that make and read a tensor; what only moves its values along is looked through both ways."""
    ops, readers = graph.by_name, graph.consumers
    found, name = {tensor}, tensor
    while ops[name].kind in MOVERS and ops[name].inputs[0] != graph.input.name:
        name = ops[name].inputs[0]
        found.add(name)
    waiting = list(found)
    while waiting:
        for reader in readers[waiting.pop()]:
            if reader.name not in found:
                found.add(reader.name)
                waiting += [reader.name] if reader.kind in MOVERS else []
    return found
