"""The int8 network in torch: what the files will answer, before any is written.

Products of integers are computed as the runtimes compute them; other operators in float, then rounded to the grid of
their output, where a value that lies on an edge may fall one step beside a runtime's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporters.int8.activations import constant_of, rounded_operand
from edgekit.exporters.int8.tflite_steps import in_steps
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QParams, QuantizedGraph
from edgekit.ir.reference import KERNELS

Correction = Callable[[Op, Tensor], Tensor]


@dataclass(frozen=True)
class LayerNoise:
    """How far a layer's int8 values are from the float network's. `snr_db` is None where they are equal."""

    name: str
    kind: str
    snr_db: float | None


def integer_graph(quantized: QuantizedGraph, correct: Correction | None = None) -> Graph:
    """The graph with each product of integers in the place of its float operator, and what a file takes apart in steps.

    Between operators stand real numbers on the grid of their integers; what is no product is left to `round_values`.
    `correct(op, sums)` may change the integer sums of a product before they are scaled.
    """
    graph = quantized.graph
    fused = fused_activations(graph)
    params, unrounded = dict(graph.params), made_in_float(quantized)
    ops = []
    for op in graph:
        if op.name in quantized.weights:
            target = quantized.activations.get(fused[op.name].name if op.name in fused else op.name)
            params[f"{op.name}/weight"] = quantized.weights[op.name].values.float()
            params[f"{op.name}/bias"] = quantized.biases[op.name].float()
            own = {"weight": f"{op.name}/weight", "bias": f"{op.name}/bias"}
            op = op.with_(kind="call", params=own, attrs={"function": _product(quantized, op, target, correct)})
        elif op.kind in ("add", "mul") and len(op.inputs) == 1 and op.name not in quantized.islands:
            params[f"{op.name}/other"] = rounded_operand(constant_of(op, graph.tensors(op)), quantized.scheme)
            op = op.with_(params={"other": f"{op.name}/other"})
        elif quantized.scheme == "tflite" and _in_integers(quantized, op):
            steps = in_steps(graph, op, quantized.activations)
            op = op if steps is None else op.with_(kind="call", params={}, attrs={"function": steps})
        ops.append(_rounding_first(quantized, op, unrounded))
    return replace(graph, ops=tuple(ops), params=params)


def made_in_float(quantized: QuantizedGraph) -> frozenset[str]:
    """Return the tensors of a TFLite file that are rounded where an integer operator reads them, and nowhere else."""
    if quantized.scheme != "tflite":
        return frozenset()
    graph, known = quantized.graph, quantized.activations
    inputs = () if quantized.integer_border else (op.name for op in graph.inputs)
    found = frozenset((*inputs, *quantized.islands)) & frozenset(known)
    return frozenset(name for name in found if not (quantized.integer_border and graph.is_output(name)))


def _rounding_first(quantized: QuantizedGraph, op: Op, unrounded: Collection[str]) -> Op:
    """An integer operator that rounds what was made in float before it reads it."""
    grids = [quantized.activations[name] if name in unrounded else None for name in op.inputs]
    reads = op.name in quantized.weights or _in_integers(quantized, quantized.graph[op.name])
    if not any(grids) or not reads:
        return op

    def function(*inputs: Tensor, **own: Tensor) -> Tensor:
        rounded = [x if grid is None else grid.fake(x) for grid, x in zip(grids, inputs, strict=True)]
        return KERNELS[op.kind](op, rounded, own)

    return op.with_(kind="call", attrs={"function": function})


def _in_integers(quantized: QuantizedGraph, op: Op) -> bool:
    return op.name not in quantized.islands and all(name in quantized.activations for name in op.inputs)


def _product(
    quantized: QuantizedGraph, op: Op, target: QParams | None, correct: Correction | None
) -> Callable[..., Tensor]:
    """A convolution or linear layer as the runtimes compute it: exact sums, one float32 factor, one rounding.

    Sums up to 2^24 are exact in float32. A fused activation follows on the grid, where it only cuts.
    """
    source = quantized.activations[op.inputs[0]].scale
    steps = torch.tensor(source) * quantized.weights[op.name].scale  # float32, as in the files
    shape = (1, -1, *[1] * (len(op.shape) - 2)) if op.kind != "linear" else (-1,)
    factors = (steps if target is None else steps / torch.tensor(target.scale)).reshape(shape)

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        sums = KERNELS[op.kind](op, [torch.round(x / source)], {"weight": weight, "bias": bias})
        y = (correct(op, sums) if correct else sums).mul_(factors)
        if target is None:
            return y
        return y.round_().clamp_(target.low - target.zero_point, target.high - target.zero_point).mul_(target.scale)

    return function


def run(quantized: QuantizedGraph, *xs: Tensor) -> Any:
    """Return what the int8 network answers to float batches (N, *input shape), as real numbers: as Graph.run does."""
    return runner(quantized)(*xs)


def runner(quantized: QuantizedGraph) -> Callable[..., Any]:
    """`run` for many batches: weights are expanded once."""
    graph, rounding = integer_graph(quantized), round_values(quantized, made_in_float(quantized))
    return lambda *xs: graph.run(*xs, observe=rounding)


def round_values(quantized: QuantizedGraph, but: Collection[str] = ()) -> Callable[[Op, Tensor], Tensor | None]:
    """Return what rounds each tensor, `but` some, to its integers while a graph runs."""

    def rounding(op: Op, y: Tensor) -> Tensor | None:
        params = None if op.name in but else quantized.activations.get(op.name)
        if params and op.kind == "input":
            y = quantized.input_on_grid(y)
        return params.fake(y) if params else None

    return rounding


@torch.no_grad()
def layer_snr(
    graph: Graph, quantized: QuantizedGraph, batches: Iterable[tuple[NDArray[np.float32], ...]]
) -> tuple[LayerNoise, ...]:
    """Signal-to-noise of every integer tensor against the float graph on real inputs, the worst first.

    Noise adds up on the way, so a layer shows its own and what came before it.
    """
    integer, rounding = integer_graph(quantized), round_values(quantized)
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    for batch in batches:
        float_values: dict[str, Tensor] = {}
        xs = [torch.from_numpy(x) for x in batch]

        def remember(op: Op, y: Tensor, values: dict[str, Tensor] = float_values) -> None:
            if y.is_floating_point() and (op.name in quantized.activations or graph.is_output(op.name)):
                values[op.name] = quantized.input_on_grid(y) if op.kind == "input" else y

        def compare(op: Op, y: Tensor, values: dict[str, Tensor] = float_values) -> Tensor | None:
            rounded = rounding(op, y)
            got = y if rounded is None else rounded
            want = values.pop(op.name, None)
            if want is not None:
                signal[op.name] = signal.get(op.name, 0.0) + float(want.double().square().sum())
                noise[op.name] = noise.get(op.name, 0.0) + float((got - want).double().square().sum())
            return got

        graph.run(*xs, observe=remember)
        integer.run(*xs, observe=compare)
    rows = [LayerNoise(name, graph[name].kind, _decibel(signal[name], noise[name])) for name in signal]
    return tuple(sorted(rows, key=lambda row: math.inf if row.snr_db is None else row.snr_db))


def _decibel(signal: float, noise: float) -> float | None:
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
