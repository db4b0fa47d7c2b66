"""Runs a command that must not be stopped halfway, such as one that changes a device's power mode.

`run_detached FOLDER COMMAND ...`, where FOLDER is the session's on the device. When a session ends, its processes are
killed and what it changed is undone (session.py); a change that is under way then would be finished after it was
undone. So the command runs without the session's mark, holds a lock that undoing waits for, and does not begin once it
is undone.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .session import MARK

PROGRAM = (str(Path(__file__).resolve().parent), "run_detached")


def unstoppable(folder: Path, command: list[str]) -> int:
    """Run the command, if the session still knows how to undo it."""
    try:
        with (folder / "changing").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            return subprocess.call(command) if (folder / "undo.json").exists() else 1
    except OSError as error:
        sys.stderr.write(str(error))
        return 127


def main(arguments: list[str]) -> int:
    """Start it apart from this process, and wait for it; what it says comes back."""
    if MARK not in os.environ:
        return unstoppable(Path(arguments[0]), arguments[1:])
    environment = {key: value for key, value in os.environ.items() if key != MARK}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:  # pipes would end with us
        given.write(sys.stdin.buffer.read())
        given.seek(0)
        argv = [sys.executable, *PROGRAM, *arguments]
        code = subprocess.call(argv, stdin=given, stdout=said, stderr=said, env=environment, start_new_session=True)
        said.seek(0)
        sys.stderr.write(said.read().decode(errors="replace"))
    return code
