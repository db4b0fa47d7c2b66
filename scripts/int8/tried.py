"""Section of `make bench-self`: other ways to choose the integers of int8, beside the one that is used.

Each keeps the whole network in the same integer operators. The networks are the four narrowest hosted ones, which lose
most. What is compared is how often an int8 file agrees with fp32, image by image with the file that is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.activations import LOGIT_MARGIN
from edgekit.exporters.int8.bias_correction import measured_biases, sample
from edgekit.exporters.int8.level_rounding import level
from edgekit.exporters.int8.pair_sums import adds_in_pairs, fitted, from_kernel_order, in_kernel_order
from edgekit.exporters.int8.quantize import analytic_shifts, quantize, with_biases
from edgekit.exporters.int8.ranges import Ranges
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import WEIGHT_LIMIT, QParams, QuantizedGraph
from edgekit.records.formats import FORMATS
from edgekit.stats.accuracy import HIT1, MISS, paired
from scripts.bench_helpers import Line
from scripts.int8.causes import Network, network
from scripts.int8.quality import hosted_rows, interval, laid_out
from tests.oracle.client import Array, run_onnx, run_tflite

NETWORKS = 4
SCHEMES = {"tflite": "tflite", "onnx": "onnxruntime"}
RUN = {"tflite": run_tflite, "onnx": run_onnx}
VALUES = 1000  # of each tensor and image, evenly spread, that ranges are chosen by
PERCENTILE = 0.9999
FACTORS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)  # of the true range
LARGEST_FACTOR, NEEDED_FACTOR = 64.0, 4.0  # of a channel that is nearly dead
Form = Callable[[Network, str], QuantizedGraph]


def tried(data: Path, scratch: Path) -> Iterator[Line]:
    """How often files of each form agree with fp32, against the files that are written."""
    yield from _compared(hosted_rows(data)[:NETWORKS], FORMS, data, scratch)


def equalized(data: Path, scratch: Path) -> Iterator[Line]:
    """The same of all networks, where channels are scaled by a rule that these images had no part in."""
    yield from _compared(hosted_rows(data), EQUALIZED, data, scratch)


def _compared(rows: Sequence[Path], forms: Mapping[str, Form], data: Path, scratch: Path) -> Iterator[Line]:
    if not rows:
        yield Line("int8 tried", "-", f"{data}/mobilenet_v1_hosted is missing", None)
        return
    agreed: dict[tuple[str, str], str] = {}
    decibels: dict[tuple[str, str], list[float]] = {}
    for weights in rows:
        one = network(weights, data)
        for format, scheme in SCHEMES.items():
            real = _answers(one, format, None, scratch)
            for name, form in forms.items():
                got = _answers(one, format, form(one, scheme), scratch)
                same = got.argmax(1) == real.argmax(1)
                agreed[format, name] = agreed.get((format, name), "") + "".join(np.where(same, HIT1, MISS))
                decibel = 10 * np.log10(np.square(real).sum() / np.square(got - real).sum())
                decibels.setdefault((format, name), []).append(decibel)
    for (format, name), found in agreed.items():
        more = paired(agreed[format, USED], found)
        share = found.count(HIT1) / len(found)
        each = ", ".join(f"{decibel:.1f}" for decibel in decibels[format, name])
        told = f"{share:.1%}, {interval(more)}; {np.mean(decibels[format, name]):.2f} dB ({each})"
        claim = f"{format} int8, {name}: agreement with fp32 of {len(found)} answers, less that of what is written"
        yield Line(claim, "not above 0 by more than noise", told, more.ci95[0] <= 0)


def _answers(one: Network, format: str, quantized: QuantizedGraph | None, scratch: Path) -> Array:
    """What the int8 file answers; None: the fp32 file."""
    path = scratch / f"tried.{format}"
    job = WriteJob(one.graph, "fp32") if quantized is None else WriteJob(quantized.graph, "int8", quantized)
    FORMATS[format].write(job, path)
    return RUN[format](path, laid_out(one.shown, format)).astype(np.float64)


# Ranges


def _used(one: Network, scheme: str) -> QuantizedGraph:
    return quantize(one.graph, one.ranges, scheme)


def _no_room(one: Network, scheme: str) -> QuantizedGraph:
    """The output ends where the calibration images do."""
    (name,) = one.graph.outputs.values()
    low, high = one.ranges.extremes[name]
    room = (high - low) * LOGIT_MARGIN / (1 + 2 * LOGIT_MARGIN)
    return quantize(one.graph, _with(one.ranges, {name: (low + room, high - room)}), scheme)


def _percentile(one: Network, scheme: str) -> QuantizedGraph:
    """A few values in ten thousand are cut."""

    def narrowed(values: Tensor, low: float, high: float) -> tuple[float, float]:
        least, most = torch.quantile(values, torch.tensor([1 - PERCENTILE, PERCENTILE])).tolist()
        return max(least, low), min(most, high)

    return quantize(one.graph, _chosen(one, narrowed), scheme)


def _least_error(one: Network, scheme: str) -> QuantizedGraph:
    """Each tensor has the part of its range that leaves the least mean square error."""

    def narrowed(values: Tensor, low: float, high: float) -> tuple[float, float]:
        def error(factor: float) -> float:
            step = factor * (high - low) / 255
            grid = QParams(step, -128 - round(factor * low / step))
            return float((grid.fake(values) - values).square().mean())

        best = min(FACTORS, key=error)
        return low * best, high * best

    return quantize(one.graph, _chosen(one, narrowed), scheme)


def _chosen(one: Network, choose: Callable[[Tensor, float, float], tuple[float, float]]) -> Ranges:
    """The ranges with another for each tensor inside; of logits and input they stay."""
    found = {}
    for name, values in _values(one).items():
        low, high = one.ranges.extremes[name]
        if high > low and not one.graph.is_output(name) and one.graph[name].kind != "input":
            found[name] = choose(values, low, high)
    return _with(one.ranges, found)


def _with(ranges: Ranges, extremes: Mapping[str, tuple[float, float]]) -> Ranges:
    return replace(ranges, extremes={**ranges.extremes, **extremes})


def _values(one: Network) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {}

    def look(op: Op, y: Tensor) -> None:
        if op.name in one.ranges.extremes:
            flat = y.reshape(len(y), -1)
            found.setdefault(op.name, []).append(flat[:, :: max(flat.shape[1] // VALUES, 1)].flatten())

    _run(one, look)
    return {name: torch.cat(parts) for name, parts in found.items()}


@torch.no_grad()
def _run(one: Network, look: Callable[[Op, Tensor], None]) -> None:
    assert one.ranges.images is not None
    for batch in one.ranges.images.batches(16):
        one.graph.run(torch.from_numpy(batch).contiguous(memory_format=torch.channels_last), observe=look)


# Channels


def _equalized(one: Network, scheme: str, room: bool = False, need: bool = False) -> QuantizedGraph:
    """Each channel that a depthwise layer reads fills the range of its tensor; its kernel takes the factor back.

    With `room` it leaves as much as its largest values in the two halves of the set differ. With `need` a factor is at
    most 4, and no larger than it takes to bring the rounding that the kernel amplifies to half of its output's own.
    """
    graph, fused = one.graph, fused_activations(one.graph)
    last = {op.name: fused[op.name].name if op.name in fused else op.name for op in graph if op.kind == "conv"}
    producers = {last[op.name]: op for op in graph if op.kind == "conv"}
    pairs = [(producers[op.inputs[0]], op) for op in graph if _depthwise(graph, op) and op.inputs[0] in producers]
    halves = _peaks(one, {op.inputs[0] for _, op in pairs})
    params, windows = dict(graph.params), dict(one.ranges.windows)
    for producer, op in pairs:
        first, second = halves[op.inputs[0]]
        peak = torch.maximum(first, second) + (first - second).abs() * room
        top = one.ranges.extremes[op.inputs[0]][1]
        most = NEEDED_FACTOR if need else LARGEST_FACTOR
        factor = (top / peak.clamp(min=top / most)).clamp(min=1.0)
        if need:
            low, high = one.ranges.extremes[last[op.name]]
            amplified = top / (high - min(low, 0.0)) * params[op.params["weight"]].detach().flatten(1).norm(dim=1)
            factor = torch.minimum((2 * amplified).clamp(min=1.0), factor)
        for name, scale in ((producer.params["weight"], factor), (op.params["weight"], 1 / factor)):
            params[name] = params[name].detach() * scale.reshape(-1, 1, 1, 1)
        params[producer.params["bias"]] = params[producer.params["bias"]].detach() * factor
        windows[op.name] = windows[op.name] * factor.reshape(-1, 1, 1)
    return quantize(replace(graph, params=params), replace(one.ranges, windows=windows), scheme)


def _equalized_with_room(one: Network, scheme: str) -> QuantizedGraph:
    return _equalized(one, scheme, room=True)


def _equalized_where_needed(one: Network, scheme: str) -> QuantizedGraph:
    return _equalized(one, scheme, room=True, need=True)


def _depthwise(graph: Graph, op: Op) -> bool:
    return op.kind == "conv" and op.attrs["groups"] == len(graph.tensors(op)["weight"]) > 1


def _peaks(one: Network, names: set[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """The largest value of each channel in the two halves of the calibration set."""
    found: dict[str, list[Tensor]] = {}

    def look(op: Op, y: Tensor) -> None:
        if op.name in names:
            found.setdefault(op.name, []).append(y.amax((2, 3)))

    _run(one, look)
    each = {name: torch.cat(parts) for name, parts in found.items()}
    return {name: (y[: len(y) // 2].amax(0), y[len(y) // 2 :].amax(0)) for name, y in each.items()}


# Weights


def _level(one: Network, scheme: str) -> QuantizedGraph:
    """Weights are rounded so that the sums of kernels are kept, as int8w does; biases are corrected behind it."""
    fast = quantize(one.graph, one.ranges, scheme, "fast")
    weights = {}
    for name, weight in fast.weights.items():
        real = one.graph.tensors(one.graph[name])["weight"].detach()
        steps = real / weight.along(weight.scale)
        window = int(np.prod(real.shape[2:], dtype=int))
        values = level(steps.flatten(1), window, WEIGHT_LIMIT).reshape(real.shape).to(torch.int8)
        if scheme == "onnxruntime" and adds_in_pairs(one.graph[name], real):
            values = from_kernel_order(fitted(in_kernel_order(values)), real.shape)
        weights[name] = replace(weight, values=values)
    rounded = replace(fast, graph=one.graph, weights=weights, biases={})
    rounded = with_biases(rounded, analytic_shifts(rounded, one.ranges))
    assert one.ranges.images is not None
    return measured_biases(rounded, one.graph, sample(one.graph, one.ranges.images))


USED = "as it is written"
FORMS: dict[str, Form] = {
    USED: _used,
    "no room beside the logits": _no_room,
    f"ranges at the percentiles {1 - PERCENTILE:.2%} and {PERCENTILE:.2%}": _percentile,
    "ranges of the least mean square error": _least_error,
    "channels equalized in front of depthwise layers": _equalized,
    "the same with room": _equalized_with_room,
    "weights rounded to keep sums": _level,
}
EQUALIZED: dict[str, Form] = {USED: _used, "channels equalized where kernels amplify rounding": _equalized_where_needed}
