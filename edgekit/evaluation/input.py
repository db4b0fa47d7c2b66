"""How a file wants its images: layout, size, and what its input integers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError, nearest
from edgekit.exporting.stored_values import quantized, to_layout
from edgekit.records.artifact import Artifact
from edgekit.records.manifest import TensorRecord, pixels_are_codes
from edgekit.records.preprocessing import CHANNELS, ForeignInput, Preprocessing, normalize
from edgekit.records.runtime import Session
from edgekit.util.formatting import shape_text

DTYPES = ("float32", "float16", "uint8", "int8", "int16", "int32", "int64")


@dataclass(frozen=True)
class FileInput:
    """The one input of a file that takes images. `batch` is None where it is free."""

    preprocessing: Preprocessing
    tensor: TensorRecord
    size: tuple[int, int]  # height, width
    batch: int | None

    @property
    def class_offset(self) -> int:
        """The output of class 0."""
        return self.preprocessing.class_offset

    @property
    def view(self) -> tuple[Preprocessing, tuple[int, int]]:
        """What files that get the same pixels have in common."""
        return self.preprocessing, self.size

    def parts(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """Return one image for the only input."""
        return (self.stored(pixels),)

    def stored(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 pixels (H, W, C) as this file stores one image, without the batch.

        Integers that mean the pixels, or miss the normalized value by at most one step everywhere, are the pixels as
        they are (uint8) or less 128 (int8): no value falls between two codes then. Otherwise the normalized value x
        is stored as round(x / scale) + zero_point.
        """
        dtype = np.dtype(self.tensor.dtype)
        if pixels_are_codes(self.preprocessing, self.tensor):
            codes: NDArray[Any] = (pixels.astype(np.int16) + np.iinfo(dtype).min).astype(dtype)
            return np.ascontiguousarray(codes if self.tensor.layout == "NHWC" else codes.transpose(2, 0, 1))
        x = to_layout(normalize(self.preprocessing, pixels)[None], self.tensor.layout)
        stored: NDArray[Any] = quantized(x, self.tensor)[0]
        return stored.astype(dtype, copy=False)


def file_input(artifact: Artifact, session: Session, said: ForeignInput | None) -> FileInput:
    """Return what the file's input is, by its manifest or, for a foreign one, by the file and what the user says.

    Raises UsageError where it takes no images, has several inputs, or nobody says how it was trained.
    """
    name = artifact.path.name
    if len(session.inputs) != 1:
        raise UsageError(
            f"{name} has {len(session.inputs)} inputs, and an image fills one",
            "give a folder of .npz files, an array for each input by name, with labels.csv or one sub-folder per class",
        )
    if artifact.manifest is not None:
        preprocessing, tensor = artifact.manifest.preprocessing, artifact.manifest.inputs[0]
    elif said is not None:
        preprocessing, tensor = said.preprocessing, _foreign(name, session, said)
    else:
        raise UsageError(f"{name} has no manifest that says how its images are prepared", "add --preprocess FILE")
    return _checked(name, preprocessing, tensor, said.size if said and artifact.foreign else None)


def channels_of(session: Session, layout: str | None) -> int | None:
    """Return the channels of a file's only input, where its shape allows one number of an image; else None."""
    if len(session.inputs) != 1:
        return None
    shape = tuple(session.inputs[0].shape)
    places = {"NCHW": shape[1:2], "NHWC": shape[-1:]}
    found = {size for name, sizes in places.items() if layout in (None, name) for size in sizes}
    able = found & set(CHANNELS.values())
    return able.pop() if len(able) == 1 and len(shape) == 4 else None


def scores_of(name: str, session: Session, asked: str | None) -> int:
    """Return which output of a file holds the scores: the only one, or the one of a name. Raises UsageError."""
    known = [output.name for output in session.outputs]
    if asked is not None:
        if asked not in known:
            raise UsageError(f"{name} has no output '{asked}'{nearest(asked, known)}", f"it has: {', '.join(known)}")
        return known.index(asked)
    if len(known) != 1:
        raise UsageError(
            f"{name} has {len(known)} outputs: {', '.join(known)}", "say with --output-name which one classifies"
        )
    return 0


def _foreign(name: str, session: Session, said: ForeignInput) -> TensorRecord:
    tensor = session.inputs[0]
    channels, shape = CHANNELS[said.preprocessing.channels], tuple(tensor.shape)
    fits = {"NCHW": shape[1:2] == (channels,), "NHWC": shape[-1:] == (channels,)}
    layouts = [layout for layout, fit in fits.items() if fit and said.layout in (None, layout)]
    if len(shape) != 4 or len(layouts) != 1:
        raise UsageError(
            f"the input of {name} has shape {shape_text(shape)}, which is not {channels} channels of an image"
            + (f" in {said.layout}" if said.layout else ""),
            f"correct `channels` ({', '.join(CHANNELS)}) or `layout` in the preprocessing file",
        )
    scale, zero_point = session.found.get("input_quantization") or (None, None)
    return TensorRecord(
        name=tensor.name, dtype=tensor.dtype, shape=shape, layout=layouts[0], scale=scale, zero_point=zero_point
    )


def _checked(name: str, preprocessing: Preprocessing, tensor: TensorRecord, size: tuple[int, int] | None) -> FileInput:
    if tensor.dtype not in DTYPES or tensor.layout not in ("NCHW", "NHWC") or len(tensor.shape) != 4:
        raise UsageError(
            f"the input of {name} is {tensor.dtype} in {tensor.layout}, which takes no images",
            f"eval takes images as {', '.join(DTYPES)} in NCHW or NHWC",
        )
    shape = tensor.shape
    channels = shape[1] if tensor.layout == "NCHW" else shape[3]
    if channels not in (-1, CHANNELS[preprocessing.channels]):
        raise UsageError(
            f"{name} takes {channels} channels, and images in {preprocessing.channels} have another number",
            "images have 1, 3 or 4 channels: give a folder of .npy files as the network takes them, with their labels",
        )
    own = (shape[2], shape[3]) if tensor.layout == "NCHW" else (shape[1], shape[2])
    if size is not None and any(mine not in (-1, theirs) for mine, theirs in zip(own, size, strict=True)):
        raise UsageError(f"{name} takes images of {own[0]}x{own[1]}, not {size[0]}x{size[1]}", "leave size out")
    if size is None and min(own) < 1:
        raise UsageError(f"{name} does not say the size of its images", "add size to the preprocessing file")
    return FileInput(preprocessing, tensor, size or own, shape[0] if shape[0] > 0 else None)
