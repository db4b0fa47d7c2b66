"""The ONNX form of LSTM and GRU: one node for a direction of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.onnx.emitter import Emission
from edgekit.ir.graph import Op, same_steps

# Where each gate of ONNX's order stands in torch's: lstm i o f c of i f c o, gru z r h of r z h.
_ORDER = {"lstm": (0, 3, 1, 2), "lstm_cell": (0, 3, 1, 2), "gru": (1, 0, 2)}


def recurrent(e: Emission, op: Op, x: list[str], own: Mapping[str, str], out: str) -> None:
    """(T, N, C) to (T, N, hidden), or to the last cell state. Further inputs are the first states, (1, N, hidden)."""
    beside = next((one for one in e.nodes if op.kind == "lstm_cell" and _steps_of(e, one, op)), None)
    if beside is not None:
        beside.output.extend(["", out])
        return
    tensors, kind = e.tensors(op), op.kind

    def gates(role: str) -> Tensor:
        parts = tensors[role].detach().to(e.dtype(op)).chunk(len(_ORDER[kind]))
        return torch.cat([parts[index] for index in _ORDER[kind]])

    inputs = [x[0], *(e.constant(f"{op.name}/{role}", gates(role).unsqueeze(0)) for role in ("w_ih", "w_hh"))]
    bias = ""
    if "b_ih" in own:
        bias = e.constant(f"{op.name}/bias", torch.cat([gates("b_ih"), gates("b_hh")]).unsqueeze(0))
    inputs += [bias, "", *x[1:]]
    while not inputs[-1]:
        inputs.pop()
    more: dict[str, Any] = {"linear_before_reset": 1} if kind == "gru" else {}
    y = f"{op.name}/directions"
    more |= {"hidden_size": op.attrs["hidden"], "direction": "reverse" if op.attrs["reverse"] else "forward"}
    if kind == "lstm_cell":
        e.nodes_of("LSTM", inputs, ["", "", out], op.name, **more)
        return
    e.node(kind.upper(), inputs, y, op.name, **more)
    e.node("Squeeze", [y, e.integers(f"{op.name}/axis", [1])], out, f"{op.name}/squeeze")


def _steps_of(e: Emission, node: Any, op: Op) -> bool:
    """Whether a node makes the steps whose last cell state is asked for."""
    return node.op_type == "LSTM" and same_steps(e.graph[node.name], op)
