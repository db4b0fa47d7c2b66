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

from .work_folder import MARK

PROGRAM = (os.path.dirname(os.path.abspath(__file__)), "run_detached")  # noqa: PTH100, PTH120 (as small as can be)


def unstoppable(folder: str, command: list[str]) -> int:
    """Run the command, if the session still knows how to undo it."""
    try:
        with open(os.path.join(folder, "changing"), "a") as gate:  # noqa: PTH118, PTH123 (as small as can be)
            fcntl.flock(gate, fcntl.LOCK_EX)
            is_known = os.path.exists(os.path.join(folder, "undo.json"))  # noqa: PTH110, PTH118
            return subprocess.call(command) if is_known else 1
    except OSError as error:
        sys.stderr.write(str(error))
        return 127


def main(arguments: list[str]) -> int:
    """Start it apart from this process, and wait for it; what it says comes back."""
    if MARK not in os.environ:
        return unstoppable(arguments[0], arguments[1:])
    environment = {key: value for key, value in os.environ.items() if key != MARK}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:  # pipes would end with us
        given.write(sys.stdin.buffer.read())
        given.seek(0)
        argv = [sys.executable, *PROGRAM, *arguments]
        code = subprocess.call(argv, stdin=given, stdout=said, stderr=said, env=environment, start_new_session=True)
        said.seek(0)
        sys.stderr.write(said.read().decode(errors="replace"))
    return code
