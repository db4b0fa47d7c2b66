"""A Python program that runs a file on arrays, for one that takes no image or answers with more than scores."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call
from edgekit.inspection.snippets_python import in_type_of, model
from edgekit.records.manifest import TensorRecord


def arrays(call: Call, parts: Mapping[str, str]) -> str:
    """Return a program that prints every output: `python program.py example.npz`.

    The example has an array for each input under its name, with the axes and values that the network takes.
    """
    lines = [
        f'"""Run {call.title} on one example, an .npz file with an array for each input."""',
        "import sys",
        "from pathlib import Path",
        "",
        "import numpy as np",
        model(call),
        "example = np.load(sys.argv[1])",
        "inputs = {}",
        *(line for tensor in call.manifest.inputs for line in _given(tensor)),
        parts["arrays"].strip(),
        *(line for tensor in call.manifest.outputs for line in _taken(tensor)),
        "",
    ]
    return "\n".join(lines)


def _given(tensor: TensorRecord) -> list[str]:
    """The lines that put one array of the example into the inputs."""
    batch, *sizes = tensor.shape
    shape = (batch, sizes[-1], *sizes[:-1]) if Array(tensor).channels_last else tensor.shape
    return [
        f"x = example[{tensor.name!r}].reshape({shape!r})",
        *(["x = np.moveaxis(x, 1, -1)  # the file wants channels last"] if Array(tensor).channels_last else []),
        in_type_of(tensor),
        f"inputs[{tensor.name!r}] = np.ascontiguousarray(x)",
    ]


def _taken(tensor: TensorRecord) -> list[str]:
    """The lines that print one output as the network gives it."""
    real = f"y = (y.astype(np.float32) - {tensor.zero_point}) * np.float32({tensor.scale!r})"
    return [
        f"y = np.asarray(results[{tensor.name!r}])",
        *([real] if tensor.scale is not None else []),
        *(["y = np.moveaxis(y, -1, 1)  # channels first"] if Array(tensor).channels_last else []),
        f"print({tensor.name!r}, y.shape)",
        "print(y)",
    ]
