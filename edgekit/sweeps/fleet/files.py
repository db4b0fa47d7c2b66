"""Files that travel by the hash of their content, in pieces, and are proved by it where they arrive."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.util.files import environment, files_of, known_sha256

PIECE = 8_000_000  # bytes; Dask warns of tasks that are larger than 10 MB
KEPT_BYTES = 20 * 10**9  # of contents; beyond it those go that were not asked for as long as this, oldest first:
KEPT_SECONDS = 3600.0  # what is on its way here must still find its other files when it has arrived


@dataclass(frozen=True)
class Entry:
    """One file: where it belongs, and what it is."""

    name: str  # relative, with slashes
    sha256: str
    size: int


@dataclass(frozen=True)
class Parcel:
    """Something with what belongs to it, or a folder: `path` is where it lies for whoever sends it."""

    path: str
    name: str  # of what is opened; empty for a whole folder
    entries: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """What tells its content from others'."""
        lines = "".join(f"{one.name}\0{one.sha256}\n" for one in self.entries)
        return hashlib.sha256(f"{self.name}\0{lines}".encode("utf-8", "surrogateescape")).hexdigest()[:32]

    @property
    def names(self) -> set[str]:
        """Where its files lie, relative to its folder."""
        return {one.name for one in self.entries}

    def source(self, sha256: str) -> Path:
        """Return a file of this content, for whoever sends it."""
        folder = Path(self.path) if not self.name else Path(self.path).parent
        return folder / next(one.name for one in self.entries if one.sha256 == sha256)


