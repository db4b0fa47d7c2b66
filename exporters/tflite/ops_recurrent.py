"""LSTM and GRU in TFLite's words, step by step.

TFLite's own UNIDIRECTIONAL_SEQUENCE_LSTM keeps its state from one call to the next, so that the same input would be
answered otherwise the second time, and it has no GRU. The steps are written out; what the input gives to the gates is
one product for all of them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edgekit.exporters.tflite.lowering import Lowering, Unsupported, Value
from edgekit.exporters.tflite.ops_shapes import joined, sliced
from edgekit.ir.graph import Op

MOST_STEPS = 512  # of one direction of one layer: a step is about a dozen operators


class _Cell:
    """The operators of one step, with the weights as they lie in the file."""

    def __init__(self, to: Lowering, op: Op) -> None:
        self.to, self.op, self.hidden = to, op, op.attrs["hidden"]
        self.own = {role: tensor.detach() for role, tensor in to.graph.tensors(op).items()}

    def product(self, x: Value, role: str, bias: Tensor | None, name: str) -> Value:
        """x times a weight of all gates, on the last axis."""
        to, weight = self.to, self.own[role]
        rows = weight.shape[0]
        stored = to.owned(f"{self.op.name}/{role}", weight, "float32")
        addend = to.program.constant(f"{self.op.name}/{role}/bias", torch.zeros(rows) if bias is None else bias)
        like = replace(x, shape=(*x.shape[:-1], rows))
        options = {"fusedActivationFunction": "NONE", "keepNumDims": len(x.shape) != 2}
        return to.emit("FULLY_CONNECTED", name, [x.tensor, stored.tensor, addend], like, **options)

    def two(self, builtin: str, a: Value, b: Value, name: str) -> Value:
        return self.to.emit(builtin, name, [a.tensor, b.tensor], a)

    def one(self, builtin: str, x: Value, name: str) -> Value:
        return self.to.emit(builtin, name, [x.tensor], x)

    def gate(self, x: Value, first: int, count: int, name: str) -> Value:
        return sliced(self.to, x, 1, first * self.hidden, (first + count) * self.hidden, 1, name)


def recurrent(to: Lowering, op: Op) -> Value:
    """(T, N, C) to (T, N, hidden)."""
    return _steps(to, op)[0]


def cell_state(to: Lowering, op: Op) -> Value:
    """Return the last cell state of the same steps, (1, N, hidden)."""
    return _steps(to, op)[1]


def _steps(to: Lowering, op: Op) -> tuple[Value, Value]:
    """All that the steps give, written once: every output, and the last of the states."""
    key = (op.inputs, *op.params.items(), *op.attrs.items())
    if key not in to.pairs:
        to.pairs[key] = _written(to, op)
    return to.pairs[key]


def _written(to: Lowering, op: Op) -> tuple[Value, Value]:
    x = to.read(op, layout=(0, 1, 2), real=True)
    steps, batch, _ = x.shape
    if steps > MOST_STEPS:
        raise Unsupported(f"{steps} steps (they are written out one by one, {MOST_STEPS} at most)")
    cell = _Cell(to, op)
    bias = cell.own.get("b_ih")
    if bias is not None and op.kind != "gru":
        bias = bias + cell.own["b_hh"]
    given = cell.product(x, "w_ih", bias, f"{op.name}/given")
    states = [_first(to, op, index, batch) for index in range(1 if op.kind == "gru" else 2)]
    step = _gru if op.kind == "gru" else _lstm
    outputs: dict[int, Value] = {}
    for time in reversed(range(steps)) if op.attrs["reverse"] else range(steps):
        name = f"{op.name}/{time}"
        at = sliced(to, given, 0, time, time + 1, 1, f"{name}/given")
        at = to.reshaped(at, Value(-1, at.shape[1:], (0, 1)), f"{name}/row")
        states = step(cell, at, states, name)
        outputs[time] = to.reshaped(states[0], Value(-1, (1, *states[0].shape), (0, 1, 2)), f"{name}/output")
    last = to.reshaped(states[-1], Value(-1, (1, *states[-1].shape), (0, 1, 2)), f"{op.name}/last")
    return joined(to, [outputs[time] for time in range(steps)], 0, op.name), last


def _first(to: Lowering, op: Op, index: int, batch: int) -> Value:
    """A first state, (N, hidden): zeros where the network gives none."""
    hidden = op.attrs["hidden"]
    if len(op.inputs) > 1 + index:
        state = to.read(op, 1 + index, layout=(0, 1, 2), real=True)
        if state.source is not None:
            return to.owned(f"{op.name}/state{index}", state.source.reshape(batch, hidden), "float32")
        return to.reshaped(state, Value(-1, (batch, hidden), (0, 1)), f"{op.name}/state{index}")
    return to.owned(f"{op.name}/zero", torch.zeros(batch, hidden), "float32")


def _lstm(cell: _Cell, given: Value, states: list[Value], name: str) -> list[Value]:
    """Gates in torch's order: input, forget, cell, output."""
    h, c = states
    sums = cell.two("ADD", given, cell.product(h, "w_hh", None, f"{name}/kept"), f"{name}/sums")
    both = cell.one("LOGISTIC", cell.gate(sums, 0, 2, f"{name}/if"), f"{name}/gates")
    taken, kept = (cell.gate(both, index, 1, f"{name}/{part}") for index, part in enumerate(("input", "forget")))
    new = cell.one("TANH", cell.gate(sums, 2, 1, f"{name}/g"), f"{name}/cell")
    shown = cell.one("LOGISTIC", cell.gate(sums, 3, 1, f"{name}/o"), f"{name}/shown")
    c = cell.two(
        "ADD", cell.two("MUL", kept, c, f"{name}/old"), cell.two("MUL", taken, new, f"{name}/new"), f"{name}/c"
    )
    return [cell.two("MUL", shown, cell.one("TANH", c, f"{name}/tanh"), f"{name}/h"), c]


def _gru(cell: _Cell, given: Value, states: list[Value], name: str) -> list[Value]:
    """Gates in torch's order: reset, update, new; n + z * (h - n)."""
    (h,) = states
    kept = cell.product(h, "w_hh", cell.own.get("b_hh"), f"{name}/kept")
    sums = cell.two("ADD", cell.gate(given, 0, 2, f"{name}/a"), cell.gate(kept, 0, 2, f"{name}/b"), f"{name}/sums")
    both = cell.one("LOGISTIC", sums, f"{name}/gates")
    reset, update = (cell.gate(both, index, 1, f"{name}/{part}") for index, part in enumerate(("reset", "update")))
    old = cell.two("MUL", reset, cell.gate(kept, 2, 1, f"{name}/c"), f"{name}/old")
    new = cell.one("TANH", cell.two("ADD", cell.gate(given, 2, 1, f"{name}/d"), old, f"{name}/both"), f"{name}/new")
    apart = cell.two("MUL", update, cell.two("SUB", h, new, f"{name}/apart"), f"{name}/part")
    return [cell.two("ADD", new, apart, f"{name}/h")]
