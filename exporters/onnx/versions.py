"""Which ONNX operator sets are written, and the format's version that goes with each."""

from __future__ import annotations

from edgekit.errors import UsageError

DEFAULT_OPSET = 17
# The oldest IR version that admits each opset: what old runtimes still read.
IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}


def check_opset(opset: int) -> None:
    """Raise UsageError for an operator set that is not written."""
    if opset not in IR_VERSIONS:
        raise UsageError(
            f"ONNX opset {opset} is not supported", f"choose {min(IR_VERSIONS)} to {max(IR_VERSIONS)}, or leave it out"
        )
