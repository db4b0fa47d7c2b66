"""What a command says when it fails: one line of cause, one line of remedy, an exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from edgekit.cli_output import send
from edgekit.errors import EdgekitError
from edgekit.masking import masked

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class Failure:
    """An error as it is told."""

    code: str
    message: str
    remedy: str
    exit_code: int


def describe(error: BaseException, arguments: list[str]) -> Failure:
    """How to tell `error`. What nobody foresaw is a bug: its traceback is saved, and the message says where."""
    if isinstance(error, EdgekitError):
        return Failure(error.code, _one_line(error.message), _one_line(error.remedy), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "interrupted", "run the same command again; nothing half-written is left", 130)
    if isinstance(error, SystemExit):
        return Failure("internal", f"stopped with {error.code}", "set EDGEKIT_DEBUG=1 to see more", _status(error))
    if isinstance(error, MemoryError):
        return Failure("environment", "not enough memory", "close other programs, or choose a smaller network", 7)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Failure("environment", _one_line(str(error)), "free some space, or work in another folder", 7)
    usage = _usage_message(error)
    if usage is not None:
        return Failure("usage", usage, f"see `{_help_command(arguments)}`", 2)
    return _bug(error)


def tell(failure: Failure, stdout: TextIO | None) -> None:
    """Print a failure: as JSON on `stdout` where one is given and takes it, else in two lines on stderr."""
    if stdout is not None:
        fields = {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
        try:
            send(json.dumps({"error": fields}) + "\n", stdout)
            return
        except (OSError, ValueError):  # full, or closed since it was
            pass
    with suppress(OSError):
        print(f"error: {failure.message}\n  fix: {failure.remedy}", file=sys.stderr, flush=True)


def _usage_message(error: BaseException) -> str | None:
    import typer

    # Typer has moved the class of its parse errors between versions; its public BadParameter is one of them in all.
    if not isinstance(error, typer.BadParameter.__bases__[0]):
        return None
    message = _one_line(error.format_message())  # type: ignore[attr-defined]
    return message[:1].lower() + message[1:].rstrip(".")


def _help_command(arguments: list[str]) -> str:
    from edgekit import VERBS

    named = next((word for word in arguments if not word.startswith("-")), "")
    return f"edgekit {named} --help" if named in VERBS else "edgekit --help"


def _bug(error: BaseException) -> Failure:
    told = masked("".join(traceback.format_exception(error)))
    summary = _one_line(f"{type(error).__name__}: {error}")
    if os.environ.get("EDGEKIT_DEBUG"):
        print(told, file=sys.stderr)
        return Failure("internal", f"a bug of edgekit: {summary}", "the traceback stands above", 1)
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="edgekit-", suffix=".txt", delete=False, encoding="utf-8"
        ) as stream:
            stream.write(told)
    except OSError:
        return Failure("internal", f"a bug of edgekit: {summary}", "set EDGEKIT_DEBUG=1 to see the traceback", 1)
    return Failure("internal", f"a bug of edgekit: {summary}", f"please report it with {stream.name}", 1)


def _status(error: SystemExit) -> int:
    return error.code if isinstance(error.code, int) else 1


def _one_line(text: str) -> str:
    return masked(" ".join(text.split()))
