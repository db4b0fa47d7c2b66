"""A function in a process of its own, with a time limit: a file can crash what reads it, fill memory, or not end."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

from edgekit.errors import EdgekitError, kind_of, no_process

# It imports from where this process does, and not from the folder that it is started in.
CHILD = """
import sys
asked, sys.path[:] = sys.argv[1], sys.argv[2:]
from edgekit.util.apart import answer
answer(*__import__("json").loads(asked))
"""


class NoAnswer(Exception):
    """How a process ended that did not answer, in words that follow its subject."""


def call(name: str, *arguments: str, seconds: float) -> Any:
    """Return what the function `name` (MODULE:FUNCTION) returns for some texts in a process of its own, by way of JSON.

    Raises the EdgekitError that it raises there, and NoAnswer where it dies or takes longer than `seconds`.
    """
    command = [sys.executable, "-c", CHILD, json.dumps([name, *arguments]), *sys.path]
    stdin, alive = os.pipe()
    try:
        # A session of its own: Ctrl-C comes here only, and the process ends when its stdin does.
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        os.close(alive)
        raise no_process(sys.executable, error) from error
    finally:
        os.close(stdin)
    with process:
        try:
            told, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise NoAnswer(f"gave no answer in {seconds:.0f} s") from error
        finally:
            process.kill()
            os.close(alive)
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise NoAnswer(f"ended with {process.returncode}{''.join(f': {line}' for line in last)}")
    return _told(json.loads(told))


def _told(found: dict[str, Any]) -> Any:
    if "refused" not in found:
        return found["answer"]
    raise kind_of(found["code"])(*found["refused"])


def answer(name: str, *arguments: str) -> None:
    """In the process: call the function, and print what it returns or why it refuses."""
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print stays out of the answer
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    module, _, function = name.partition(":")
    try:
        found: dict[str, Any] = {"answer": getattr(importlib.import_module(module), function)(*arguments)}
    except EdgekitError as error:
        found = {"code": error.code, "refused": [error.message, error.remedy]}
    with stdout:
        json.dump(found, stdout)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(3)
