"""What every reader of weights shares: the checks of a file before it is opened, and what it holds (`Checkpoint`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import UsageError, first_line
from edgekit.network.names import CHECKPOINTS
from edgekit.records.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

    from edgekit.network.spec import Variant

FORMATS = {
    **CHECKPOINTS,
    ".tflite": "tflite",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".keras": "keras",
}
_PACKED = {("zip", "torch"), ("zip", "npz"), ("zip", "keras")}  # these formats are archives
AGAIN = "get the file again"
COUNTER = "num_batches_tracked"  # of BN's training; no part of inference, and older files lack it


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file in torch's layout, under the names of the network's state_dict.

    `preprocessing` None: the network's own. `resolution` and `ranges` are None where the file does not tell them;
    `ranges` gives (low, high) by the name of the operator that computes the tensor. `batch_norm_eps` is the epsilon
    that the file's statistics were made with, by the name of the BatchNorm; None: the network's own. `assumed`: the
    file does not tell `preprocessing`, which is the usual one of its kind. `notes` say what was chosen where a file
    left a choice. `check` raises UsageError for a variant that computes something else with the same shapes.
    """

    tensors: Mapping[str, Tensor]
    preprocessing: Preprocessing | None = None
    resolution: int | None = None
    ranges: Mapping[str, tuple[float, float]] | None = None
    batch_norm_eps: Mapping[str, float] | None = None
    assumed: bool = False
    notes: tuple[str, ...] = ()
    check: Callable[[Variant], None] | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor that inference needs."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items() if not name.endswith(COUNTER)}


def suffix_of(name: str) -> str:
    """The suffix by which a file is known as weights, as a key of FORMATS (".pth.tar" too); empty where it is none."""
    return next((suffix for suffix in FORMATS if name.lower().endswith(suffix)), "")


def file_format(path: Path) -> str:
    """Return the format of a weights file, by its suffix and confirmed by its first bytes.

    Raises UsageError for what is missing, empty, a directory, unreadable, a placeholder or something else inside.
    """
    if path.is_dir():
        raise UsageError(f"the weights {path} are a directory", f"give a file that ends in {', '.join(FORMATS)}")
    if not path.exists():
        raise UsageError(f"the weights {path} do not exist", "check the path, or say --weights random")
    if not path.is_file():
        raise UsageError(f"the weights {path} are no regular file", f"give a file that ends in {', '.join(FORMATS)}")
    wanted = FORMATS.get(suffix_of(path.name))
    if wanted is None:
        raise UsageError(f"{path.name} is no kind of weights file", f"give a file that ends in {', '.join(FORMATS)}")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise UsageError(f"the weights {path} cannot be read: {error.strerror}", "check its permissions") from error
    if not head:
        raise UsageError(f"the weights {path} are empty", AGAIN)
    _refuse_placeholder(path, head)
    inside = _sniff(head)
    if inside and inside != wanted and (inside, wanted) not in _PACKED:
        raise UsageError(
            f"{path.name} is named like {wanted} weights, but its content is {inside}", "give it the suffix that fits"
        )
    return wanted


def broken(path: Path, kind: str, error: Exception) -> UsageError:
    """Return the error for a file whose content cannot be read as `kind`."""
    first = first_line(error)[:160]
    return UsageError(f"{path.name} is no readable {kind} file (truncated or something else): {first}", AGAIN)


def check_size(path: Path, elements: int, most: int) -> None:
    """Raise UsageError for more numbers than the network can take, before memory is taken for them.

    A few bytes of a compressed or sparse file can stand for any number of them.
    """
    if elements > most:
        raise UsageError(
            f"{path.name} holds {elements:,} numbers or more, and the network takes {most:,} at most",
            "give weights of this network",
        )


def check_bytes(path: Path, count: int, most: int) -> None:
    """The same for what is read into memory as it is: numbers have 8 bytes at most."""
    check_size(path, count // 8, most)


def _refuse_placeholder(path: Path, head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        raise UsageError(
            f"{path.name} is a git-lfs pointer, not the file itself", "run `git lfs pull` where it came from"
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UsageError(f"{path.name} is a web page, not the file itself", "download the raw file")


def _sniff(head: bytes) -> str | None:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[257:262] == b"ustar":
        return "an archive of files"
    return None