def parcel(path: Path, parts: Iterable[Path] = ()) -> Parcel:
    """Pack a file, or all files of a folder but hidden ones and Python's bytecode.

    With `parts`, which lie beside it or below, the parcel is of the folder that both are in. Raises UsageError where
    something cannot be read.
    """
    path, beside = path.expanduser().absolute(), [part.absolute() for part in parts]
    is_folder = path.is_dir() and not beside
    base = path if is_folder else path.parent
    files = [*(_visible(path) if path.is_dir() else [path]), *beside]
    try:
        entries = tuple(
            Entry(file.relative_to(base).as_posix(), known_sha256(file), file.stat().st_size) for file in files
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be sent to a worker: {error}", "check the path and its permissions") from error
    return Parcel(str(path), "" if is_folder else path.name, entries)


def _visible(folder: Path) -> list[Path]:
    found = files_of(folder)
    return [one for one in found if not any(map(_stays, one.relative_to(folder).parts))]


def _stays(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__"


def pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of a file, and where each piece begins; one empty piece of an empty file."""
    with path.open("rb") as stream:
        offset, piece = 0, stream.read(PIECE)
        yield 0, piece
        while len(piece) == PIECE:
            offset += PIECE
            piece = stream.read(PIECE)
            if piece:
                yield offset, piece


class Files:
    """The files that a worker holds in a folder of its own: each content once, and parcels made of links to them.

    More than `KEPT_BYTES` are held only as long as they are in use, or were asked for a short time ago.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._bytes = 0  # of all contents
        self._in_use = Counter[str]()  # parcels by their digests
        self._asked: dict[str, float] = {}  # when a content or a parcel was last asked for
        for name in ("content", "coming", "parcels"):
            (folder / name).mkdir(exist_ok=True)

    def lacking(self, parcels: Iterable[Parcel]) -> list[str]:
        """The contents that are not here yet; files that lie under the sender's own path with just these bytes are."""
        every = [one for one in parcels if _shared(one) is None]
        wanted = dict.fromkeys(entry.sha256 for one in every for entry in one.entries)
        self._ask(wanted)
        return [sha256 for sha256 in wanted if not self._content(sha256).exists()]

    def put(self, sha256: str, sender: str, offset: int, piece: bytes, is_last: bool) -> None:
        """Take in a piece of a content. Raises EnvironmentRefused where the whole is not what was announced."""
        coming = self.folder / "coming" / f"{sha256}-{sender}"
        with environment(coming):
            with coming.open("r+b" if offset else "wb") as stream:
                stream.seek(offset)
                stream.write(piece)
            if not is_last:
                return
            if known_sha256(coming) != sha256:
                coming.unlink()
                raise EnvironmentRefused(f"what arrived is not {sha256[:16]} (sha256 differs)", "run the command again")
            self._take(coming, sha256)

    def _take(self, coming: Path, sha256: str) -> None:
        """Hold a content; two senders may have brought it at once."""
        with self._lock:
            content = self._content(sha256)
            self._bytes += 0 if content.exists() else coming.stat().st_size
            coming.replace(content)
            self._ask([sha256])

    @contextmanager
    def using(self, *parcels: Parcel) -> Iterator[list[Path]]:
        """Where parcels lie here, which stay until the end of the block; then what is not used any more makes room."""
        digests = [one.digest for one in parcels]
        with self._lock:
            self._in_use.update(digests)
        try:
            yield [self.place(one) for one in parcels]
        finally:
            with self._lock:
                self._in_use.subtract(digests)
                with suppress(OSError):  # what was done in the block stands, whether there is room for more or not
                    self._make_room()

    def place(self, one: Parcel) -> Path:
        """Return where a parcel lies here, all of whose contents are there."""
        shared = _shared(one)
        if shared is not None:
            return shared
        inner = Path(one.path).name if not one.name else ""  # a folder keeps its name, which records tell
        whole = self.folder / "parcels" / one.digest
        with self._lock, environment(whole):
            self._ask([one.digest, *(entry.sha256 for entry in one.entries)])
            if not whole.exists():
                draft = whole.with_suffix(".draft")
                for entry in one.entries:
                    target = draft / inner / _safe(entry.name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    os.link(self._content(entry.sha256), target)
                draft.joinpath(inner).mkdir(parents=True, exist_ok=True)
                draft.replace(whole)
        return whole / inner / one.name

    def _ask(self, names: Iterable[str]) -> None:
        self._asked.update(dict.fromkeys(names, time.monotonic()))

    def _make_room(self) -> None:
        """Remove what was asked for longest ago, until the rest is few enough."""
        self._remove_contents()
        for whole in sorted((self.folder / "parcels").iterdir(), key=lambda one: self._asked.get(one.name, 0.0)):
            if self._bytes <= KEPT_BYTES:
                return
            if not self._in_use[whole.name] and self._is_old(whole.name):
                gone = whole.with_suffix(".gone")  # so that one that is half removed is never taken for whole
                whole.replace(gone)
                shutil.rmtree(gone, ignore_errors=True)
                self._asked.pop(whole.name, None)
                self._remove_contents()

    def _remove_contents(self) -> None:
        """Remove contents that no parcel has."""
        every = (self.folder / "content").iterdir() if self._bytes > KEPT_BYTES else ()
        for path in sorted(every, key=lambda one: self._asked.get(one.name, 0.0)):
            info = path.stat()
            if self._bytes > KEPT_BYTES and info.st_nlink == 1 and self._is_old(path.name):
                path.unlink()
                self._asked.pop(path.name, None)
                self._bytes -= info.st_size

    def _is_old(self, name: str) -> bool:
        return time.monotonic() - self._asked.get(name, -KEPT_SECONDS) >= KEPT_SECONDS

    def _content(self, sha256: str) -> Path:
        return self.folder / "content" / sha256


def _safe(name: str) -> PurePosixPath:
    found = PurePosixPath(name)
    if found.is_absolute() or ".." in found.parts:
        raise UsageError(f"{name} leads out of its folder", "name files inside it")
    return found


def _shared(one: Parcel) -> Path | None:
    """The sender's own path, where it leads to the same files here: a shared disk, or the same machine."""
    path = Path(one.path)
    folder = path.parent if one.name else path
    try:
        if not one.name and {file.relative_to(path).as_posix() for file in _visible(path)} != one.names:
            return None
        return path if all(_is_same(folder / entry.name, entry) for entry in one.entries) else None
    except OSError:
        return None


def _is_same(path: Path, entry: Entry) -> bool:
    return path.is_file() and path.stat().st_size == entry.size and known_sha256(path) == entry.sha256
