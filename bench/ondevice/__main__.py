"""The program of the device side: `python FOLDER COMMAND ...`, where FOLDER is this folder or a zip of it.

It may stand anywhere and needs no installation. Started so, the package has no parent and is called `ondevice`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# What each command runs: `main` of a module.
COMMANDS = {
    "run": "runner",
    "interleave": "interleave",
    "infer": "infer",
    "profile": "profiler",
    "energy": "energy",
    "idle": "idle",
    "peaks": "peaks",
    "build_tensorrt": "build_tensorrt",
    "run_trtexec": "run_trtexec",
    "device_lock": "device_lock",
    "run_detached": "run_detached",
    "session": "session",
}


def package() -> str:
    """Return the name of the package around this file, made here if the folder itself was started.

    Python has put the folder on its path then. It is taken off, so that no file in it shadows a module.
    """
    if __package__:
        return __package__
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    found = ModuleType("ondevice")
    found.__path__ = [str(folder)]
    sys.modules[found.__name__] = found
    return found.__name__


def main(arguments: list[str]) -> int:
    """Run a command with its arguments; the exit code is 2 for one that there is not."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.stderr.write("give a command: {}\n".format(", ".join(COMMANDS)))
        return 2
    module = import_module(f".{COMMANDS[arguments[0]]}", package())
    return int(module.main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
