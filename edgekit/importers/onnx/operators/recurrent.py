"""LSTM, GRU and RNN: torch's where they compute the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node

MOST_STEPS = 256
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}  # torch's order of the gates, by their places in the file
_USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_COUNT = {"LSTM": 4, "GRU": 3, "RNN": 1}


def lstm(
    n: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> Any:
    return _recurrent(n, x, w, r, b, lengths, h, c, peepholes)


def gru(
    n: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
) -> Any:
    return _recurrent(n, x, w, r, b, lengths, h)


def _recurrent(
    n: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> Any:
    batch_first, directions, hidden = bool(n.get("layout", 0)), w.shape[0], r.shape[-1]
    if batch_first:
        x = x.transpose(0, 1)
        h, c = (None if state is None else state.transpose(0, 1) for state in (h, c))
    steps, batch = x.shape[:2]
    if lengths is not None and any(count != steps for count in n.integers(lengths, "sequence_lens") or []):
        raise n.refusal("reads sequences of several lengths", "make a file for sequences of one length")
    zero = torch.zeros((directions, batch, hidden))
    h = zero if h is None else h
    c = zero if c is None else c
    if _is_usual(n, directions) and peepholes is None and not (n.kind == "LSTM" and n.asks(2)):
        y, last = _torchs(n, x, w, r, b, h, c)
        cells: Any = None
    else:
        y, last, cells = _by_steps(n, x, w, r, b, h, c, peepholes)
    if batch_first:
        y, last = y.permute(2, 0, 1, 3), last.transpose(0, 1)
        cells = None if cells is None else cells.transpose(0, 1)
    return (y, last, cells) if n.kind == "LSTM" else (y, last)


def _is_usual(n: Node, directions: int) -> bool:
    usual = list(_USUAL[n.kind]) * directions
    same = [name.lower() for name in n.get("activations") or usual] == [name.lower() for name in usual]
    plain = n.get("clip") is None and not n.get("input_forget", 0)
    return same and plain and n.kind in _GATES and (n.kind != "GRU" or bool(n.get("linear_before_reset", 0)))


def _torchs(n: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """(time, directions, batch, hidden), and the last state of each direction."""
    directions, hidden, order = w.shape[0], r.shape[-1], _GATES[n.kind]

    def sorted_(gates: Tensor) -> Tensor:
        return torch.cat([gates[hidden * gate : hidden * (gate + 1)] for gate in order])

    flat: list[Tensor] = []
    for at in range(directions):
        flat += [sorted_(w[at]), sorted_(r[at])]
        if b is not None:
            count = _COUNT[n.kind] * hidden
            flat += [sorted_(b[at][:count]), sorted_(b[at][count:])]
    back = n.get("direction", "forward") == "reverse"
    x = x.flip(0) if back else x
    state: Any = (h, c) if n.kind == "LSTM" else h
    function = torch.lstm if n.kind == "LSTM" else torch.gru
    y, last = function(x, state, flat, b is not None, 1, 0.0, False, directions == 2, False)[:2]
    y = y.flip(0) if back else y
    if directions == 1:
        return y.unsqueeze(1), last
    return y.reshape(*y.shape[:2], 2, hidden).permute(0, 2, 1, 3), last


# Step by step

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softsign": F.softsign,
    "softplus": F.softplus,
}


def _by_steps(
    n: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    h: Tensor,
    c: Tensor,
    peepholes: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    if x.shape[0] > MOST_STEPS:
        raise n.refusal(f"has {x.shape[0]} steps in a form that torch does not have", f"use at most {MOST_STEPS}")
    directions = w.shape[0]
    names = n.get("activations") or list(_USUAL[n.kind]) * directions
    per = len(names) // directions
    outputs, states, cells = [], [], []
    for at in range(directions):
        back = n.get("direction", "forward") == "reverse" or at == 1
        functions = [_function(n, name) for name in names[at * per : (at + 1) * per]]
        own = None if b is None else b[at]
        order = range(x.shape[0] - 1, -1, -1) if back else range(x.shape[0])
        state, cell, found = h[at], c[at], {}
        peephole = None if peepholes is None else peepholes[at]
        for step in order:
            state, cell = _STEPS[n.kind](n, x[step], state, cell, w[at], r[at], own, functions, peephole)
            found[step] = state
        outputs.append(torch.stack([found[step] for step in range(x.shape[0])]))
        states.append(state)
        cells.append(cell)
    return torch.stack(outputs, 1), torch.stack(states), torch.stack(cells)


def _function(n: Node, name: str) -> Callable[..., Tensor]:
    found = _FUNCTIONS.get(name.lower())
    if found is None or n.get("activation_alpha") or n.get("activation_beta"):
        raise n.refusal(f"has the activation {name}, or parameters of one")
    return found


def _clipped(n: Node, x: Tensor) -> Tensor:
    limit = n.get("clip")
    return x if limit is None else torch.clamp(x, -limit, limit)


def _halves(b: Tensor | None, count: int) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if b is None else (b[:count], b[count:])


def _lstm_step(
    n: Node,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    f: Sequence[Callable[..., Tensor]],
    peephole: Tensor | None,
) -> tuple[Tensor, Tensor]:
    one, other = _halves(b, w.shape[0])
    size = h.shape[-1]
    i, o, forget, new = torch.split(F.linear(x, w, one) + F.linear(h, r, other), size, -1)
    if peephole is not None:
        of_i, of_o, of_f = torch.split(peephole, size)
        i, forget = i + of_i * c, forget + of_f * c
    i = f[0](_clipped(n, i))
    forget = 1 - i if n.get("input_forget", 0) else f[0](_clipped(n, forget))
    cell = forget * c + i * f[1](_clipped(n, new))
    if peephole is not None:
        o = o + of_o * cell
    return f[0](_clipped(n, o)) * f[2](cell), cell


def _gru_step(
    n: Node,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    f: Sequence[Callable[..., Tensor]],
    peephole: Tensor | None,
) -> tuple[Tensor, Tensor]:
    size = h.shape[-1]
    one, other = _halves(b, w.shape[0])
    given = F.linear(x, w, one)
    gates = given[:, : 2 * size] + F.linear(h, r[: 2 * size], None if other is None else other[: 2 * size])
    update, reset = (f[0](_clipped(n, gate)) for gate in torch.split(gates, size, -1))
    last = None if other is None else other[2 * size :]
    if n.get("linear_before_reset", 0):
        old = reset * F.linear(h, r[2 * size :], last)
    else:
        old = F.linear(reset * h, r[2 * size :], last)
    new = f[1](_clipped(n, given[:, 2 * size :] + old))
    return (1 - update) * new + update * h, c


def _rnn_step(
    n: Node,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    f: Sequence[Callable[..., Tensor]],
    peephole: Tensor | None,
) -> tuple[Tensor, Tensor]:
    one, other = _halves(b, w.shape[0])
    return f[0](_clipped(n, F.linear(x, w, one) + F.linear(h, r, other))), c


_STEPS = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN": _rnn_step}
