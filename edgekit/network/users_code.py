"""Run code that a user wrote, and say what it raises with the line of their file."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edgekit.errors import NO_EXIT, UsageError, first_line
from edgekit.util.formatting import escaped
from edgekit.util.hard_exit import told_hard_exits

_OURS, _MOST = Path(__file__).parents[1], 120  # letters of a line of code


@contextmanager
def users_code(failure: str, remedy: str, called: Callable[..., Any] | None = None) -> Iterator[None]:
    """Run code of the user, `called` where it is a function. Raises UsageError for whatever it raises.

    Also where it ends the program. The remedy is the line that raised; `remedy` where there is none.
    """
    try:
        with told_hard_exits(), _quiet_without_memory():
            yield
    except SystemExit as error:
        raise UsageError(f"{failure}: {first_line(error)}", NO_EXIT) from error
    except Exception as error:
        unfit = isinstance(error, TypeError) and called is not None and _needs_arguments(called)
        said = "it is called without arguments" if unfit else _line(error) or remedy
        raise UsageError(f"{failure}: {_with_its_kind(error)}", said) from error


@contextmanager
def _quiet_without_memory() -> Iterator[None]:
    """Let torch be silent where weights are loaded into a network on the meta device, which asks for shapes only."""
    if torch.get_default_device().type != "meta":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*copying from a non-meta parameter", UserWarning)
        yield


def _needs_arguments(called: Callable[..., Any]) -> bool:
    try:
        inspect.signature(called).bind()
    except TypeError:
        return True
    except ValueError:  # a signature that Python does not know
        return False
    return False


def _line(error: Exception) -> str | None:
    """Where the user's files raised it, or called what did; None where no line of theirs did."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _place(error.filename, error.lineno, error.text)
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not _foreign(one.filename)]
    beside = [one for one in frames if Path(one.filename).parent == Path(frames[0].filename).parent]
    return _place(beside[-1].filename, beside[-1].lineno or 1, beside[-1].line) if beside else None


def _foreign(file: str) -> bool:
    return file.startswith("<") or Path(file).parent.name == "importlib" or _OURS in Path(file).parents


def _place(file: str, line: int, code: str | None) -> str:
    shown = escaped((code or "").strip()[:_MOST])
    return f"look at line {line} of {escaped(Path(file).name)}" + (f": {shown}" if shown else "")


def _with_its_kind(error: Exception) -> str:
    kind, text = type(error).__name__, escaped(first_line(error))
    return text if text == kind else f"{kind}: {text}"
