"""Lets one session at a time change how a device runs, such as its power mode.

`device_lock FOLDER`, where FOLDER is the session's on the device. The lock is a file `claim` beside the folder of all
sessions and names the one that holds it. It holds as long as that one's folder is there: until what was changed is
undone (session.py). Two that changed the same thing would put back each other's values.
"""

from __future__ import annotations

import fcntl
import json
from contextlib import suppress
from pathlib import Path
from typing import Any


def lock(folder: Path) -> dict[str, Any] | None:
    """Hold the lock, and return None; the owner of the session that holds it if another one does."""
    with (folder.parent.parent / "claim").open("a+") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        gate.seek(0)
        holder = folder.parent / (gate.read() or folder.name)
        if holder != folder and holder.is_dir():
            return _owner(holder)
        gate.truncate(0)
        gate.write(folder.name)
    return None


def _owner(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return dict(json.loads((folder / "owner.json").read_text()))
    return {}


def main(arguments: list[str]) -> None:
    """Lock, and print whose lock it is if not ours."""
    print(json.dumps(lock(Path(arguments[0]))))
