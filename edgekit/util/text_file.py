"""Reading text that a person or a stranger wrote."""

from __future__ import annotations

from pathlib import Path

LARGEST = 1 << 26  # bytes: the largest manifest has some millions


def text_of(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file. Raises OSError, and ValueError where it is no such text, or larger than any that is meant.

    A link can lead to what never ends, such as /dev/zero, and a pipe to nothing that ever begins.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with path.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
    return data.decode(encoding)
