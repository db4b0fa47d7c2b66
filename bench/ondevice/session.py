"""What a session does on a device that is reached over a link, other than measuring.

It imports nothing of its package but kept.py: the text of both goes through stdin, before anything else is there.
Called as `session ROOT VERB ...`; ROOT is the only folder that it writes in, and only what is called as here is ever
removed:

    ROOT/files/<sha256>.<suffix>   artifacts, kept between sessions and thrown away when unused for a month
    ROOT/tools/<hash>/             this package, unpacked
    ROOT/work/<session>/           what belongs to one session: its owner, a lock, what must be undone

A session lasts as long as its `tend` process, and that as long as its stdin. When stdin ends, the session's processes
are killed, what it changed is undone and its folder removed. A folder whose lock is free has lost its `tend`: the next
session does the same for it. Processes belong to the session that $EDGEKIT_WORK names.

`tend` also does the other verbs. Each is asked for by a line on its stdin, [verb, [argument, ...], size], with so many
bytes of data behind it, and is done in a process of its own, forked from what is loaded: to start another Python over
the link for each of them would cost a board more than the verbs themselves.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from .kept import FILE, STDIN, Data, Refused, answer, forget_unused, get, have, put, tools

MARK = "EDGEKIT_WORK"  # names the session that a process belongs to
COMMAND_SECONDS = 20
SESSION = "[0-9a-f]{32}"  # the name of a session's folder
PLACES = ("/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # a session's PATH is short


def tend(root: Path, data: Data, session: str, owner: str) -> None:
    """Begin a session, say so in a line, do what is asked, and end the session when stdin ends."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = root / "work" / session
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        left = [problem for other in _sessions(root) for problem in _end_if_lost(other)]
        if not _sessions(root):  # a clock that was set meanwhile makes all look unused
            forget_unused(root / "files", FILE, os.unlink)
        folder.mkdir()
        (folder / "owner.json").write_text(owner)
        held = _lock(folder)  # until this process ends
    others = {other.name: _owner(other) for other in _sessions(root) if other != folder}
    try:
        answer({"ok": {"work": str(folder), "others": others, "trouble": left}})
        _serve(root, held)
    finally:  # also where whoever began it is gone already
        _end(folder)


def _serve(root: Path, held: int | None) -> None:
    """Do one verb after the other, each in a process of its own, until stdin ends or one of them dies."""
    for line in iter(_line, b""):
        verb, arguments, size = json.loads(line)
        seen, open_there = os.pipe()  # its other end closes with the process
        pid = os.fork()
        if pid == 0:
            if held is not None:
                os.close(held)  # the lock is that of the session's own process
            os._exit(_alone(root, verb, arguments, size))
        os.close(open_there)
        lives_on = _ended(seen)
        os.close(seen)
        if not lives_on:
            os.kill(pid, signal.SIGKILL)
        if os.waitpid(pid, 0)[1] != 0 or not lives_on:
            return


def _ended(seen: int) -> bool:
    """Wait until a process has ended that holds the other end of a pipe; False where stdin ends first."""
    both = select.poll()
    # POLLRDHUP, which only Linux has, tells the end of a socket; that of a pipe is told in any case.
    both.register(STDIN, getattr(select, "POLLRDHUP", 0))
    both.register(seen, select.POLLIN)
    found = dict(both.poll())
    return seen in found


def _alone(root: Path, verb: str, arguments: list[Any], size: int) -> int:
    """Do a verb in this process; return its exit code."""
    try:
        data = Data(size)
        done(root, verb, data, arguments)
        data.rest()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _line() -> bytes:
    """The next line of stdin, and no byte of what follows it; empty at the end."""
    found = b""
    while not found.endswith(b"\n"):
        byte = os.read(STDIN, 1)
        if not byte:
            return b""
        found += byte
    return found


def sweep(root: Path, data: Data, *sessions: str) -> None:
    """End sessions whose owners are known to be gone."""
    left = [problem for folder in _sessions(root) if folder.name in sessions for problem in _end(folder)]
    answer({"ok": {"trouble": left}})


def undo(root: Path, data: Data, session: str) -> None:
    """Remember the commands in the data, to be run when the session ends; the last first."""
    path = root / "work" / session / "undo.json"
    commands = json.loads(path.read_text()) if path.exists() else []
    _write(path, json.dumps([*json.loads(data.read()), *commands]))
    answer({"ok": None})


def undone(root: Path, data: Data, session: str) -> None:
    """Undo now what the session has changed, and say what could not be."""
    answer({"ok": {"trouble": _undo(root / "work" / session)}})


def look(root: Path, data: Data) -> None:
    """Answer with the files, packages and answers of commands that the data asks for; what is not there is null."""
    wish = json.loads(data.read())
    patterns = [pattern.lstrip("/") for pattern in wish.get("files", [])]
    texts = {name: _text(name) for pattern in patterns for name in sorted(map(str, Path("/").glob(pattern)))}
    space = shutil.disk_usage(str(root if root.is_dir() else Path.home()))
    found = {
        "files": {name: text for name, text in texts.items() if text is not None},
        "commands": [_run(command) for command in wish.get("commands", [])],
        "packages": {name: _version(name) for name in wish.get("packages", [])},
        "python": ".".join(map(str, sys.version_info[:3])),
        "managed": _is_managed(),
        "system": list(os.uname()),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "free_bytes": space.free,
    }
    answer({"ok": found})


def _is_managed() -> bool:
    """Whether pip refuses to install for this Python, because the system's own packages are its (PEP 668)."""
    is_own = sys.prefix == sys.base_prefix  # an environment has none of the system's packages
    return is_own and Path(os.__file__).with_name("EXTERNALLY-MANAGED").is_file()


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


def done(root: Path, verb: str, data: Data, arguments: list[Any]) -> None:
    """Do what a verb says; whatever fails is an answer."""
    verbs = (tend, sweep, undo, undone, have, put, tools, get, look)
    known: dict[str, Any] = {one.__name__: one for one in verbs}
    try:
        known[verb](root, data, *arguments)
    except Refused as error:
        answer({"error": {"kind": error.kind, "message": str(error)}})
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        answer({"error": {"kind": "full" if full else "refused", "message": str(error)}})


def main(arguments: list[str]) -> None:
    """Do the verb of a command line; its data is all of stdin."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    done(Path(arguments[0]).expanduser(), arguments[1], Data(sys.maxsize), arguments[2:])
