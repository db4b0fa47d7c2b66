"""What a phone answers, held against LiteRT here on the same file and the same inputs.

The classic benchmark_model takes inputs from files and writes its outputs into one; LiteRT's own tool does neither. A
delegate may compute in float16, so that what comes back is a distance and no verdict; a large one is told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.android.benchmark_model import CLASSIC, Tool
from edgekit.bench.links.adb import AdbLink
from edgekit.bench.ondevice.runner import make_inputs
from edgekit.bench.ondevice.tensor import Tensor as Sized
from edgekit.device.linux import LinuxTarget
from edgekit.errors import EdgekitError
from edgekit.records.runtime import Session, Tensor

NEEDED = ("input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath")
FAR = 0.05  # over the largest answer: more than float16 or one step of int8 explains
SEPARATOR = ","  # the tool's flags cannot name a tensor that has one


def compared(
    tool: Tool, link: AdbLink, job: Mapping[str, Any], run: Callable[[Mapping[str, object]], object]
) -> dict[str, Any]:
    """Return the largest difference of any answer, and the largest answer; None with a `reason` where there is none.

    `run` runs the tool there with these flags beside its own.
    """
    unknown: dict[str, Any] = {"max_error": None, "largest": None}
    reason = lacking(tool)
    if reason is not None:
        return {**unknown, "reason": reason}
    path = Path(job["artifact"])
    try:
        here = LinuxTarget().open_session(path, "litert", delegate=kernels(tool, job["delegate"]))
    except EdgekitError as error:
        return {**unknown, "reason": f"nothing here to compare with: {error.message}"}
    with closing(here):
        if unnamed(here.session.inputs):
            return {**unknown, "reason": "the tool cannot be given inputs for a tensor of that name"}
        inputs = make_inputs([_of_one(tensor) for tensor in here.session.inputs], job["seed"])
        try:
            got, wanted = _there(link, here.session, inputs, run), here.session.run(inputs)
        except EdgekitError as error:
            return {**unknown, "reason": error.message}
        size = sum(array.nbytes for array in wanted)
        if len(got) != size:
            return {**unknown, "reason": f"it answered {len(got)} bytes, not {size}"}
        return told(*apart(_like(wanted, got), wanted), f"{reference(here.found)}, seeded inputs")


def kernels(tool: Tool, delegate: str | None) -> str | None:
    """Return the delegate with which LiteRT here rounds as the tool there: `none` where that runs without XNNPACK."""
    lacks = tool.kind == CLASSIC and "use_xnnpack" not in tool.flags
    return "none" if lacks or delegate == "none" else None


def reference(found: Mapping[str, Any]) -> str:
    """Return what answers are compared with, of what is found of the session here."""
    own = ", its own kernels" if found["delegate"] in (None, "none") else ""
    return f"LiteRT {found['runtime_version']} here{own}"


def lacking(tool: Tool) -> str | None:
    """Return why a tool tells nothing that could be compared; None where it does."""
    found = [name for name in NEEDED if name not in tool.flags]
    return f"this benchmark_model tells no outputs: it has no --{found[-1]}" if found else None


def unnamed(tensors: Sequence[Tensor]) -> bool:
    """Return whether a tensor has a name that the tool's flags cannot have."""
    return any(SEPARATOR in tensor.name for tensor in tensors)


def input_flags(tensors: Sequence[Tensor], arrays: Sequence[NDArray[Any]], places: Sequence[str]) -> dict[str, object]:
    """Return the flags that give files there to a file's inputs."""
    # A colon stands between name and place, and in many a name.
    names = [tensor.name.replace(":", "\\:") for tensor in tensors]
    pairs = [f"{name}:{place}" for name, place in zip(names, places, strict=True)]
    return {
        "input_layer": ",".join(tensor.name for tensor in tensors),
        "input_layer_shape": ":".join(",".join(map(str, array.shape)) for array in arrays),
        "input_layer_value_files": ",".join(pairs),
    }


def apart(there: Sequence[NDArray[Any]], here: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Return the largest difference of any answer, NaN where one there is NaN, and the largest answer here."""
    errors = [np.abs(far.astype(np.float64) - near).max(initial=0) for far, near in zip(there, here, strict=True)]
    largest = [np.abs(near.astype(np.float64)).max(initial=0) for near in here]
    return float(np.max(errors)), float(np.max(largest))


def told(error: float, most: float, near: str) -> dict[str, Any]:
    """Return what a record holds of answers that are so far from those of `near`, whose largest is `most`."""
    remarks = []
    if not np.isfinite(error):
        remarks.append("its answers are not finite, and LiteRT's here are")
    elif error > FAR * most:
        remarks.append(f"its answers differ from LiteRT's here by up to {error:.3g}, where the largest is {most:.3g}")
    measured = error if np.isfinite(error) else None
    return {"max_error": measured, "largest": most, "reference": near, "remarks": remarks}


def _of_one(tensor: Tensor) -> Tensor:
    """The tensor with a batch of 1 where that is free, as the tool takes it."""
    return Sized(tensor.name, tensor.dtype, tuple(max(1, size) for size in tensor.shape))


def _there(
    link: AdbLink, session: Session, inputs: Sequence[NDArray[Any]], run: Callable[[Mapping[str, object]], object]
) -> bytes:
    """The bytes of all outputs, one after the other."""
    written = f"{link.work}/answers"
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        places = []
        for index, array in enumerate(inputs):
            file = Path(folder) / f"input{index}.bin"
            file.write_bytes(array.tobytes())
            places.append(link.place(file))
        run({**input_flags(session.inputs, inputs, places), "output_filepath": written})
        link.pull(written, Path(folder) / "answers")
        return (Path(folder) / "answers").read_bytes()


def _like(wanted: Sequence[NDArray[Any]], got: bytes) -> list[NDArray[Any]]:
    """The bytes as arrays of the same types and shapes."""
    starts = [0, *accumulate(array.nbytes for array in wanted)]
    return [
        np.frombuffer(got, array.dtype, array.size, start).reshape(array.shape)
        for array, start in zip(wanted, starts, strict=False)
    ]
