"""What a command says when it fails: one line of cause, one line of remedy, an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO

from edgekit.bug_report import tellable
from edgekit.cli.output import as_line, send
from edgekit.errors import Refusal, as_json
from edgekit.redact import redacted
from edgekit.util.formatting import escaped

# After an interrupt, where a command goes on in a way of its own.
AGAIN = {
    "sweep": "add --continue to the same options (--preset, too) to keep what is done; nothing half-written is left",
    "worker": "start it again: sweeps wait a while for its devices",
}


def describe(error: BaseException, arguments: list[str]) -> Refusal:
    """Return how to tell `error`. What nobody foresaw is a bug: its traceback is saved, and the message says where."""
    if isinstance(error, KeyboardInterrupt):
        said = _one_line("; ".join(filter(None, ("interrupted", str(error)))))
        again = AGAIN.get(arguments[0] if arguments else "", "run the same command again; nothing half-written is left")
        return Refusal("interrupted", said, again, 130)
    usage = _usage_message(error)
    if usage is not None:
        return Refusal("usage", usage, f"see `{_help_command(arguments)}`", 2)
    told = tellable(error)
    return Refusal(told.code, _one_line(told.message), _one_line(told.remedy), told.exit_code)


def tell(failure: Refusal, stdout: TextIO | None) -> None:
    """Print a failure: as JSON on `stdout` where one is given and takes it, else in two lines on stderr."""
    if stdout is not None:
        try:
            send(as_line({"error": as_json(failure)}), stdout)
            return
        except (OSError, ValueError):  # full, or closed since it was
            pass
    with suppress(OSError):
        print(f"error: {escaped(failure.message)}\n  fix: {escaped(failure.remedy)}", file=sys.stderr, flush=True)


def _usage_message(error: BaseException) -> str | None:
    import typer

    # Typer has moved the class of its parse errors between versions; its public BadParameter is one of them in all.
    if not isinstance(error, typer.BadParameter.__bases__[0]):
        return None
    message = _one_line(error.format_message())  # type: ignore[attr-defined]
    return message[:1].lower() + message[1:].rstrip(".")


def _help_command(arguments: list[str]) -> str:
    from edgekit import COMMANDS

    named = next((word for word in arguments if not word.startswith("-")), "")
    return f"edgekit {named} --help" if named in COMMANDS else "edgekit --help"


def _one_line(text: str) -> str:
    return redacted(" ".join(text.split()))
