"""The ONNX form of what moves elements and computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.exporters.onnx.emitter import Emission
from edgekit.exporters.onnx.ops_elementwise import Converter, unary
from edgekit.ir.graph import Op

Names = Mapping[str, str]
_MODES = {"reflect": "reflect", "replicate": "edge"}
_FIRST = np.iinfo(np.int64).min  # before the first element, where a negative step ends


def flat_pads(padding: Any) -> list[int]:
    """(low, high) pairs as ONNX has them: all lows, then all highs."""
    return [low for low, _ in padding] + [high for _, high in padding]


def padded(e: Emission, op: Op, source: str, pads: Any, value: float, out: str) -> str:
    """Pad with a number."""
    amounts = e.integers(f"{op.name}/pads", flat_pads(pads))
    return e.node("Pad", [source, amounts, e.number(f"{op.name}/value", value, op)], out, mode="constant")


def pad(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    mode = op.attrs.get("mode", "constant")
    if mode == "constant":
        value = op.attrs["value"]
        if value == 0 and any(reader.kind in ("max_pool", "avg_pool") for reader in e.graph.consumers[op.name]):
            # onnxruntime joins a Pad of zeros with the pooling behind it, as if a pooling padded with zeros. It knows
            # zero by its bytes, and those of -0.0 are not zero.
            value = -0.0
        padded(e, op, x[0], op.attrs["pads"], value, out)
        return
    amounts = e.integers(f"{op.name}/pads", flat_pads(op.attrs["pads"]))
    e.node("Pad", [x[0], amounts], out, op.name, mode=_MODES[mode])


def reshape(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Reshape", [x[0], e.integers(f"{op.name}/shape", op.attrs["shape"])], out, op.name)


def slice_(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    a = op.attrs
    _sliced(e, op, x[0], [a["start"]], [a["stop"]], [a["dim"]], [a["step"]], out)


def _sliced(
    e: Emission,
    op: Op,
    x: str,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int],
    out: str,
) -> None:
    parts = (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps))
    e.node("Slice", [x, *(e.integers(f"{op.name}/{part}", values) for part, values in parts)], out, op.name)


def flip(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """A slice that goes backwards."""
    dims = op.attrs["dims"]
    count = len(dims)
    _sliced(e, op, x[0], [-1] * count, [_FIRST] * count, dims, [-1] * count, out)


def gather(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Gather", [x[0], x[1] if len(x) > 1 else own["indices"]], out, op.name, axis=op.attrs["dim"])


def expand(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """Expand keeps an axis that is told to be 1."""
    sizes = [1 if size == -1 else size for size in op.attrs["shape"]]
    e.node("Expand", [x[0], e.integers(f"{op.name}/shape", sizes)], out, op.name)


def tile(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    e.node("Tile", [x[0], e.integers(f"{op.name}/repeats", op.attrs["repeats"])], out, op.name)


def constant(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """An initializer under the operator's own name; one that is handed out needs a node."""
    value = e.tensors(op)["value"].detach()
    value = value.to(e.dtype(op))
    if e.graph.is_output(op.name):
        e.node("Identity", [e.constant(f"{op.name}/value", value)], out, op.name)
    else:
        e.constant(out, value)


def take(e: Emission, op: Op, x: str, axis: int, places: Sequence[int], out: str, name: str) -> str:
    """Gather of known places along an axis."""
    return e.node("Gather", [x, e.integers(f"{name}/places", places)], out, name, axis=axis)


def moves_batch(op: Op) -> bool:
    """Whether it puts another axis in front of all others.

    In float16 onnxruntime joins such a Transpose with the product behind it, and crashes when it opens the file.
    """
    return op.kind == "permute" and op.attrs["dims"][0] != 0


def permute(e: Emission, op: Op, x: list[str], own: Names, out: str) -> None:
    """Transpose; a Reshape where onnxruntime would crash and nothing but axes of size 1 is moved."""
    sizes = e.graph[op.inputs[0]].shape
    lying = [axis for axis in op.attrs["dims"] if sizes[axis] != 1]
    if e.half and not e.dynamic_batch and moves_batch(op) and lying == sorted(lying):
        e.node("Reshape", [x[0], e.integers(f"{op.name}/shape", op.shape)], out, op.name)
    else:
        e.node("Transpose", x, out, op.name, perm=list(op.attrs["dims"]))


MOVES: dict[str, Converter] = {
    "cat": unary("Concat", axis="dim"),
    "pad": pad,
    "reshape": reshape,
    "permute": permute,
    "slice": slice_,
    "flip": flip,
    "gather": gather,
    "expand": expand,
    "tile": tile,
    "constant": constant,
}
