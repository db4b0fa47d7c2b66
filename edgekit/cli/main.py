"""The command line: runs one command, and turns whatever happens into an exit code and at most two lines.

Results go to stdout, messages and progress to stderr. With `--json`, stdout carries exactly one object. This file
imports nothing heavy, so that an interrupt is answered from the first moment on; the parser is in `edgekit.cli.app`.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import TextIO

_interrupted = False
OBJECTS = 20_000  # new ones before garbage is looked for: Python's 700 make a tenth of every start


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` (default: the process's own arguments) and return its exit code.

    For a process of its own: it takes over stdout and the interrupt signals, and does not give them back.
    """
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    as_json = "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    gc.set_threshold(OBJECTS)
    stdout: TextIO | None = None
    try:
        stdout = _take_stdout(as_json)
        return _run(arguments, as_json, stdout)
    except BaseException as error:
        from edgekit.cli.failure import describe, tell

        # An interrupt inside an extension module can come out as any other error.
        is_told = isinstance(error, KeyboardInterrupt) or not _interrupted
        failure = describe(error if is_told else KeyboardInterrupt(), arguments)
        tell(failure, stdout if as_json else None)
        return failure.exit_code
    finally:
        if as_json and stdout is not None:
            with suppress(OSError):  # what it could not take was told when it was written
                stdout.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def _take_stdout(as_json: bool) -> TextIO:
    """The real stdout; for JSON for us alone: what libraries print from now on, from C too, goes to stderr.

    Raises EnvironmentRefused where it is closed: the next file that is opened would take its place.
    """
    if sys.stderr is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace")
    if sys.stdout is None:
        from edgekit.errors import EnvironmentRefused

        raise EnvironmentRefused("stdout is closed", "leave it open, or redirect it, as in > /dev/null")
    if not as_json:
        return sys.stdout
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream


def _run(arguments: list[str], as_json: bool, stdout: TextIO) -> int:
    from edgekit.cli.app import command
    from edgekit.cli.output import write

    outcome = command(arguments)
    if outcome is None:  # --help, --version
        return 0
    write(outcome, as_json, stdout)
    return outcome.exit_code
