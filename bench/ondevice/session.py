"""What a session does on a device that is reached over a link, other than measuring.

It imports nothing of its package: its text goes through stdin ahead of the data, before anything else is there. Called
as `session ROOT VERB ...`; ROOT is the only folder that it writes in, and only what is called as here is ever removed:

    ROOT/files/<sha256>.<suffix>   artifacts, kept between sessions and thrown away when unused for a month
    ROOT/tools/<hash>/             this package, unpacked
    ROOT/work/<session>/           what belongs to one session: its owner, a lock, what must be undone

A session lasts as long as its `tend` process, and that as long as its stdin. When stdin ends, the session's processes
are killed, what it changed is undone and its folder removed. A folder whose lock is free has lost its `tend`: the next
session does the same for it. Processes belong to the session that $EDGEKIT_WORK names.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

MARK = "EDGEKIT_WORK"
KEEP_SECONDS = 30 * 24 * 3600
BLOCK = 1 << 20
COMMAND_SECONDS = 20
SESSION, TOOLS, FILE = "[0-9a-f]{32}", "[0-9a-f]{16}", r"[0-9a-f]{64}(\.\w+)?"  # the names of what is ours
PLACES = ("/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # a session's PATH is short


class Refused(Exception):
    """What cannot be done, of a kind: full, usage, broken."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def tend(root: Path, session: str, owner: str) -> None:
    """Begin a session, say so in a line, and end it when stdin ends."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = root / "work" / session
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        left = [problem for other in _sessions(root) for problem in _end_if_lost(other)]
        if not _sessions(root):  # a clock that was set meanwhile makes all look unused
            _forget_unused(root / "files", FILE, os.unlink)
        folder.mkdir()
        (folder / "owner.json").write_text(owner)
        _lock(folder)  # until this process ends
    others = {other.name: _owner(other) for other in _sessions(root) if other != folder}
    with suppress(BrokenPipeError):  # whoever began it may be gone already
        _answer({"ok": {"work": str(folder), "others": others, "trouble": left}})
    while sys.stdin.buffer.read(BLOCK):
        pass
    _end(folder)


def sweep(root: Path, *sessions: str) -> None:
    """End sessions whose owners are known to be gone."""
    left = [problem for folder in _sessions(root) if folder.name in sessions for problem in _end(folder)]
    _answer({"ok": {"trouble": left}})


def undo(root: Path, session: str) -> None:
    """Remember the commands on stdin, to be run when the session ends; the last first."""
    path = root / "work" / session / "undo.json"
    commands = json.loads(path.read_text()) if path.exists() else []
    _write(path, json.dumps([*json.load(sys.stdin.buffer), *commands]))
    _answer({"ok": None})


def undone(root: Path, session: str) -> None:
    """Undo now what the session has changed, and say what could not be."""
    _answer({"ok": {"trouble": _undo(root / "work" / session)}})


def have(root: Path, digest: str, suffix: str) -> None:
    """The path of a file with these bytes, or null. It is read whole: a damaged one does not count."""
    path = root / "files" / (digest + suffix)
    if path.is_file():
        with path.open("rb") as stream:
            if _digest(stream) == digest:
                os.utime(path)
                _answer({"ok": {"path": str(path)}})
                return
        path.unlink()
    _answer({"ok": {"path": None}})


def put(root: Path, session: str, digest: str, suffix: str, size: str) -> None:
    """Keep the bytes on stdin as a file, if they are the right ones."""
    path = root / "files" / (digest + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = root / "work" / session / "draft"
    left, found = int(size), hashlib.sha256()
    try:
        with draft.open("wb") as stream:
            while left:
                block = sys.stdin.buffer.read(min(BLOCK, left))
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
    _answer({"ok": {"path": str(path)}})


def tools(root: Path, session: str, digest: str) -> None:
    """A folder with what the zip on stdin holds, named by its sha256; stdin is empty to ask whether it is there."""
    folder = root / "tools" / digest
    body = sys.stdin.buffer.read()
    if body and not folder.is_dir():
        if hashlib.sha256(body).hexdigest()[:16] != digest:
            raise Refused("broken", "other bytes arrived than were sent")
        # Unpacked, because what lies in a zip is compiled at every start.
        archive, draft = (root / "work" / session / name for name in ("tools.zip", "tools"))
        archive.write_bytes(body)
        shutil.unpack_archive(str(archive), str(draft))
        folder.parent.mkdir(parents=True, exist_ok=True)
        _forget_unused(folder.parent, TOOLS, shutil.rmtree)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another session brought the same meanwhile
                raise
    _answer({"ok": {"path": str(folder) if folder.is_dir() else None}})


def get(root: Path, path: str) -> None:
    """A file: a line with its size, its bytes, and their sha256."""
    out = sys.stdout.buffer
    with Path(path).open("rb") as stream:
        left, found = os.fstat(stream.fileno()).st_size, hashlib.sha256()
        out.write(json.dumps({"ok": {"size": left}}).encode() + b"\n")
        while left:
            block = stream.read(min(BLOCK, left))
            if not block:
                raise Refused("broken", path + " became shorter while it was read")
            out.write(block)
            found.update(block)
            left -= len(block)
    out.write(found.hexdigest().encode())


def look(root: Path) -> None:
    """The files, packages and answers of commands that stdin asks for; what is not there is null."""
    wish = json.load(sys.stdin.buffer)
    patterns = [pattern.lstrip("/") for pattern in wish.get("files", [])]
    texts = {name: _text(name) for pattern in patterns for name in sorted(map(str, Path("/").glob(pattern)))}
    space = shutil.disk_usage(str(root if root.is_dir() else Path.home()))
    found = {
        "files": {name: text for name, text in texts.items() if text is not None},
        "commands": [_run(command) for command in wish.get("commands", [])],
        "packages": {name: _version(name) for name in wish.get("packages", [])},
        "python": ".".join(map(str, sys.version_info[:3])),
        "system": list(os.uname()),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "free_bytes": space.free,
    }
    _answer({"ok": found})


def _run(command: dict[str, Any]) -> dict[str, Any] | None:
    """What a command answered: its exit code and its texts; None where there is no such command."""
    try:
        done = subprocess.run(
            command["argv"],
            input=command.get("input", "").encode(),
            capture_output=True,
            timeout=command.get("seconds", COMMAND_SECONDS),
            check=False,
        )
    except OSError:
        return None
    except subprocess.TimeoutExpired:
        return {"code": None, "out": "", "err": "no answer in time"}
    texts = {"out": done.stdout.decode(errors="replace"), "err": done.stderr.decode(errors="replace")}
    return {"code": done.returncode, **texts}


def _version(package: str) -> str | None:
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _text(name: str) -> str | None:
    with suppress(OSError), Path(name).open("rb") as stream:
        return stream.read(1 << 16).decode(errors="replace").strip("\0\n ")
    return None


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    for block in iter(lambda: stream.read(BLOCK), b""):
        found.update(block)
    return found.hexdigest()


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _sessions(root: Path) -> list[Path]:
    """The folders of sessions, in order, with an owner or not yet: whatever else lies beside them is not ours."""
    found = [path for path in (root / "work").glob("*") if re.fullmatch(SESSION, path.name)]
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _lock(folder: Path) -> int | None:
    """Hold the folder, until this process ends; None where another process does."""
    try:
        handle = os.open(str(folder / "lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:  # it was just removed
        return None
    if not _locked(handle):
        os.close(handle)
        return None
    return handle


def _locked(handle: int) -> bool:
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _end_if_lost(folder: Path) -> list[str]:
    held = _lock(folder)
    if held is None:
        return []
    try:
        return _end(folder)
    finally:
        os.close(held)


def _end(folder: Path) -> list[str]:
    """Kill the session's processes, undo what it changed, remove its folder; what could not be undone stays in it."""
    _kill(folder.name)
    left = _undo(folder)
    if not left:
        shutil.rmtree(str(folder), ignore_errors=True)
    return left


