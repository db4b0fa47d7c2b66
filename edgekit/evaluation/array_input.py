"""How a file wants arrays: its inputs as the network takes them, in the file's layouts and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError
from edgekit.exporting.stored_values import from_layout, quantized, to_layout
from edgekit.records.artifact import Artifact
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import ForeignInput
from edgekit.records.runtime import Session

ArrayView = tuple[tuple[str, tuple[int, ...]], ...]  # the name and shape of each input, as the network has them


@dataclass(frozen=True)
class ArrayInput:
    """All inputs of a file. `batch` is None where it is free."""

    tensors: tuple[TensorRecord, ...]
    class_offset: int
    batch: int | None

    @property
    def view(self) -> ArrayView:
        """What files that get the same arrays have in common."""
        return tuple((one.name, _shape(one)) for one in self.tensors)

    def parts(self, arrays: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return one example, an array for each input, as this file stores it, without the batch."""
        return tuple(
            quantized(to_layout(x[None], one.layout), one)[0].astype(one.dtype, copy=False)
            for x, one in zip(arrays, self.tensors, strict=True)
        )


def array_input(artifact: Artifact, session: Session, said: ForeignInput | None) -> ArrayInput:
    """Return the inputs of a file, by its manifest or, for a foreign one, by the file.

    Raises UsageError for free sizes.
    """
    manifest, name = artifact.manifest, artifact.path.name
    if not session.inputs:
        raise UsageError(f"{name} has no inputs, and always answers the same", "evaluate a file that takes some")
    if manifest is not None:
        known = {one.name: one for one in manifest.inputs}
        beside = zip(session.inputs, manifest.inputs, strict=True)
        tensors = tuple(known.get(one.name, its) for one, its in beside)
        offset = manifest.preprocessing.class_offset
    else:
        tensors = _foreign(session)
        offset = said.preprocessing.class_offset if said else 0
    for one in tensors:
        if min(one.shape[1:], default=1) < 1:
            raise UsageError(f"{name} does not say the size of '{one.name}'", "export it with fixed sizes")
    batches = {one.shape[0] for one in tensors if one.shape}
    return ArrayInput(tensors, offset, max(batches) if min(batches, default=0) > 0 else None)


def _shape(tensor: TensorRecord) -> tuple[int, ...]:
    sizes = (1, *tensor.shape[1:])
    return from_layout(np.broadcast_to(np.float32(0), sizes), tensor.layout).shape


def _foreign(session: Session) -> tuple[TensorRecord, ...]:
    """The inputs with the file's own axes."""
    told = session.found.get("input_quantization") if len(session.inputs) == 1 else None
    scale, zero = told or (None, None)
    return tuple(
        TensorRecord(name=x.name, dtype=x.dtype, shape=tuple(x.shape), layout="", scale=scale, zero_point=zero)
        for x in session.inputs
    )
