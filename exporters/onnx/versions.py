"""Which ONNX operator sets are written, and the format's version that goes with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.ir.graph import Graph, Op

DEFAULT_OPSET = 17
# The oldest IR version that admits each opset: what old runtimes still read.
IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}
# The first opset that has what a kind is written with, and from how many axes on, where that is above the default one.
_NEEDED = dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), (18, 0)) | {"grid_sample": (20, 5)}


def check_opset(opset: int) -> None:
    """Raise UsageError for an operator set that is not written."""
    if opset not in IR_VERSIONS:
        raise UsageError(
            f"ONNX opset {opset} is not supported", f"choose {min(IR_VERSIONS)} to {max(IR_VERSIONS)}, or leave it out"
        )


def opset_of(graph: Graph, asked: int | None) -> int:
    """Return the operator set of a file: the one that is asked for, else the default one or what its operators need.

    Raises UsageError for an operator set that is not written.
    """
    if asked is None:
        return max(DEFAULT_OPSET, *(needed(op) for op in graph))
    check_opset(asked)
    return asked


def needed(op: Op) -> int:
    """Return the first opset that has what an operator is written with; 0 where the default one has it."""
    opset, axes = _NEEDED.get(op.kind, (0, 0))
    return opset if len(op.shape) >= axes else 0
