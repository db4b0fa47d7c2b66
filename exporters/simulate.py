"""The int8 network in torch: what the files will answer, before any is written.

Integers are carried as the real numbers that they stand for, rounded after each operator as the runtimes round. Sums
of products are exact in a runtime and float32 here, so a value may fall one step beside where it lay on an edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporters.quantize_activations import operand
from edgekit.graph import Graph, Op
from edgekit.quantized import QuantizedGraph


@dataclass(frozen=True)
class LayerNoise:
    """How far a layer's int8 values are from the float network's. `snr_db` is None where they are equal."""

    name: str
    kind: str
    snr_db: float | None
    saturated: float  # fraction of the values at the largest or smallest integer, zero excepted


def rounded_graph(quantized: QuantizedGraph) -> Graph:
    """The graph with the weights and biases that the integers stand for."""
    graph = quantized.graph
    params = dict(graph.params)
    ops = []
    for op in graph:
        if op.name in quantized.weights:
            weight = quantized.weights[op.name]
            step = quantized.activations[op.inputs[0]].scale * weight.scale.double()
            params[f"{op.name}/weight"] = weight.real()
            params[f"{op.name}/bias"] = (quantized.biases[op.name].double() * step).float()
            op = op.with_(params={"weight": f"{op.name}/weight", "bias": f"{op.name}/bias"})
        elif op.kind in ("add", "mul") and len(op.inputs) == 1 and op.name not in quantized.islands:
            other = graph.tensors(op).get("other", torch.tensor(op.attrs.get("other", 0.0)))
            params[f"{op.name}/other"] = operand(other, quantized.scheme).fake(other.detach().float())
            op = op.with_(params={"other": f"{op.name}/other"})
        ops.append(op)
    return replace(graph, ops=tuple(ops), params=params)


def run(quantized: QuantizedGraph, x: Tensor) -> Tensor:
    """What the int8 network answers to a float batch (N, *input shape), as real numbers."""
    return runner(quantized)(x)


def runner(quantized: QuantizedGraph) -> Callable[[Tensor], Tensor]:
    """`run` for many batches: weights are expanded once."""
    graph = rounded_graph(quantized)

    def rounding(op: Op, y: Tensor) -> Tensor | None:
        params = quantized.activations.get(op.name)
        return params.fake(y) if params else None

    return lambda x: graph.run(x, rounding)


@torch.no_grad()
def layer_snr(
    graph: Graph, quantized: QuantizedGraph, batches: Iterable[NDArray[np.float32]]
) -> tuple[LayerNoise, ...]:
    """Signal-to-noise of every integer tensor against the float graph on real inputs, the worst first.

    Noise adds up on the way, so a layer shows its own and what came before it.
    """
    exact = rounded_graph(quantized)
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    ends: dict[str, list[int]] = {}
    for batch in batches:
        float_values: dict[str, Tensor] = {}
        x = torch.from_numpy(batch)

        def remember(op: Op, y: Tensor, values: dict[str, Tensor] = float_values) -> None:
            if op.name in quantized.activations or op.name == graph.output:
                values[op.name] = y

        def compare(op: Op, y: Tensor, values: dict[str, Tensor] = float_values) -> Tensor | None:
            params = quantized.activations.get(op.name)
            got = params.fake(y) if params else y
            want = values.pop(op.name, None)
            if want is not None:
                signal[op.name] = signal.get(op.name, 0.0) + float(want.double().square().sum())
                noise[op.name] = noise.get(op.name, 0.0) + float((got - want).double().square().sum())
            if params:
                at_end = (got == (params.high - params.zero_point) * params.scale) | (
                    got == (params.low - params.zero_point) * params.scale
                )
                count = ends.setdefault(op.name, [0, 0])
                count[0] += int((at_end & (got != 0)).sum())
                count[1] += got.numel()
            return got

        graph.run(x, remember)
        exact.run(x, compare)
    rows = [
        LayerNoise(name, graph[name].kind, _decibel(signal[name], noise[name]), _fraction(ends.get(name)))
        for name in signal
    ]
    return tuple(sorted(rows, key=lambda row: math.inf if row.snr_db is None else row.snr_db))


def _decibel(signal: float, noise: float) -> float | None:
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _fraction(count: list[int] | None) -> float:
    return count[0] / count[1] if count and count[1] else 0.0