def _undo(folder: Path) -> list[str]:
    path, left = folder / "undo.json", []
    if not path.exists():
        return []
    with (folder / "changing").open("a") as gate:  # run_detached.py holds it while it changes something
        deadline = time.monotonic() + 3 * COMMAND_SECONDS
        while not _locked(gate.fileno()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for command in json.loads(path.read_text()):
            done = _run(command)
            check = _run(command["check"]) if "check" in command else done
            if check is None or check["code"] != 0 or command.get("expect", "") not in check["out"]:
                why = "no such command" if done is None else (done["err"] or done["out"]).strip()[-200:]
                left.append("`{}` failed: {} (see {})".format(" ".join(command["argv"]), why, folder))
        if not left:
            path.unlink()
    return left


def _kill(session: str) -> None:
    """Kill every other process that carries the session's mark, until there is none."""
    mark, own = f"{MARK}={session}".encode(), os.getpid()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [pid for pid in _marked(mark) if pid != own and pid != os.getppid()]
        if not found:
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _marked(mark: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # gone, or not ours
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def _owner(folder: Path) -> Any:
    with suppress(OSError, ValueError):
        return json.loads((folder / "owner.json").read_text())
    return None


def _forget_unused(folder: Path, name: str, remove: Callable[[str], None]) -> None:
    for path in folder.glob("*"):
        with suppress(OSError):  # another session has just removed it, or it is none of ours
            if re.fullmatch(name, path.name) and time.time() - path.stat().st_mtime > KEEP_SECONDS:
                remove(str(path))


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Do what a verb says; whatever fails is an answer."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    verbs = (tend, sweep, undo, undone, have, put, tools, get, look)
    known: dict[str, Any] = {verb.__name__: verb for verb in verbs}
    try:
        known[arguments[1]](Path(arguments[0]).expanduser(), *arguments[2:])
    except Refused as error:
        _answer({"error": {"kind": error.kind, "message": str(error)}})
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        _answer({"error": {"kind": "full" if full else "refused", "message": str(error)}})


if __name__ == "__main__":
    main(sys.argv[1:])
