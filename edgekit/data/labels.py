"""The names of a file's outputs: a text file with a name a line, in the outputs' order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.util.text_file import text_of

BACKGROUND = "background"
_WNID = re.compile(r"(n\d{8})\s+")


def parted(name: str) -> tuple[str, str]:
    """Return the WordNet id that a name begins with, or "", and the rest: of "n01818515 macaw" the two words."""
    found = _WNID.match(name)
    return (found[1], name[found.end() :]) if found else ("", name)


def without_ids(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a person reads them: of "n01818515 macaw" without the WordNet id, where all have one."""
    ids = [parted(name)[0] for name in names if name != BACKGROUND]
    return tuple(parted(name)[1] for name in names) if ids and all(ids) else tuple(names)


def read(path: Path, outputs: int, offset: int) -> tuple[str, ...]:
    """Return the name of each of `outputs`.

    Where class 0 stands at `offset`, a file may leave out what stands before it.

    Raises UsageError for a file that is missing, is no text, has an empty line, or another number of names.
    """
    try:
        text = text_of(path, "utf-8-sig")
    except OSError as error:
        raise UsageError(f"the names in {path} cannot be read: {error.strerror}", "give a text file") from error
    except ValueError as error:
        raise UsageError(f"{path} is no text in UTF-8", "give a text file with a name a line") from error
    names = [line.strip() for line in text.strip().splitlines()]
    if "" in names:
        raise UsageError(f"line {names.index('') + 1} of {path} is empty", "write a name a line, in the outputs' order")
    if len(names) == outputs - offset:
        names = [BACKGROUND] * offset + names
    if len(names) != outputs:
        raise UsageError(
            f"{path} has {len(names)} names, and the network {outputs} outputs", "write a name a line for each output"
        )
    return tuple(names)
