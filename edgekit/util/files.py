"""Writing files so that none is ever seen half-written."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from edgekit.errors import EnvironmentRefused, UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # of a URL; one letter is a drive of Windows


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


def refuse_url(path: Path) -> None:
    """Raise UsageError for a URL where a file or a folder is meant: folders of its name would tell its password."""
    parts = path.parts
    if len(parts) > 1 and _SCHEME.fullmatch(parts[0]):
        raise UsageError(f"{path} is a URL, not a place on this disk", "give a path; only --store takes a URL")


def make_folder(path: Path) -> Path:
    """The folder, made if it is missing. Raises UsageError where a file is in the way, else EnvironmentRefused."""
    refuse_url(path)
    with environment(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def known_sha256(path: Path) -> str:
    """Return the same for a file that is asked about again: worked out once for each of its states in this process."""
    state = path.stat()
    return _sha256_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=100_000)
def _sha256_of(path: Path, changed: int, size: int) -> str:
    return file_sha256(path)


def _digest(stream: IO[bytes]) -> str:  # Python 3.10
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that make up a file or a folder: itself, or all that are in it, in the order of their names."""
    if not path.is_dir():
        return (path,)
    return tuple(sorted(one for one in path.rglob("*") if one.is_file()))


@dataclass(frozen=True)
class Content:
    """What a file or folder held when it was read; `stamp` tells without reading it again that it still does."""

    sha256: str
    bytes: int
    stamp: tuple[int, ...]


def content(path: Path, parts: Sequence[Path] = ()) -> Content:
    """The content of a file or folder as it is now, and of the `parts` beside it that belong to it. Raises OSError.

    The digest of a folder, and of a file with parts, is the sha256 of a line for each file: its name in the folder
    (none for the file that has the parts), a zero byte, its digest.
    """
    before = stamp(path, parts)  # first: a change while it is read shows later
    if not path.is_dir() and not parts:
        return Content(file_sha256(path), before[0], before)
    base = path if path.is_dir() else path.parent
    names = [("" if one == path else one.relative_to(base).as_posix(), one) for one in (*files_of(path), *parts)]
    lines = "".join(f"{name}\0{file_sha256(one)}\n" for name, one in names)
    size = before[0] + sum(part.stat().st_size for part in parts)
    return Content(hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(), size, before)


def stamp(path: Path, parts: Sequence[Path] = ()) -> tuple[int, ...]:
    """Size, times and place of a file: some of it changes whenever it is written or replaced. Raises OSError.

    Of a folder its size is that of its files, and all of their stamps follow; those of `parts` follow too.
    """
    found = path.stat()
    others = tuple(value for part in parts for value in stamp(part))
    if path.is_dir():
        each = [stamp(one) for one in files_of(path)]
        return sum(one[0] for one in each), found.st_mtime_ns, found.st_ino, *(value for one in each for value in one)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, *others


@contextmanager
def locked(path: Path, shared: bool = False, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock in the file `path`, alone or with others who share it; it ends with its process, however that ends.

    Waits for whoever holds it, and calls `waiting` once before. Raises EnvironmentRefused where none can be had.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with environment(path):
        handle = path.open("a")
    with handle:
        with environment(path):
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is not None:
                    waiting()
                fcntl.flock(handle, kind)
        yield


@contextmanager
def drafting(folder: Path, name: str) -> Iterator[Path]:
    """A path for a draft of `name`, in a hidden directory of its own inside `folder`; gone afterwards whatever happens.

    The draft is on the same file system, so `os.replace` publishes it in one step. A process that is killed leaves its
    draft, and the next one that drafts in the folder removes it.
    """
    make_folder(folder)
    with _draft_folder(folder) as own:
        yield own / name


_DRAFT = ".edgekit-draft-"
_LOCK = ".edgekit-lock"


@contextmanager
def _draft_folder(folder: Path) -> Iterator[Path]:
    """A directory for a draft, named after its process, and locked as long as that lives.

    Others ask the lock whether it lives: process numbers tell nothing across containers, machines and restarts.
    """
    _remove_left_drafts(folder.absolute())
    with environment(folder):
        own, lock = None, None
        try:  # from its first moment: an interrupt may come while it is locked
            while own is None or lock is None:  # where another process removed it before it was locked
                own = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{os.getpid()}-", dir=folder))
                lock = _lock_draft(own, needed=False)
            yield own
        finally:
            if own is not None:
                shutil.rmtree(own, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _lock_draft(draft: Path, needed: bool) -> int | None:
    """The lock of a draft, held; None where another process holds it, or removed it meanwhile. Raises OSError.

    Where the file system has no locks, it is the open file alone if no lock is `needed`.
    """
    try:
        lock = os.open(draft / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(lock).st_nlink > 0
    except OSError as error:
        held = not needed and not isinstance(error, BlockingIOError)
    if held:
        return lock
    os.close(lock)
    return None


@lru_cache(maxsize=1024)  # once for each folder is enough
def _remove_left_drafts(folder: Path) -> None:
    """Remove the drafts of processes that are gone; what cannot be told or removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for found in [one for one in entries if one.name.startswith(_DRAFT) and one.is_dir(follow_symlinks=False)]:
            with suppress(OSError):
                _remove_if_left(Path(found.path))


def _remove_if_left(draft: Path) -> None:
    lock = _lock_draft(draft, needed=True)
    if lock is not None:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def publish(draft: Path, target: Path) -> None:
    """Move a finished draft, a file or a folder, to its place in one step, its bytes on the disk first.

    A folder that is there changes places with its draft.
    """
    with environment(target):
        for file in files_of(draft):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if draft.is_dir() and target.is_dir():
            _exchange(draft, target)
        else:
            draft.replace(target)


_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


def _exchange(draft: Path, target: Path) -> None:
    """Let two folders change places: in one step where Linux and the file system can, else in two. Raises OSError."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is not None and rename(_HERE, os.fsencode(draft), _HERE, os.fsencode(target), _EXCHANGE) == 0:
        return
    old = draft.with_name(draft.name + ".old")
    target.rename(old)
    draft.rename(target)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. A link stays one: what it leads to is written.

    What is there and is no file, such as /dev/null or a pipe, is written to as it stands.
    """
    refuse_url(path)
    with environment(path):
        target = Path(os.path.realpath(path))
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
            return
    with _draft_folder(target.parent) as own:
        draft = own / target.name
        draft.write_bytes(data)
        publish(draft, target)
