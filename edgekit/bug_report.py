"""Any exception as an error that can be told: what nobody foresaw is a bug, and its traceback is kept in a file."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback

from edgekit.errors import FEWER_FILES, MANY_FILES, NO_EXIT, EdgekitError, EnvironmentRefused, UsageError, first_line
from edgekit.redact import redacted
from edgekit.util.formatting import escaped

_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def tellable(error: BaseException) -> EdgekitError:
    """Return the error itself where it is one of ours; else what to say of it, with `error` as its cause."""
    if isinstance(error, EdgekitError):
        return error
    told = _told(error)
    told.__cause__ = error
    return told


def _told(error: BaseException) -> EdgekitError:
    if not isinstance(error, Exception):  # none of ours is so: it is made to pass by whoever catches errors
        return UsageError(f"Python code that was run here ends the program: {first_line(error)}", NO_EXIT)
    if isinstance(error, MemoryError):
        return EnvironmentRefused("not enough memory", "close other programs, or choose a smaller network")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return EnvironmentRefused(str(error), "free some space, or work in another folder")
    if isinstance(error, OSError) and error.errno in MANY_FILES:
        return EnvironmentRefused(str(error), FEWER_FILES)
    if isinstance(error, OSError) and error.errno in _NO_NAME:
        name = str(error.filename or "")
        shown = name if len(name) <= 80 else f"{name[:60]}..."
        return UsageError(f"{shown} cannot be a file's name here: {error.strerror}", "give a shorter or a direct name")
    return _bug(error)


def _bug(error: BaseException) -> EdgekitError:
    trace = redacted("".join(traceback.format_exception(error)))
    cause = " ".join(f"a bug of edgekit: {type(error).__name__}: {error}".split())
    if os.environ.get("EDGEKIT_DEBUG"):
        print(escaped(trace, lines=True), file=sys.stderr)
        return EdgekitError(cause, "the traceback stands above")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="edgekit-", suffix=".txt", delete=False, encoding="utf-8"
        ) as stream:
            stream.write(escaped(trace, lines=True))
    except OSError:
        return EdgekitError(cause, "set EDGEKIT_DEBUG=1 to see the traceback")
    return EdgekitError(cause, f"please report it with {stream.name}")
