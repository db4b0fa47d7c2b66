"""What a phone answers, held against LiteRT here on the same file and the same inputs.

The classic benchmark_model takes inputs from files and writes its outputs into one; LiteRT's own tool does neither. A
delegate may compute in float16, so that what comes back is a distance and no verdict; a large one is told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.android.benchmark_model import Tool
from edgekit.bench.links.adb import AdbLink
from edgekit.bench.runner import make_inputs
from edgekit.errors import BackendMissing, EdgekitError
from edgekit.records.runtime import Session, open_session

NEEDED = ("input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath")
FAR = 0.05  # over the largest answer: more than float16 or one step of int8 explains
SEPARATORS = ",:"  # the tool's flags cannot name a tensor that has one of these


def compared(
    tool: Tool, link: AdbLink, job: Mapping[str, Any], run: Callable[[Mapping[str, object]], object]
) -> dict[str, Any]:
    """The largest difference of any answer, and the largest answer; None with a `reason` where there is none.

    `run` runs the tool there with these flags beside its own.
    """
    unknown: dict[str, Any] = {"max_error": None, "largest": None}
    lacking = [name for name in NEEDED if name not in tool.flags]
    if lacking:
        return {**unknown, "reason": f"this benchmark_model tells no outputs: it has no --{lacking[-1]}"}
    path = Path(job["artifact"])
    try:
        session = open_session(path, "litert", batch=job["batch"])
    except BackendMissing as error:
        return {**unknown, "reason": f"nothing here to compare with: {error.message}"}
    if any(sign in tensor.name for tensor in session.inputs for sign in SEPARATORS):
        return {**unknown, "reason": "the tool cannot be given inputs for a tensor of that name"}
    inputs = make_inputs(session.inputs, job["seed"])
    try:
        got = _there(link, session, inputs, run)
    except EdgekitError as error:
        return {**unknown, "reason": error.message}
    return _distance(got, session.run(inputs), str(session.found["runtime_version"]))


def _there(
    link: AdbLink, session: Session, inputs: Sequence[NDArray[Any]], run: Callable[[Mapping[str, object]], object]
) -> bytes:
    """The bytes of all outputs, one after the other."""
    names = [tensor.name for tensor in session.inputs]
    written = f"{link.work}/answers"
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        places = []
        for index, array in enumerate(inputs):
            file = Path(folder) / f"input{index}.bin"
            file.write_bytes(array.tobytes())
            places.append(link.place(file))
        run(
            {
                "input_layer": ",".join(names),
                "input_layer_shape": ":".join(",".join(map(str, array.shape)) for array in inputs),
                "input_layer_value_files": ",".join(
                    f"{name}:{place}" for name, place in zip(names, places, strict=True)
                ),
                "output_filepath": written,
            }
        )
        link.pull(written, Path(folder) / "answers")
        return (Path(folder) / "answers").read_bytes()


def _distance(got: bytes, wanted: Sequence[NDArray[Any]], version: str) -> dict[str, Any]:
    if len(got) != sum(array.nbytes for array in wanted):
        size = sum(array.nbytes for array in wanted)
        return {"max_error": None, "largest": None, "reason": f"it answered {len(got)} bytes, not {size}"}
    errors, largest, at = [], [], 0
    for array in wanted:
        there = np.frombuffer(got, array.dtype, array.size, at).astype(np.float64)
        errors.append(float(np.abs(there - array.reshape(-1)).max(initial=0)))
        largest.append(float(np.abs(array.astype(np.float64)).max(initial=0)))
        at += array.nbytes
    error, most = max(errors), max(largest)
    if not np.isfinite(error):
        return {"max_error": None, "largest": most, "remarks": ["its answers are not finite, and LiteRT's here are"]}
    far = error > FAR * most
    said = (
        [f"its answers differ from LiteRT's here by up to {error:.3g}, where the largest is {most:.3g}"] if far else []
    )
    return {"max_error": error, "largest": most, "reference": f"LiteRT {version} here, seeded inputs", "remarks": said}
