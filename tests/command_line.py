"""A command as a user types it, run in this process: hundreds of starts of Python would show nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekit.cli.main import main


def edgekit(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its exit code and what it wrote to its streams, by C code too."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for number in (signal.SIGINT, signal.SIGTERM):  # the command line takes them, and does not give them back
            stack.callback(signal.signal, number, signal.getsignal(number))
        files = [_taken(stack, patch, number, name) for number, name in ((1, "stdout"), (2, "stderr"))]
        if cwd is not None:
            patch.chdir(cwd)
        code = main(arguments)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        out, err = (os.pread(file, 1 << 30, 0).decode() for file in files)
    return subprocess.CompletedProcess(arguments, code, out, err)


def _taken(stack: ExitStack, patch: pytest.MonkeyPatch, number: int, name: str) -> int:
    """Send a standard stream to a file of its own until the stack ends; return the file."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    kept = os.dup(number)
    stack.callback(os.close, kept)
    stack.callback(os.dup2, kept, number)
    os.dup2(file.fileno(), number)
    patch.setattr(sys, name, stack.enter_context(os.fdopen(os.dup(number), "w", encoding="utf-8")))
    return file.fileno()
