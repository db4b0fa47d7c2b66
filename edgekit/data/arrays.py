"""Examples as numbers: .npz files, each with an array for every input of a network, under its name, or .npy files of
the only input.

The arrays are the inputs as forward() takes them: nothing is resized or normalized. An input of whole numbers gets them
in its own type.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.folder import entries, is_array, is_image
from edgekit.data.unreadable import Unreadable
from edgekit.errors import UsageError
from edgekit.util.formatting import shape_text
from edgekit.util.zip_file import members

if TYPE_CHECKING:
    from edgekit.ir.whole_inputs import WholeNumbers

LARGEST_NUMBER, HEAD = 8, 1 << 16  # bytes of a number, and of what stands before the numbers
Shape = tuple[int, ...]
# A header that claims more numbers than any machine holds is a MemoryError: the file itself is never that large.
_ERRORS = (
    *(OSError, ValueError, EOFError, KeyError, NotImplementedError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Example:
    """One example. `shapes` are those of the network's inputs by name, batch first; `whole` are its whole numbers."""

    path: Path
    shapes: Mapping[str, Shape]
    whole: Mapping[str, WholeNumbers] = field(default_factory=dict)

    def load(self) -> tuple[NDArray[Any], ...]:
        """Return one array for each input, without the batch: float32, or whole numbers.

        Raises UsageError naming the file.
        """
        found = _read(self.path, self.shapes)
        return tuple(self._fitted(name, found.get(name), shape) for name, shape in self.shapes.items())

    def _fitted(self, name: str, array: NDArray[np.generic] | None, shape: Shape) -> NDArray[Any]:
        if array is None:
            raise UsageError(f"{self.path} has no array '{name}'", how_to_save(self.shapes))
        if array.shape not in (shape, shape[1:]):
            got, wanted = (shape_text(sizes) or "one number" for sizes in (array.shape, shape))
            raise UsageError(
                f"'{name}' in {self.path} is {got}, and the network takes {wanted}", "save it in that shape"
            )
        if array.dtype.kind not in "fiub":
            raise UsageError(f"'{name}' in {self.path} holds {array.dtype}, not real numbers", "save it as float32")
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            numbers = array.reshape(shape[1:]).astype(np.float32)
        if not np.isfinite(numbers).all():
            raise UsageError(f"'{name}' in {self.path} holds values that are not finite", "leave this example out")
        return numbers if name not in self.whole else self._as_whole(name, array.reshape(shape[1:]), self.whole[name])

    def _as_whole(self, name: str, array: NDArray[Any], kind: WholeNumbers) -> NDArray[Any]:
        """The array in the input's type, which must hold the same numbers, within what the network takes."""
        numbers: NDArray[Any] = array.astype(kind.dtype)
        is_real = numbers.dtype.kind == "f"  # the network takes its fraction away
        low, high = (kind.low, kind.high) if kind.chooses else _ends(kind.dtype)
        meant = np.trunc(array) if is_real else array
        if not ((meant >= low) & (meant <= high)).all() or not (is_real or (numbers == array).all()):
            raise UsageError(
                f"'{name}' in {self.path} holds other values than the network takes: {kind.dtype} from {low} to {high}",
                "save other numbers, or leave this example out",
            )
        return numbers


def _ends(dtype: str) -> tuple[int, int]:
    """The least and the largest number of a type of whole numbers or truth values."""
    return (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def find(
    folder: Path, shapes: Mapping[str, Shape], seed: int, whole: Mapping[str, WholeNumbers]
) -> tuple[Example, ...]:
    """Return the examples of a folder, or of its sub-folders, in an order that the seed and their names alone decide.

    None where images are there and no .npz lies beside them.
    """
    if not folder.is_dir():
        return ()

    def order(path: Path) -> bytes:
        name = path.relative_to(folder).as_posix()
        return hashlib.sha256(f"{seed}\0{name}".encode(errors="backslashreplace")).digest()

    return tuple(Example(path, shapes, whole) for path in sorted(_paths(folder), key=order))


def _paths(folder: Path) -> list[Path]:
    beside = entries(folder)
    found = [path for path in beside if path.suffix == ".npz"]
    if found:
        return found
    inside = [*beside, *(path for one in beside if one.is_dir() for path in entries(one))]
    return [] if any(map(is_image, inside)) else [path for path in inside if is_array(path)]


def digest(arrays: tuple[NDArray[Any], ...]) -> str:
    """16 hex digits that two examples share exactly when all their numbers agree."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.shape}:".encode() + array.tobytes())
    return found.hexdigest()[:16]


def how_to_save(shapes: Mapping[str, Shape]) -> str:
    """Return the remedy for what is no example."""
    alone = ", or numpy.save(FILE, ...)" if len(shapes) == 1 else ""
    every = ", ".join(f"{name}=..." for name in shapes)
    return f"save each example into the folder with numpy.savez(FILE, {every}){alone}"


def _read(path: Path, shapes: Mapping[str, Shape]) -> dict[str, NDArray[np.generic]]:
    """The arrays of the inputs that are there; none is unpacked that is larger than its input."""
    try:
        if path.suffix.lower() == ".npy":
            return {_only(path, shapes): np.array(np.load(path, mmap_mode="r", allow_pickle=False))}
        with path.open("rb") as stream:
            with zipfile.ZipFile(stream) as archive:
                sizes = {member.filename.removesuffix(".npy"): member.file_size for member in members(archive)}
            for name, shape in shapes.items():
                if sizes.get(name, 0) > LARGEST_NUMBER * math.prod(shape) + HEAD:
                    shown = shape_text(shape)
                    raise UsageError(f"'{name}' in {path} is larger than {shown}", "save one example in each file")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in shapes if name in arrays.files}
    except _ERRORS as error:
        kind = f"an {path.suffix.lower()} file of arrays"
        raise Unreadable(f"{path} cannot be read as {kind}: {error}", how_to_save(shapes)) from error


def _only(path: Path, shapes: Mapping[str, Shape]) -> str:
    """The name of the only input. Raises UsageError where there are several, or the file is larger than it."""
    name, shape = next(iter(shapes.items()))
    if len(shapes) > 1:
        raise UsageError(f"{path} holds one array, and the network takes {len(shapes)}", how_to_save(shapes))
    if path.stat().st_size > LARGEST_NUMBER * math.prod(shape) + HEAD:
        raise UsageError(f"{path} is larger than {shape_text(shape)}", "save one example in each file")
    return name
