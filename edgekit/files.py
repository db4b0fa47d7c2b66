"""Writing files so that none is ever seen half-written."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from edgekit.errors import EnvironmentRefused, UsageError


@contextmanager
def environment(path: Path) -> Iterator[None]:
    """Turn what the machine refuses while writing to `path` into an EdgekitError."""
    try:
        yield
    except OSError as error:
        raise _refused(error, path) from error


def _refused(error: OSError, path: Path) -> UsageError | EnvironmentRefused:
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return UsageError(f"{path} is in the way: {error.strerror}", "choose another folder with --out")
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return EnvironmentRefused(
            f"no space to write {path}: {error.strerror}", "free some space, or choose --out elsewhere"
        )
    return EnvironmentRefused(
        f"cannot write {path}: {error.strerror or error}", "check the permissions, or choose another folder with --out"
    )


def cache_folder() -> Path:
    """Where what can be had again is kept: $EDGEKIT_CACHE, else $XDG_CACHE_HOME/edgekit, else ~/.cache/edgekit."""
    own = os.environ.get("EDGEKIT_CACHE")
    return Path(own or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "edgekit").expanduser()


def make_folder(path: Path) -> Path:
    """The folder, made if it is missing. Raises UsageError where a file is in the way, else EnvironmentRefused."""
    with environment(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def file_sha256(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def known_sha256(path: Path) -> str:
    """The same for a file that is asked about again: worked out once for each of its states in this process."""
    state = path.stat()
    return _sha256_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _sha256_of(path: Path, changed: int, size: int) -> str:
    return file_sha256(path)


def _digest(stream: IO[bytes]) -> str:  # Python 3.10
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class Content:
    """What a file held when it was read; `stamp` tells without reading it again that it still does."""

    sha256: str
    bytes: int
    stamp: tuple[int, ...]


def content(path: Path) -> Content:
    """The content of a file as it is now. Raises OSError."""
    before = stamp(path)  # first: a change while it is read shows later
    return Content(file_sha256(path), before[0], before)


def stamp(path: Path) -> tuple[int, ...]:
    """Size, times and place of a file: some of it changes whenever it is written or replaced. Raises OSError."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@contextmanager
def drafting(folder: Path, name: str) -> Iterator[Path]:
    """A path for a draft of `name`, in a hidden directory of its own inside `folder`; gone afterwards whatever happens.

    The draft is on the same file system, so `os.replace` publishes it in one step.
    """
    make_folder(folder)
    with environment(folder), tempfile.TemporaryDirectory(prefix=".edgekit-", dir=folder) as own:
        yield Path(own) / name


def publish(draft: Path, target: Path) -> None:
    """Move a finished draft to its place in one step, its bytes on the disk first."""
    with environment(target):
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(target)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. A link stays one: what it leads to is written.

    What is there and is no file, such as /dev/null or a pipe, is written to as it stands.
    """
    with environment(path):
        target = Path(os.path.realpath(path))
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(prefix=".edgekit-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
