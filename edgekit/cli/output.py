"""What a command prints: an `Outcome` is written as one JSON object, or as tables for a person."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from edgekit.util.formatting import escaped, json_escaped, printable

if TYPE_CHECKING:  # rich is loaded when something is shown
    from rich.console import RenderableType

    from edgekit.errors import EdgekitError

PLAIN = str.maketrans("─━│…×±–−", "--|.x~--")  # of our tables, where the encoding has none of them
EVERY, MOST_SELDOM = 5.0, 30.0  # seconds between two lines of progress where stderr is no terminal: they grow rarer
RARER = 4  # the time since the beginning over that between two lines
QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"
VERBOSITY = ContextVar("verbosity", default=NORMAL)  # of the command that runs
WIDE = 160  # columns where stdout is no terminal: nobody's window is too narrow for a file


@dataclass(frozen=True)
class Outcome:
    """A command's result: the documented JSON, the function that shows it, and the exit code.

    `view` takes the document and the width in columns, and gives lines and tables. `text`, where it is given, is shown
    as it stands instead.
    """

    document: dict[str, Any]
    view: Callable[[dict[str, Any], int], Iterable[RenderableType]]
    exit_code: int = 0
    text: str | None = None


def write(outcome: Outcome, as_json: bool, stdout: TextIO) -> None:
    """Write the outcome; what the stream's encoding does not have is escaped. A reader that went away is no error.

    Raises OSError where it cannot be written.
    """
    shown = outcome.text if outcome.text is not None and not as_json else None
    text = as_line(outcome.document) if as_json else escaped(shown, lines=True) if shown else _rendered(outcome, stdout)
    send(_encodable(text, stdout.encoding or "utf-8"), stdout)  # a stream in memory has none


def as_line(document: dict[str, Any]) -> str:
    """Return the document as one line of JSON, in which no character is one that a terminal obeys."""
    return json_escaped(json.dumps(document, allow_nan=False)) + "\n"


def send(text: str, stream: TextIO) -> None:
    """Write to stdout. A reader that went away (`| head`) is no error; raises OSError for any other."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Python flushes it once more as it exits; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            stream.close()  # whatever is told next must go elsewhere
            raise


def _encodable(text: str, encoding: str) -> str:
    """What can be written in an encoding; a number must not be lost because its file is called `müller.onnx`."""
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        plain = text.translate(PLAIN)
        return plain.encode(encoding, "backslashreplace").decode(encoding)


def _rendered(outcome: Outcome, stdout: TextIO) -> str:
    from rich.console import Console

    terminal = stdout.isatty()
    buffer = io.StringIO()
    width = Console(file=stdout).width if terminal or "COLUMNS" in os.environ else WIDE
    console = Console(file=buffer, width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False)
    for part in outcome.view(printable(outcome.document), width):
        if isinstance(part, str):
            buffer.write(f"{part}\n")
        else:
            console.print(part)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


class Progress:
    """Progress on stderr: one line that is rewritten on a terminal, else a line now and then, ever more seldom.
    Starts no thread, because a thread that redraws would run beside the measurement."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        from edgekit.util.pace import Pace  # only a command that works needs it, and --help none

        self._clock, self._pace = clock, Pace(clock)
        self._began = clock()
        self._last, self._told = "", -EVERY + self._began

    def __call__(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """Show that `message` is going on; `done` of `total` where that is known, and then how long it may take."""
        counts = f"{done}/{total}" if total else ""
        left = self._pace.left(done, total) if done is not None and total and not message.endswith(" left") else ""
        line = "  ".join(filter(None, (escaped(message), counts, left)))
        if VERBOSITY.get() == QUIET or line == self._last:
            return
        if VERBOSITY.get() == VERBOSE:
            self._print(f"[{self._clock() - self._began:.1f} s] {line}", end="\n")
        elif self._terminal:
            # A line that wraps could not be rewritten.
            self._print(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}", end="")
        elif self._clock() - self._told < min(max(EVERY, (self._clock() - self._began) / RARER), MOST_SELDOM):
            return
        else:
            self._print(line, end="\n")
        self._last, self._told = line, self._clock()

    def close(self) -> None:
        """Clear the line for what is printed next."""
        if self._terminal and self._last and VERBOSITY.get() == NORMAL:
            self._print("\r\x1b[2K", end="")

    def _print(self, text: str, end: str) -> None:
        with suppress(BrokenPipeError):
            print(text, end=end, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def refused(error: EdgekitError | None) -> None:
    """What went wrong beside a result that is there, on stderr."""
    if error is not None:
        notice(f"error: {error.message}")
        notice(f"  fix: {error.remedy}")


def notice(message: str) -> None:
    """A line for a person, on stderr."""
    with suppress(BrokenPipeError):
        print(escaped(message), file=sys.stderr, flush=True)
