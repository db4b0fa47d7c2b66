"""The local link: this machine, where nothing has to be carried anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.bench.links.base import FOLDER, arriving
from edgekit.errors import DeviceUnreachable, EdgekitError

ANSWER_SECONDS = 120.0


class LocalLink:
    """Runs the runner in fresh processes of this Python."""

    is_local = True
    session = work = ""

    def __init__(self, name: str = "local", folder: Path = FOLDER) -> None:
        self.name = name
        self.python = sys.executable
        self._folder = folder

    def begin(self) -> str:
        """Nothing has to be begun."""
        return self.session

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return the command itself."""
        return list(command)

    def tools(self) -> str:
        """Return the folder of the device side as it is installed here."""
        return str(self._folder)

    def place(self, path: Path) -> str:
        """Return the file's own path."""
        return str(path.absolute())  # what a link leads to may have another name, and no parts beside it

    def pull(self, there: str, local: Path) -> None:
        """Copy a file."""
        with arriving(local) as draft:
            shutil.copyfile(there, draft)

    def failure(self, code: int, stderr: str) -> EdgekitError | None:
        """Nothing stands between that could fail."""
        return None

    def look(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Return what bench/ondevice/session.py sees here. Raises DeviceUnreachable where it does not answer."""
        command = [self.python, str(self._folder), "session", str(self._folder), "look"]
        try:
            done = subprocess.run(
                command, input=json.dumps(wish).encode(), capture_output=True, timeout=ANSWER_SECONDS, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise DeviceUnreachable(
                f"this machine did not tell what it has in {ANSWER_SECONDS:.0f} s", "see whether it is overloaded"
            ) from error
        return dict(json.loads(done.stdout)["ok"])

    def close(self) -> None:
        """Nothing was begun."""
