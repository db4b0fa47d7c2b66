"""What a device keeps between sessions: artifacts by their sha256, and the tools by the hash of their zip.

It imports nothing of its package, because it travels through stdin with session.py, before anything else is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

STDIN = 0
KEEP_SECONDS = 30 * 24 * 3600
BLOCK = 1 << 20
HEAD = 16  # bytes of a compiled file before its code
TOOLS, FILE = "[0-9a-f]{16}", r"[0-9a-f]{64}(\.\w+)?"  # the names of what is ours


class Refused(Exception):
    """What cannot be done, of a kind: full, usage, broken."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Data:
    """The next `size` bytes of stdin, which belong to one verb."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or all that are left; fewer where stdin ends."""
        found, wanted = [], self._left if size < 0 else min(size, self._left)
        while wanted:
            block = os.read(STDIN, min(wanted, BLOCK))
            if not block:
                self._left = wanted = 0
                break
            wanted -= len(block)
            self._left -= len(block)
            found.append(block)
        return b"".join(found)

    def rest(self) -> None:
        """Leave nothing behind: what follows on stdin is the next verb."""
        while self.read(BLOCK):
            pass


def answer(said: dict[str, Any]) -> None:
    """Write one line on stdout."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def have(root: Path, data: Data, digest: str, suffix: str) -> None:
    """Answer with the path of a file with these bytes, or null. It is read whole: a damaged one does not count."""
    path = root / "files" / (digest + suffix)
    if path.is_file():
        with path.open("rb") as stream:
            if _digest(stream) == digest:
                os.utime(path)
                answer({"ok": {"path": str(path)}})
                return
        path.unlink()
    answer({"ok": {"path": None}})


def put(root: Path, data: Data, session: str, digest: str, suffix: str, size: int) -> None:
    """Keep the data as a file, if it has the right bytes."""
    # `is_whole` of links/ssh/talk.py does the same of what comes back: it is not here, where the package is not yet.
    path = root / "files" / (digest + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = root / "work" / session / "draft"
    left, found = size, hashlib.sha256()
    try:
        with draft.open("wb") as stream:
            while left:
                block = data.read(min(BLOCK, left))
                if not block:
                    raise Refused("broken", f"the file ended {left} bytes too early")
                stream.write(block)
                found.update(block)
                left -= len(block)
        if found.hexdigest() != digest:
            raise Refused("broken", "other bytes arrived than were sent")
        draft.replace(path)
    finally:
        if draft.exists():
            draft.unlink()
    answer({"ok": {"path": str(path)}})


def tools(root: Path, data: Data, session: str, digest: str) -> None:
    """Answer with a folder of what a zip holds, named by its sha256; without data, whether it is there."""
    folder = root / "tools" / digest
    body = data.read()
    if body and not folder.is_dir():
        if hashlib.sha256(body).hexdigest()[:16] != digest:
            raise Refused("broken", "other bytes arrived than were sent")
        # Unpacked, because what lies in a zip is compiled at every start.
        archive, draft = (root / "work" / session / name for name in ("tools.zip", "tools"))
        archive.write_bytes(body)
        shutil.unpack_archive(str(archive), str(draft))
        folder.parent.mkdir(parents=True, exist_ok=True)
        forget_unused(folder.parent, TOOLS, shutil.rmtree)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another session brought the same meanwhile
                raise
    if folder.is_dir():
        _compile(folder)
    answer({"ok": {"path": str(folder) if folder.is_dir() else None}})


def _compile(folder: Path) -> None:
    """Compile what is not compiled for this Python yet, each file whole or not at all.

    On a full disk Python itself leaves half of a file, and fails on it ever after.
    """
    import compileall
    import marshal

    compileall.compile_dir(str(folder), quiet=2)
    for path in folder.rglob(f"*.{sys.implementation.cache_tag}.pyc"):
        with suppress(OSError):  # another session does the same
            try:
                marshal.loads(path.read_bytes()[HEAD:])
            except (EOFError, ValueError, TypeError):
                path.unlink()


def get(root: Path, data: Data, path: str) -> None:
    """Answer with a file: a line with its size, its bytes, and their sha256.

    Zeros stand where the file became shorter meanwhile.
    """
    out = sys.stdout.buffer
    with Path(path).open("rb") as stream:
        left, found = os.fstat(stream.fileno()).st_size, hashlib.sha256()
        answer({"ok": {"size": left}})
        is_whole = True
        while left:
            block = stream.read(min(BLOCK, left))
            is_whole = is_whole and bool(block)
            block = block or bytes(min(BLOCK, left))
            out.write(block)
            found.update(block)
            left -= len(block)
    out.write((found.hexdigest() if is_whole else "0" * found.digest_size * 2).encode())
    out.flush()


def forget_unused(folder: Path, name: str, remove: Callable[[str], None]) -> None:
    """Remove what is named like ours and was not used for a month."""
    for path in folder.glob("*"):
        with suppress(OSError):  # another session has just removed it, or it is none of ours
            if re.fullmatch(name, path.name) and time.time() - path.stat().st_mtime > KEEP_SECONDS:
                remove(str(path))


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    for block in iter(lambda: stream.read(BLOCK), b""):
        found.update(block)
    return found.hexdigest()
