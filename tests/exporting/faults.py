"""Networks, and faults that are put into their int8 form: what is done, and the layer and cause that must be named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.ir.quantized import QuantizedGraph
from tests.exporters.small_networks import head

Spoil = Callable[[QuantizedGraph], QuantizedGraph]


class Convolutions(nn.Module):
    """Convolutions of several kinds, a pooling, a sum and a linear layer, all in integers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.pointwise = nn.Conv2d(32, 16, 1)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.last = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Sequential(*head(16))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = nn.functional.relu6(self.depthwise(x) * 8)
        x = self.pool(self.pointwise(x))
        y: Tensor = self.head(x + torch.tanh(self.last(x)))
        return y


class Attention(nn.Module):
    """A vision transformer of one block: integers between norms, products of tensors and a softmax in float."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 4, 4)
        self.norm, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        tokens = self.norm(x)
        x = x + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        x = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        y: Tensor = self.head(x.mean(1))
        return y


def network(of: Callable[[], nn.Module]) -> nn.Module:
    """One with seeded weights whose biases are worth losing."""
    torch.manual_seed(3)
    made = of().eval()
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -0.5, 0.5)
    return made


def weights(q: QuantizedGraph, layer: str, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> QuantizedGraph:
    values, scale = change(q.weights[layer].values.clone(), q.weights[layer].scale.clone())
    return replace(q, weights={**q.weights, layer: replace(q.weights[layer], values=values, scale=scale)})


def bias(q: QuantizedGraph, layer: str, change: Callable[[Tensor], Tensor]) -> QuantizedGraph:
    return replace(q, biases={**q.biases, layer: change(q.biases[layer].clone())})


def grid(q: QuantizedGraph, layer: str, **changes: Callable[[Any], Any]) -> QuantizedGraph:
    params = q.activations[layer]
    new = replace(params, **{key: change(getattr(params, key)) for key, change in changes.items()})
    return replace(q, activations={**q.activations, layer: new})


def attrs(q: QuantizedGraph, layer: str, changes: Mapping[str, Any]) -> QuantizedGraph:
    ops = tuple(op.with_(attrs={**op.attrs, **changes}) if op.name == layer else op for op in q.graph)
    return replace(q, graph=replace(q.graph, ops=ops))


def swap(tensor: Tensor, one: int, other: int) -> Tensor:
    order = list(range(len(tensor)))
    order[one], order[other] = other, one
    return tensor[order]


def doubled(scale: Tensor, channel: int) -> Tensor:
    scale[channel] *= 2
    return scale


def moved(values: Tensor, channel: int) -> Tensor:
    values[channel] += 8 * values.abs().max()
    return values


def kind(q: QuantizedGraph, layer: str, name: str, **attributes: Any) -> QuantizedGraph:
    ops = tuple(op.with_(kind=name, attrs=attributes) if op.name == layer else op for op in q.graph)
    return replace(q, graph=replace(q.graph, ops=ops))


def lost(q: QuantizedGraph, layer: str, role: str) -> QuantizedGraph:
    """A tensor of a layer all zeros."""
    name = q.graph[layer].params[role]
    return replace(q, graph=replace(q.graph, params={**q.graph.params, name: torch.zeros_like(q.graph.params[name])}))


def exchanged(q: QuantizedGraph, layer: str) -> QuantizedGraph:
    """Two output channels, with their scales and biases, in each other's place."""
    q = weights(q, layer, lambda values, scale: (swap(values, 1, 2), swap(scale, 1, 2)))
    return bias(q, layer, lambda values: swap(values, 1, 2))


