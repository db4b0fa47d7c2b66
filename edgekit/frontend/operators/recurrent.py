"""LSTM and GRU: an operator for each direction of each layer, on (time, batch, channels)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter
from edgekit.frontend.operators.moving import shaped

ROLES = ("w_ih", "w_hh", "b_ih", "b_hh")


def recurrent(kind: str) -> Converter:
    """torch.lstm and torch.gru as torch.nn calls them: (input, state, weights, has_biases, layers, ...)."""

    def convert(
        b: Builder,
        name: str,
        input: Any,
        hx: Any,
        params: Any,
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        if not isinstance(input, Node) or input.rank != 3:
            return NotImplemented
        states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        x = b.emit(f"{name}/time_first", "permute", [input], dims=(1, 0, 2)) if batch_first else input
        directions, per = 2 if bidirectional else 1, 4 if has_biases else 2
        weights = [list(params[i : i + per]) for i in range(0, len(params), per)]
        last: list[Node] = []
        cells: list[Node] = []
        for layer in range(num_layers):
            outputs = []
            for reverse in range(directions):
                at = layer * directions + reverse
                label = f"{name}/layer{layer}" + ("/reverse" if reverse else "")
                given = _states(b, label, states, at)
                own = dict(zip(ROLES, weights[at], strict=False))
                hidden = own["w_hh"].shape[1]
                if own["w_ih"].shape[0] != {"lstm": 4, "gru": 3}[kind] * hidden:
                    return NotImplemented  # an LSTM with projections
                y = b.emit(label, kind, [x, *given], own, hidden=hidden, reverse=bool(reverse))
                outputs.append(y)
                if kind == "lstm":
                    more: dict[str, Any] = {"hidden": hidden, "reverse": bool(reverse)}
                    cells.append(b.emit(f"{label}/cell", "lstm_cell", [x, *given], own, **more))
                last.append(_final(b, label, y, bool(reverse)))
            x = outputs[0] if directions == 1 else b.emit(f"{name}/layer{layer}/both", "cat", outputs, dim=2)
        y = b.emit(name, "permute", [x], dims=(1, 0, 2)) if batch_first else x
        final = _together(b, f"{name}/states", last)
        return (y, final, _together(b, f"{name}/cells", cells)) if kind == "lstm" else (y, final)

    return convert


def _together(b: Builder, name: str, states: list[Node]) -> Node:
    return states[0] if len(states) == 1 else b.emit(name, "cat", states, dim=0)


def _states(b: Builder, name: str, states: Sequence[Any], at: int) -> list[Node]:
    """The first states of a direction; none where they are zeros."""
    if all(isinstance(state, Tensor) and not state.is_meta and not state.any() for state in states):
        return []
    nodes = []
    for index, state in enumerate(states):
        part = f"{name}/state{index}"
        if isinstance(state, Node):
            nodes.append(b.emit(part, "slice", [state], dim=0, start=at, stop=at + 1, step=1))
        else:
            nodes.append(b.constant(part, state[at : at + 1].detach().clone()))
    return nodes


def _final(b: Builder, name: str, y: Node, reverse: bool) -> Node:
    at = 0 if reverse else y.shape[0] - 1
    return shaped(
        b,
        f"{name}/state",
        b.emit(f"{name}/last", "slice", [y], dim=0, start=at, stop=at + 1, step=1),
        (1, *y.shape[1:]),
    )
