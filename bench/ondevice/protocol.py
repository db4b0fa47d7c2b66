"""How a program of this package is asked: one job in, one answer out, each a line of JSON.

The job is the first line of stdin, or a file that is named as the argument. With the job on stdin, the process ends
when stdin closes, because then nobody waits for the answer. stdout carries the answer alone: whatever a runtime prints
goes to stderr. The answer is {"ok": ...} or {"error": {"kind", "message"}}, where kind is missing (a package is not
installed), usage (a broken file or an impossible wish) or backend (it cannot run).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

PROGRESS = "PROGRESS "  # begins a line on stderr that says how far a long job is


def answer_job(arguments: list[str], answer: Callable[[str], dict[str, Any]]) -> None:
    """Read the job, keep stdout for the answer alone, and write what `answer` makes of the job."""
    stream = answer_stream()
    if arguments:
        text = Path(arguments[0]).read_text()
    else:
        text = _first_line()
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with stream:
        stream.write(json.dumps(answer(text)).encode() + b"\n")


def answer_stream() -> BinaryIO:
    """Return stdout as a stream for answers; from here on everything else that is printed goes to stderr."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(stdout, "wb")


def guarded(work: Callable[[str], dict[str, Any]], text: str) -> dict[str, Any]:
    """Return the answer to a job: what `work` makes of it, or why it cannot."""
    try:
        return {"ok": work(text)}
    except Exception as error:  # a runtime raises what it likes
        return refusal(error)


def refusal(error: Exception) -> dict[str, Any]:
    """Return the answer for an exception; its class says of which kind it is."""
    text = " ".join(str(error).split())
    return {"error": {"kind": _kind(error), "message": text or type(error).__name__}}


def say(stage: str) -> None:
    """Tell on stderr how far a long job is."""
    print(PROGRESS + stage, file=sys.stderr, flush=True)


def _kind(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "missing"
    return "usage" if isinstance(error, (ValueError, FileNotFoundError)) else "backend"


def _first_line() -> str:
    """The job from stdin; nothing is buffered, so that the watcher may read on."""
    data = b""
    while not data.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        data += byte
    return data.decode()


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(3)
