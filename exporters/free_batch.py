"""Whether a network takes any batch, told by the shapes of its operators at twice its own; nothing is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend.shapes import known_shape
from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import KERNELS


def batch_axes(graph: Graph) -> dict[str, int]:
    """Return the axis in which each operator's output has the batch, by name.

    Raises UsageError that names the first layer which fixes the batch, or loses it.
    """
    dtype = next((t.dtype for t in graph.params.values() if t.is_floating_point()), torch.float32)
    values: dict[str, Tensor] = {}
    axes: dict[str, int] = {}
    for op in graph.ops:
        if op.kind == "input":
            kind = dtype if op.dtype.is_floating_point else op.dtype
            values[op.name] = torch.empty((2 * op.shape[0], *op.shape[1:]), dtype=kind, device="meta")
        else:
            values[op.name] = _output(graph, op, [values[name] for name in op.inputs])
        if op.kind == "constant":
            continue
        sizes = zip(values[op.name].shape, op.shape, strict=True)
        doubled = [axis for axis, (twice, once) in enumerate(sizes) if twice != once]
        if len(doubled) != 1:
            raise _fixed(op, "mixes the images of a batch")
        axes[op.name] = doubled[0]
    for name in graph.outputs.values():
        if axes[name]:
            raise _fixed(graph[name], "ends the network with the batch in another place than the first")
    return axes


def moved(graph: Graph) -> str | None:
    """Return the first layer that moves the batch from the first place; None where all leave it there."""
    return next((name for name, axis in batch_axes(graph).items() if axis), None)


def _output(graph: Graph, op: Op, inputs: list[Tensor]) -> Tensor:
    own = {role: tensor.detach().to("meta") for role, tensor in graph.tensors(op).items()}
    known = known_shape(op.kind, op.attrs, inputs, own)
    if known is not None:
        return torch.empty(known[0], dtype=known[1], device="meta")
    try:
        return KERNELS[op.kind](op, inputs, own)
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:  # how torch refuses a shape
        raise _fixed(op, "reshapes the batch" if op.kind == "reshape" else "fixes the batch") from error


def _fixed(op: Op, why: str) -> UsageError:
    return UsageError(
        f"layer {op.name} {why}, so that it cannot be free",
        "leave --dynamic-batch out, or write the layer for any batch",
    )
