"""Open what torch.save wrote, and run nothing of it.

A checkpoint is a pickle, which names classes and functions. torch's own reader (`weights_only=True`) makes tensors and
plain data of it and refuses all other names. What training scripts keep beside the weights (their arguments, numpy's
numbers, settings of other packages) has such names too: an object of them becomes `Unread`, which does nothing.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from edgekit.checkpoints.file import broken
from edgekit.errors import UsageError

_NAME = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")
_MOST_NAMES = 200
# Of Python's own modules a training script keeps these; who names another one wants it called.
_PLAIN_DATA = re.compile(
    r"argparse\.Namespace|pathlib\.(_local\.)?\w*Path|datetime\.\w+|collections\.\w+|types\.SimpleNamespace"
    r"|functools\.partial|decimal\.Decimal|fractions\.Fraction|uuid\.\w+|copyreg\._reconstructor"
    r"|set|frozenset|object|complex|slice|range"
)
_STATE_DICT = "load it where its code is and save only the weights: torch.save(model.state_dict(), ...)"


class Unread:
    """An object of a class or function that was not looked up. `name` is how the file calls it."""

    name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Unread:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever the file gives."""

    def __setstate__(self, state: Any) -> None:
        """Take whatever the file gives."""


def opened(path: Path, mapped: bool) -> Any:
    """Return the content of a checkpoint. `mapped`: its tensors can be looked at where they lie in the file.

    Raises UsageError for what is broken, a program, or made to run something.
    """
    stand_ins: list[type[Unread]] = []
    while True:
        try:
            return _read(path, mapped, stand_ins)
        except UnpicklingError as error:
            name = _NAME.search(str(error))
            if name is None or len(stand_ins) == _MOST_NAMES or _is_harmful(name[1]):
                raise _refusal(path, error) from error
            stand_ins.append(_stand_in(name[1]))
        except Exception as error:  # torch raises many kinds for bytes that are not its own
            if "TorchScript" in str(error):
                raise UsageError(
                    f"{path.name} is a TorchScript program, not weights", "save model.state_dict() instead"
                ) from error
            raise broken(path, "torch", error) from error


def refuse_unread(path: Path, what: str, found: Unread) -> UsageError:
    """Return the error for an object where tensors should be."""
    return UsageError(
        f"{path.name} holds {what} ({found.name}), which would run code when opened: refused", _STATE_DICT
    )


def _read(path: Path, mapped: bool, stand_ins: list[type[Unread]]) -> Any:
    with warnings.catch_warnings(), torch.serialization.safe_globals(list(stand_ins)):
        warnings.simplefilter("ignore")  # about the pickle's age
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _is_harmful(name: str) -> bool:
    module = name.partition(".")[0]
    builtin = module == name  # torch leaves `builtins.` out
    return (builtin or module in sys.stdlib_module_names) and not _PLAIN_DATA.fullmatch(name)


def _stand_in(name: str) -> type[Unread]:
    """A class that torch finds under a name of the file."""
    module, _, kind = name.rpartition(".")
    return type(kind, (Unread,), {"__module__": module or "builtins", "__qualname__": kind, "name": name})


def _refusal(path: Path, error: UnpicklingError) -> UsageError:
    if any(word in str(error) for word in ("Unsupported", "unsupported", "GLOBAL", "Can only", "persistent_load")):
        return UsageError(f"{path.name} holds more than tensors and would run code when opened: refused", _STATE_DICT)
    return broken(path, "torch", error)
