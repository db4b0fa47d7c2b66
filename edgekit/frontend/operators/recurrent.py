"""LSTM and GRU: an operator for each direction of each layer, on (time, batch, channels). RNN and cells, by steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter
from edgekit.frontend.operators.moving import cut, shaped
from edgekit.frontend.refusals import at

ROLES = ("w_ih", "w_hh", "b_ih", "b_hh")
PROJECTION = "w_hr"  # of an LSTM whose states are fewer than its cells (proj_size)


def recurrent(kind: str) -> Converter:
    """torch.lstm, gru, rnn_tanh and rnn_relu as torch.nn calls them: (input, state, weights, has_biases, layers, ...).

    `kind` is "lstm", "gru", or the activation of a plain RNN.
    """

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
        directions, roles = 2 if bidirectional else 1, ROLES[: 4 if has_biases else 2]
        per = len(params) // (num_layers * directions)
        roles += (PROJECTION,) * (per - len(roles))
        direction = _in_one if kind in ("lstm", "gru") and PROJECTION not in roles else _in_steps
        last: list[list[Node]] = []
        for layer in range(num_layers):
            outputs = []
            for reverse in range(directions):
                place = layer * directions + reverse
                label = f"{name}/layer{layer}" + ("/reverse" if reverse else "")
                own = dict(zip(roles, params[place * per : (place + 1) * per], strict=True))
                y, *final = direction(b, label, kind, x, _states(b, label, states, place), own, bool(reverse))
                outputs.append(y)
                last.append(final)
            x = outputs[0] if directions == 1 else b.emit(f"{name}/layer{layer}/both", "cat", outputs, dim=2)
        y = b.emit(name, "permute", [x], dims=(1, 0, 2)) if batch_first else x
        finals = zip((f"{name}/states", f"{name}/cells"), zip(*last, strict=True), strict=False)
        return y, *(_together(b, what, list(nodes)) for what, nodes in finals)

    return convert


def _in_one(
    b: Builder, name: str, kind: str, x: Node, states: list[Node], own: dict[str, Any], reverse: bool
) -> tuple[Node, ...]:
    """All outputs (time, batch, hidden) of one direction of an LSTM or GRU, its last one, and an LSTM's last cell."""
    attrs: dict[str, Any] = {"hidden": own["w_hh"].shape[1], "reverse": reverse}
    y = b.emit(name, kind, [x, *states], own, **attrs)
    cells = [b.emit(f"{name}/cell", "lstm_cell", [x, *states], own, **attrs)] if kind == "lstm" else []
    return y, _final(b, name, y, reverse), *cells


def _together(b: Builder, name: str, states: list[Node]) -> Node:
    return states[0] if len(states) == 1 else b.emit(name, "cat", states, dim=0)


def _states(b: Builder, name: str, states: Sequence[Any], place: int) -> list[Node]:
    """The first states of a direction; none where they are zeros."""
    if all(isinstance(state, Tensor) and not state.is_meta and not state.any() for state in states):
        return []
    nodes = []
    for index, state in enumerate(states):
        part = f"{name}/state{index}"
        if isinstance(state, Node):
            nodes.append(b.emit(part, "slice", [state], dim=0, start=place, stop=place + 1, step=1))
        else:
            nodes.append(b.constant(part, state[place : place + 1].detach().clone()))
    return nodes


def _final(b: Builder, name: str, y: Node, reverse: bool) -> Node:
    end = 0 if reverse else y.shape[0] - 1
    return shaped(
        b,
        f"{name}/state",
        b.emit(f"{name}/last", "slice", [y], dim=0, start=end, stop=end + 1, step=1),
        (1, *y.shape[1:]),
    )


