"""Every error that edgekit raises on purpose.

* EdgekitError                 base: one line of cause, one line of remedy, an exit code
  - UsageError            2    bad arguments, or input that is missing, broken or of something else
  - GateFailed            3    parity, accuracy, regression, a missing cell
  - DeviceUnreachable     4    a link that does not answer
  - BackendMissing        5    a backend that is not installed or cannot run this artifact
  - MeasurementInvalid    6    a number that would not mean anything
  - EnvironmentRefused    7    disk full, read-only, store locked

Anything else that escapes is a bug of ours and ends with exit code 1.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.redact import redacted


class EdgekitError(Exception):
    """An expected failure: `message` says what happened, `remedy` what to do about it.

    Both name options as the command line has them; str() has both, with options as Python's keywords. Neither tells a
    password: a store's URL may stand wherever it was typed by mistake. `log` has the last lines that the process which
    failed has said.
    """

    code = "internal"
    exit_code = 1
    log: tuple[str, ...] = ()

    def __init__(self, message: str, remedy: str) -> None:
        self.message = redacted(message)
        self.remedy = redacted(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        from edgekit.keywords import in_python  # no help of a command needs it

        return f"{in_python(self.message)}\n  fix: {in_python(self.remedy)}"


@dataclass(frozen=True)
class Refusal:
    """An error as a value: what a command says, what a sweep remembers, what a worker sends.

    `known`: a sweep met it before, and did not try again. `log`: the last lines that were said before it.
    """

    code: str
    message: str
    remedy: str
    exit_code: int
    known: bool = False
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """One part of a command that failed while the other parts went on.

    `part` names it by its keys in the command's JSON: {"format": "onnx", "precision": "int8"}, {"artifact": "a.onnx"}.
    """

    part: Mapping[str, Any]
    error: EdgekitError

    @property
    def exit_code(self) -> int:
        """What it adds to the command's exit code."""
        return self.error.exit_code

    def to_json(self, *keys: str) -> dict[str, Any]:
        """Return the part and its error under those of the documented keys (reason, remedy, code) that are named."""
        said = {"reason": self.error.message, "remedy": self.error.remedy, "code": self.error.code}
        return {**self.part, **{key: said[key] for key in keys}}


class UsageError(EdgekitError):
    """The arguments or the input files are wrong."""

    code = "usage"
    exit_code = 2


class GateFailed(EdgekitError):
    """A check that was asked for did not pass."""

    code = "gate"
    exit_code = 3


class DeviceUnreachable(EdgekitError):
    """The device did not answer."""

    code = "device"
    exit_code = 4


class BackendMissing(EdgekitError):
    """A backend is not installed, or cannot run this artifact."""

    code = "backend"
    exit_code = 5


class MeasurementInvalid(EdgekitError):
    """The measurement was taken but must not be used."""

    code = "measurement"
    exit_code = 6


class EnvironmentRefused(EdgekitError):
    """The machine refused: disk full, read-only, locked."""

    code = "environment"
    exit_code = 7


MANY_FILES = (errno.EMFILE, errno.ENFILE)
FEWER_FILES = "allow more open files with `ulimit -n`, or give fewer at once"


def no_process(program: str, error: OSError) -> EnvironmentRefused:
    """Return the error where the system starts no process of a program."""
    remedy = f"see whether {program} is a program for this machine"
    if error.errno in MANY_FILES:
        remedy = FEWER_FILES
    elif error.errno in (errno.ENOMEM, errno.EAGAIN):
        remedy = "free some memory and try again"
    return EnvironmentRefused(f"no process could be started: {error}", remedy)


def as_json(error: EdgekitError | Refusal) -> dict[str, str]:
    """Return an error as `--json` shows it."""
    return {"code": error.code, "message": error.message, "remedy": error.remedy}


def kind_of(code: str) -> type[EdgekitError]:
    """Return the class of errors with this code."""
    return {kind.code: kind for kind in EdgekitError.__subclasses__()}.get(code, EdgekitError)


def raised(refusal: Refusal) -> EdgekitError:
    """Return the error that a refusal was made of."""
    error = kind_of(refusal.code)(refusal.message, refusal.remedy)
    error.log = refusal.log
    return error


class HardExit(SystemExit):
    """os._exit() in a user's own code."""


# What a user's own code can raise. sys.exit() is theirs: it must end their file, and neither us nor who calls us.
USERS_CODE = (Exception, SystemExit)
NO_EXIT = "leave ending the program to `if __name__ == '__main__':`"


# Of a terminal, in which torch sets some of its errors.
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, EdgekitError):
        return error.message
    if isinstance(error, SystemExit):
        call = "os._exit" if isinstance(error, HardExit) else "sys.exit"
        return f"it calls {call}({'' if error.code is None else repr(error.code)})"
    return (_COLORS.sub("", str(error)).strip() or type(error).__name__).splitlines()[0]


def in_one_line(error: BaseException, most: int = 400) -> str:
    """Return all lines of an error as one of at most `most` characters.

    What is too much is left out of its middle, because either end can say the cause.
    """
    text, cut = " ".join(_COLORS.sub("", str(error)).split()) or type(error).__name__, " [...] "
    if len(text) <= most:
        return text
    start = (most - len(cut)) // 2
    return text[:start] + cut + text[start + len(cut) - most :]


# When several things failed in one command, the first code in this order is the command's.
EXIT_PRECEDENCE = (1, 2, 7, 5, 4, 3, 6)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of a command whose parts ended with `codes` (0 when all are 0)."""
    found = set(codes)
    return next((code for code in EXIT_PRECEDENCE if code in found), 0)


def nearest(word: str, options: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for a misspelt word, or an empty string."""
    meant = closest(word, options)
    return f"; did you mean '{meant}'?" if meant else ""


def closest(word: str, options: Iterable[str]) -> str | None:
    """Return the option that a misspelt word is most like; None where it is like none."""
    return next(iter(difflib.get_close_matches(word, list(options), n=1, cutoff=0.5)), None)
