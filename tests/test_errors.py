"""Errors: which exit code a command of several parts ends with, what is told, and what never is."""

from __future__ import annotations

import errno

import pytest

from edgekit.errors import (
    BackendMissing,
    EdgekitError,
    Failure,
    GateFailed,
    UsageError,
    first_line,
    in_one_line,
    nearest,
    no_process,
    worst_exit_code,
)


@pytest.mark.parametrize(
    ("codes", "worst"), [((), 0), ((0, 0), 0), ((6, 3), 3), ((3, 4, 5), 5), ((5, 7), 7), ((7, 2), 2), ((2, 1), 1)]
)
def test_the_exit_code_of_several_is_the_first_in_the_documented_order(codes: tuple[int, ...], worst: int) -> None:
    assert worst_exit_code(codes) == worst


def test_no_error_tells_a_password() -> None:
    error = EdgekitError("postgresql://me:secret@host/db is away", "see postgresql://me:secret@host/db")
    assert "secret" not in error.message + error.remedy + str(error)


@pytest.mark.parametrize(("word", "said"), [("moblenet", "; did you mean 'mobilenet'?"), ("xyz", ""), ("", "")])
def test_the_nearest_word_is_suggested_where_one_is_near(word: str, said: str) -> None:
    assert nearest(word, ["mobilenet", "resnet18"]) == said


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "it calls sys.exit(3)"),
        (SystemExit(), "it calls sys.exit()"),
    ],
)
def test_an_exception_in_one_line(error: BaseException, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("node 7:\n  no kernel"), "node 7: no kernel"),
        (ValueError(), "ValueError"),
        (ValueError("a" * 30 + "\nthe cause"), "aaaaaa [...]  cause"),
    ],
)
def test_all_lines_of_an_exception_in_one_of_a_bounded_length(error: BaseException, line: str) -> None:
    assert in_one_line(error, 19) == line and len(in_one_line(ValueError("ab " * 900))) == 400


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EMFILE, "ulimit -n"), (errno.ENOMEM, "free some memory"), (errno.ENOEXEC, "adb is a program for this")],
)
def test_a_process_that_cannot_be_started(number: int, remedy: str) -> None:
    error = no_process("adb", OSError(number, "the system's words"))
    assert "the system's words" in error.message and remedy in error.remedy and error.exit_code == 7


def test_what_failed_is_named_by_its_keys_and_told_under_those_that_are_asked() -> None:
    failure = Failure({"format": "onnx"}, GateFailed("parity failed", "report this"))
    assert failure.exit_code == 3
    assert failure.to_json("reason", "code") == {"format": "onnx", "reason": "parity failed", "code": "gate"}
    assert list(failure.to_json("remedy", "reason")) == ["format", "remedy", "reason"]


def test_every_error_has_a_code_and_an_exit_code_of_its_own() -> None:
    kinds: list[type[EdgekitError]] = [EdgekitError, *EdgekitError.__subclasses__()]
    assert len({kind.code for kind in kinds}) == len({kind.exit_code for kind in kinds}) == len(kinds)
    assert (UsageError.exit_code, BackendMissing.exit_code) == (2, 5)