SHIFTED = ((0, 2), (0, 2))
# What is done to the network that is written, the layer that must be named, and the cause.
CONVOLUTIONS: dict[str, tuple[Spoil, str, str]] = {
    "range of a ReLU cut by half": (lambda q: grid(q, "relu", scale=lambda s: s / 2), "relu", "a range"),
    "range of a convolution cut by half": (lambda q: grid(q, "last", scale=lambda s: s / 2), "last", "a range"),
    "range of a sum cut by half": (lambda q: grid(q, "add", scale=lambda s: s / 2), "add", "a range"),
    "zero point moved by 60": (lambda q: grid(q, "pointwise", zero_point=lambda z: z + 60), "pointwise", "a range"),
    "two channels exchanged at the start": (lambda q: exchanged(q, "first"), "relu", "channels"),
    "two channels exchanged in the middle": (lambda q: exchanged(q, "pointwise"), "pointwise", "channels"),
    "two classes exchanged": (lambda q: exchanged(q, "head.2"), "head.2", "channels"),
    "bias lost at the start": (lambda q: bias(q, "first", torch.zeros_like), "relu", "a bias"),
    "bias lost in a depthwise layer": (lambda q: bias(q, "depthwise", torch.zeros_like), "relu6", "a bias"),
    "bias lost in the middle": (lambda q: bias(q, "last", torch.zeros_like), "last", "a bias"),
    "bias of one class moved": (lambda q: bias(q, "head.2", lambda b: moved(b, 3)), "head.2", "a bias"),
    "a layer half as large again": (
        lambda q: weights(q, "pointwise", lambda v, s: (v, s * 1.5)), "pointwise", "a scale",
    ),
    "one channel twice as large": (lambda q: weights(q, "last", lambda v, s: (v, doubled(s, 1))), "last", "a scale"),
    "signs turned": (lambda q: weights(q, "last", lambda v, s: (-v, s)), "last", "a scale"),
    "convolution padded at one side": (lambda q: attrs(q, "last", {"padding": SHIFTED}), "last", "padding"),
    "pooling padded at one side": (lambda q: attrs(q, "pool", {"padding": SHIFTED}), "pool", "padding"),
    "ReLU lost": (
        lambda q: kind(grid(q, "relu", scale=lambda s: 2 * s, zero_point=lambda z: z + 128), "relu", "clip",
                       min=-90.0, max=90.0), "relu", "an activation",
    ),
    "ReLU6 ends at 12": (
        lambda q: kind(grid(q, "relu6", scale=lambda s: 2 * s), "relu6", "clip", min=0.0, max=12.0),
        "relu6", "an activation",
    ),
    "inputs of the weights rolled": (
        lambda q: weights(q, "pointwise", lambda v, s: (v.roll(1, 1), s)), "pointwise", "weights",
    ),
    "kernels turned upside down": (lambda q: weights(q, "last", lambda v, s: (v.flip(2), s)), "last", "weights"),
    "another function": (lambda q: kind(q, "tanh", "sigmoid"), "tanh", "the runtime's own operator"),
    "another function, in its layer": (lambda q: kind(q, "tanh", "relu"), "tanh", "the runtime's own operator"),
}  # fmt: skip


def near(q: QuantizedGraph, group: str, **changes: Callable[[Any], Any]) -> QuantizedGraph:
    """The grids of a layer and of what only moves its values, which has the same."""
    for name in [name for name, params in q.activations.items() if params == q.activations[group]]:
        q = grid(q, name, **changes)
    return q


QUERIES, KEYS, VALUES, OUT = (f"attention/{name}_proj" for name in ("q", "k", "v", "out"))
ATTENTION: dict[str, tuple[Spoil, str, str]] = {
    "bias of the queries lost": (lambda q: bias(q, QUERIES, torch.zeros_like), QUERIES, "a bias"),
    "bias of one value moved": (lambda q: bias(q, VALUES, lambda b: moved(b, 3)), VALUES, "a bias"),
    "keys half as large again": (lambda q: weights(q, KEYS, lambda v, s: (v, s * 1.5)), KEYS, "a scale"),
    "two channels of the values exchanged": (lambda q: exchanged(q, VALUES), VALUES, "channels"),
    "inputs of the queries rolled": (lambda q: weights(q, QUERIES, lambda v, s: (v.roll(1, 1), s)), QUERIES, "weights"),
    "range of the patches cut by half": (lambda q: near(q, "patch", scale=lambda s: s / 2), "patch", "a range"),
    "softmax along the other axis": (
        lambda q: attrs(q, "attention/softmax", {"dim": 2}), "attention/softmax", "the runtime's own operator",
    ),
    "scores scaled twice": (
        lambda q: attrs(q, "attention/scaled", {"other": q.graph["attention/scaled"].attrs["other"] ** 2}),
        "attention/scaled", "a scale",
    ),
    "bias behind the attention lost": (lambda q: bias(q, OUT, torch.zeros_like), OUT, "a bias"),
    "range of a sum of tokens cut by half": (lambda q: grid(q, "add", scale=lambda s: s / 2), "add", "a range"),
    "norm without its bias": (lambda q: lost(q, "norm2", "bias"), "norm2", "a bias"),
    "another function between linear layers": (
        lambda q: kind(q, "gelu", "elu", alpha=1.0), "gelu", "the runtime's own operator",
    ),
    "bias of one class moved": (lambda q: bias(q, "head", lambda b: moved(b, 3)), "head", "a bias"),
    "patches half as large again": (lambda q: weights(q, "patch", lambda v, s: (v, s * 1.5)), "patch", "a scale"),
}  # fmt: skip
TABLES: dict[Callable[[], nn.Module], dict[str, tuple[Spoil, str, str]]] = {
    Convolutions: CONVOLUTIONS,
    Attention: ATTENTION,
}
FAULTS = {(of, name): fault for of, table in TABLES.items() for name, fault in table.items()}
