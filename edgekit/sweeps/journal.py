"""What is already done, in the folder `.sweep` beside the files: one small file for each key, written when it is done.

A process that is killed leaves whole entries or none. An entry is a claim: who reads it checks that the file or record
it names is still there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, EnvironmentRefused
from edgekit.util.files import cache_folder, environment, locked, make_folder, write_atomically

_WRITABLE = "set EDGEKIT_CACHE to a folder that can be written"


class Journal:
    """The entries of one folder of artifacts. `since`: entries older than this (seconds since 1970) do not count."""

    def __init__(self, out: Path, since: float = 0.0) -> None:
        self.folder = out / ".sweep"
        self.since = since

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """What was written down under a key; None for nothing, for what is too old, and for what cannot be read."""
        try:
            found = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) and float(found["at"]) >= self.since else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def holds(self, kind: str) -> bool:
        """Whether there may be an entry of a kind that counts."""
        return any(path.stat().st_mtime >= self.since for path in self.folder.glob(f"{kind}-*.json"))

    def newest(self, kind: str) -> dict[str, Any] | None:
        """Return the entry of a kind that was written last, if it counts; None where there is none."""
        try:
            path = max(self.folder.glob(f"{kind}-*.json"), key=lambda path: path.stat().st_mtime_ns, default=None)
        except OSError:  # another sweep took one out meanwhile
            return None
        return self.get(kind, path.stem.removeprefix(f"{kind}-")) if path else None

    def put(self, kind: str, key: str, inputs: Mapping[str, Any], **values: Any) -> None:
        """Write down that something is done; `inputs` are for people who wonder why something was done again."""
        make_folder(self.folder)
        entry = {"at": time.time(), **values, "inputs": inputs}
        text = json.dumps(entry, indent=1, default=str)
        write_atomically(self._path(kind, key), text.encode("utf-8", "surrogatepass"))

    def forget(self, kind: str, key: str) -> None:
        """Take out what was written down under a key, if anything was."""
        with environment(self.folder):
            self._path(kind, key).unlink(missing_ok=True)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """One process at a time for a name, on this machine or on a shared disk that knows locks."""
        make_folder(self.folder)
        with locked(self.folder / f"{_digest(name)}.lock"):
            yield

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / f"{kind}-{key}.json"


@contextmanager
def device(name: str, measuring: bool, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """A device for oneself while `measuring`; for others who compute on it too, while not. Waits, and says so once."""
    with locked(_locks() / f"device-{_digest(name)}", shared=not measuring, waiting=waiting):
        yield


def _digest(name: str) -> str:
    """A name that any folder takes, for one that may have any signs."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _locks() -> Path:
    """The folder of the devices' locks, in the cache; without a home to write to, among the temporary files.

    Raises EnvironmentRefused where neither can be written, or $EDGEKIT_CACHE cannot.
    """
    try:
        folder = make_folder(cache_folder() / "locks")
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (EdgekitError, OSError) as error:
        if os.environ.get("EDGEKIT_CACHE"):
            raise EnvironmentRefused(f"there is no lock for the device: {error}", _WRITABLE) from error
    return _own_temporary()


def _own_temporary() -> Path:
    """A folder among the temporary files that nobody else can have put there, the same for every process of a user."""
    folder = Path(tempfile.gettempdir()) / f"edgekit-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EnvironmentRefused(f"there is no lock for the device: {error}", _WRITABLE) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EnvironmentRefused(f"there is no lock for the device: {folder} is somebody else's", _WRITABLE)
    return folder
