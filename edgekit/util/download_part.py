"""What has arrived of a file (`<file>.part`), and beside it what the server called that version of it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response


def part_of(target: Path) -> Path:
    """Return where what has arrived of a file stands."""
    return target.with_name(target.name + ".part")


def keep_only_files(part: Path) -> None:
    """Remove what stands in the place of a part and its mark and is no file of its own, such as a link."""
    for path in (part, tag_of(part)):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.lstat().st_mode):
                path.unlink()


def append_to(part: Path, offset: int) -> IO[bytes]:
    """Return the part, open to go on at its end or to begin anew; never what a link leads to."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if offset else os.O_TRUNC)
    return os.fdopen(os.open(part, flags, 0o666), "ab" if offset else "wb")


def size_of(part: Path) -> int:
    """Return how many bytes have arrived."""
    return part.lstat().st_size if part.exists() else 0


def tag_of(part: Path) -> Path:
    """Return where the server's mark of this version of the file stands."""
    return part.with_name(part.name + ".tag")


def _mark(response: Response) -> str:
    """What the server calls this version of the file; empty where it does not."""
    mark = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not mark or mark.startswith("W/") else mark


def continues(part: Path, response: Response) -> bool:
    """Whether an answer is of the version that the part is the beginning of."""
    try:
        return tag_of(part).read_text(encoding="utf-8") == _mark(response)
    except FileNotFoundError:
        return True  # there was none: a hash will tell
    except ValueError:
        return False


def remember_tag(part: Path, response: Response) -> None:
    """Keep what the server calls the version that now begins to arrive."""
    tag_of(part).unlink(missing_ok=True)
    if _mark(response):
        tag_of(part).write_text(_mark(response), encoding="utf-8")


def forget(part: Path) -> None:
    """Remove what has arrived, and its mark."""
    part.unlink(missing_ok=True)
    tag_of(part).unlink(missing_ok=True)
