"""Random weights that are worth testing with: seeded, and alive at any depth.

Each layer is drawn, then rescaled on one seeded batch that runs through the traced network, so that activations keep
about unit variance and answers differ from input to input. BN gets scales of both signs, means that are not zero and
variances from 1e-3 to 10, so that a fold which forgets any of them shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import LAYERS

MIN_VARIANCE, MAX_VARIANCE = 1e-3, 10.0
MACS = 16e9  # what the batch may cost; about half a second on one desktop core
MIN_BATCH, MAX_BATCH = 2, 8
BRANCH = 0.2  # standard deviation of what an addition reads, so that a long chain of residuals grows slowly
LEAST_MOVEMENT = 0.2  # of a layer's own size, below which its deviation counts as this much
LIFT = 1.0  # of the bias of a BN before an activation: a ReLU that cuts half grows rounding errors by a fifth, each
ACTIVATIONS = ("relu", "clip", "hardswish", "silu")
ENOUGH = 64  # values per channel from which its own statistics are trusted


def fill(network: nn.Module, input_shape: tuple[int, ...], seed: int = 0) -> None:
    """Overwrite every parameter and BN statistic of a traceable network in place.

    The same seed gives the same bits whatever the number of threads. Raises UsageError for what cannot be traced.
    """
    graph = trace(network, input_shape)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad(), _one_thread():
        drawn = _Draw(graph, random)
        for name, parameter in network.named_parameters():
            drawn.draw(name, parameter)
        graph.run(_batch(graph, random), observe=drawn.settle)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums depend on how many threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batch(graph: Graph, random: torch.Generator) -> Tensor:
    """Images from all noise to all coarse patches, unit variance: (n, *input shape) with n from 2 to 8."""
    shape = graph.input.shape[1:]
    macs = sum(_macs(graph, op) for op in graph if op.kind in LAYERS)
    count = int(min(max(MACS / max(macs, 1), MIN_BATCH), MAX_BATCH))
    noise = torch.empty(count, *shape).normal_(generator=random)
    if len(shape) < 2:
        return noise
    coarse = torch.empty(count, shape[0], *[min(4, size) for size in shape[1:]]).normal_(generator=random)
    share = torch.linspace(0, 1, count).reshape(-1, *[1] * len(shape))
    return noise * (1 - share).sqrt() + F.interpolate(coarse, size=shape[1:]) * share.sqrt()


def _macs(graph: Graph, op: Op) -> int:
    weight = graph.params[op.params["weight"]]
    outputs = 1 if op.kind == "linear" else math.prod(op.shape[2:])
    return weight.numel() * outputs


class _Draw:
    """Draws each parameter once, then settles each layer once on what the batch makes of it."""

    def __init__(self, graph: Graph, random: torch.Generator) -> None:
        self._graph, self._random = graph, random
        self._readers = graph.consumers
        self._settled: set[int] = set()

    def draw(self, name: str, parameter: Tensor) -> None:
        """Uniform with unit variance over what one output reads; vectors around one, biases around zero."""
        fan_in = math.prod(parameter.shape[1:])
        if parameter.dim() > 1:
            bound = math.sqrt(3 / max(fan_in, 1))
            parameter.uniform_(-bound, bound, generator=self._random)
        else:
            parameter.copy_(self._uniform(parameter.shape, -0.5, 0.5) + (0.0 if name.endswith("bias") else 1.0))

    def settle(self, op: Op, y: Tensor) -> Tensor | None:
        """Called with each output in turn; returns what replaces it."""
        norms = [reader for reader in self._readers[op.name] if reader.kind == "batch_norm"]
        spread = None
        if op.kind in LAYERS and self._first(op, "weight"):
            only_norm = len(norms) == 1 and len(self._readers[op.name]) == 1
            y, spread = self._layer(op, y, before_norm=only_norm)
        for norm in norms:
            if self._first(norm, "mean"):
                self._batch_norm(norm, y, spread)
        return y

    def _first(self, op: Op, role: str) -> bool:
        """Whether this tensor was not settled before: a module may run twice."""
        key = id(self._graph.params[op.params[role]])
        fresh = key not in self._settled
        self._settled.add(key)
        return fresh

    def _layer(self, op: Op, y: Tensor, before_norm: bool) -> tuple[Tensor, Tensor]:
        """Rescale a layer per output channel, and center it by its bias unless BN does that.

        Returns its new output and the standard deviation that each channel of it has now.
        """
        own = self._graph.tensors(op)
        mean, deviation = _statistics(op, y)
        if before_norm:
            low, high = math.log(MIN_VARIANCE * 2), math.log(MAX_VARIANCE / 2)
            target = self._uniform(mean.shape, low, high).exp().sqrt()
        else:
            target = self._uniform(mean.shape, 0.7, 1.3) * (BRANCH if self._feeds_addition(op) else 1.0)
        factor = target / deviation
        old, new = torch.zeros_like(mean), torch.zeros_like(mean)
        if "bias" in own:
            old = own["bias"].clone()
            new = old if before_norm else (old - mean) * factor + self._uniform(mean.shape, -0.5, 0.5)
            own["bias"].copy_(new)
        _scale_outputs(op, own["weight"], factor)
        return (y - _along(op, y, old)) * _along(op, y, factor) + _along(op, y, new), target

    def _batch_norm(self, op: Op, x: Tensor, spread: Tensor | None) -> None:
        """Statistics of what BN reads, a little off as on any real data; scales of both signs."""
        own = self._graph.tensors(op)
        mean, deviation = _statistics(op, x)
        deviation = deviation if spread is None else spread
        own["mean"].copy_(mean + self._uniform(mean.shape, -0.3, 0.3) * deviation)
        own["var"].copy_(deviation.square().clamp(MIN_VARIANCE, MAX_VARIANCE))
        if "weight" in own:
            size = self._uniform(mean.shape, 0.5, 1.5) * (BRANCH if self._feeds_addition(op) else 1.0)
            own["weight"].copy_(size * torch.where(self._uniform(mean.shape, -1, 1) < 0, -1.0, 1.0))
        if "bias" in own and all(reader.kind in ACTIVATIONS for reader in self._readers[op.name]):
            own["bias"].add_(LIFT)

    def _feeds_addition(self, op: Op) -> bool:
        return any(reader.kind == "add" for reader in self._readers[op.name])

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return torch.empty(shape).uniform_(low, high, generator=self._random)


def _channel_axis(op: Op) -> int:
    return -1 if op.kind == "linear" else 1


def _along(op: Op, y: Tensor, vector: Tensor) -> Tensor:
    return vector if op.kind == "linear" else vector.reshape(1, -1, *[1] * (y.dim() - 2))


def _statistics(op: Op, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel; with few values the deviation is that of all channels together."""
    channels = _channel_axis(op) % y.dim()
    others = [axis for axis in range(y.dim()) if axis != channels]
    variance, mean = torch.var_mean(y, dim=others, correction=0)
    if y.numel() < ENOUGH * len(mean):
        variance = variance.mean().expand_as(variance)
    # What hardly moves on this batch must not be blown up: other inputs may move it more.
    floor = LEAST_MOVEMENT * float((variance + mean.square()).mean().sqrt())
    return mean, variance.sqrt().clamp_min(max(floor, 1e-3))


def _scale_outputs(op: Op, weight: Tensor, factor: Tensor) -> None:
    if op.kind == "conv_transpose":  # (in, out / groups, *kernel)
        groups = op.attrs["groups"]
        blocks = weight.view(groups, -1, *weight.shape[1:])
        blocks.mul_(factor.view(groups, 1, -1, *[1] * (weight.dim() - 2)))
    else:
        weight.mul_(factor.reshape(-1, *[1] * (weight.dim() - 1)))