def _in_steps(
    b: Builder, name: str, kind: str, x: Node, states: list[Node], own: dict[str, Any], reverse: bool
) -> tuple[Node, ...]:
    """A plain RNN or an LSTM with a projection, one step after the other: all outputs, and the last states."""
    given = b.emit(f"{name}/given", "linear", [x], {"weight": own["w_ih"], "bias": own.get("b_ih")})
    sizes = [own["w_hh"].shape[1], own["w_hh"].shape[0] // 4][: 2 if kind == "lstm" else 1]
    starts = (torch.zeros(1, x.shape[1], size, dtype=x.dtype) for size in sizes)
    states = states or [b.constant(f"{name}/start", start) for start in starts]
    outputs: list[Node] = []
    order = range(x.shape[0])
    for time in reversed(order) if reverse else order:
        step = b.emit(f"{name}/step", "slice", [given], dim=0, start=time, stop=time + 1, step=1)
        kept = b.emit(f"{name}/kept", "linear", [states[0]], {"weight": own["w_hh"], "bias": own.get("b_hh")})
        if kind == "lstm":
            gates = list(zip(*(_split(b, f"{name}/gates", side, 4) for side in (step, kept)), strict=True))
            hidden, cell = _lstm_cell(b, f"{name}/hidden", kind, gates, states)
            states = [b.emit(f"{name}/state", "linear", [hidden], {"weight": own[PROJECTION]}), cell]
        else:
            states = [_gate(b, f"{name}/state", kind, (step, kept))]
        outputs.append(states[0])
    joined = outputs[::-1] if reverse else outputs
    return b.emit(name, "cat", joined, dim=0) if len(joined) > 1 else joined[0], *states


def packed(b: Builder, name: str, *args: Any) -> Any:
    """Sequences of several lengths in one tensor, whose shape depends on the lengths."""
    raise UsageError(
        at(scope.line(), "forward() packs sequences by their lengths, which no format has"),
        "give the layer the padded tensor itself, without pack_padded_sequence",
    )


# One step


def cell(kind: str) -> Converter:
    """nn.RNNCell (tanh and relu), GRUCell and LSTMCell on (batch, channels)."""
    parts = {"lstm": 4, "gru": 3}.get(kind, 1)

    def convert(
        b: Builder, name: str, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
    ) -> Any:
        states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        x = next(value for value in (input, *states) if isinstance(value, Node))
        given, *nodes = (
            b.operand(f"{name}/{part}", value, x)
            for part, value in zip(("input", "hidden", "cell"), (input, *states), strict=False)
        )
        sides = [
            _split(b, f"{name}/{side}", b.emit(f"{name}/{side}", "linear", [node], {"weight": w, "bias": bias}), parts)
            for side, node, w, bias in (("given", given, w_ih, b_ih), ("kept", nodes[0], w_hh, b_hh))
        ]
        return _CELLS[kind](b, name, kind, list(zip(*sides, strict=True)), nodes)

    return convert


def _split(b: Builder, name: str, x: Node, count: int) -> list[Node]:
    width = x.shape[-1] // count
    return [cut(b, f"{name}/part", x, x.rank - 1, i * width, (i + 1) * width) for i in range(count)]


Pairs = list[tuple[Node, Node]]  # of each gate: what the input gives, and what the state gives


def _gate(b: Builder, name: str, kind: str, both: tuple[Node, Node]) -> Node:
    return b.emit(name, kind, [b.emit(f"{name}/sum", "add", both)])


def _plain_cell(b: Builder, name: str, kind: str, gates: Pairs, states: list[Node]) -> Node:
    return _gate(b, name, kind, gates[0])


def _gru_cell(b: Builder, name: str, kind: str, gates: Pairs, states: list[Node]) -> Node:
    """(1 - update) * new + update * hidden, with new = tanh(W x + reset * U h)."""
    reset, update = (_gate(b, f"{name}/{gate}", "sigmoid", gates[i]) for i, gate in enumerate(("reset", "update")))
    given, kept = gates[2]
    new = _gate(b, f"{name}/new", "tanh", (given, b.emit(f"{name}/after_reset", "mul", [reset, kept])))
    apart = b.emit(f"{name}/apart", "sub", [states[0], new])
    return b.emit(name, "add", [new, b.emit(f"{name}/updated", "mul", [update, apart])])


def _lstm_cell(b: Builder, name: str, kind: str, gates: Pairs, states: list[Node]) -> tuple[Node, Node]:
    """forget * cell + input * new, and output * tanh of that."""
    enter, forget, new, leave = (
        _gate(b, f"{name}/{gate}", "tanh" if gate == "new" else "sigmoid", gates[i])
        for i, gate in enumerate(("enter", "forget", "new", "leave"))
    )
    old, fresh = b.emit(f"{name}/old", "mul", [forget, states[1]]), b.emit(f"{name}/fresh", "mul", [enter, new])
    after = b.emit(f"{name}/cell", "add", [old, fresh])
    return b.emit(name, "mul", [leave, b.emit(f"{name}/tanh", "tanh", [after])]), after


_CELLS = {"tanh": _plain_cell, "relu": _plain_cell, "gru": _gru_cell, "lstm": _lstm_cell}
