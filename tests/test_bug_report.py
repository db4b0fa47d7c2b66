"""Any exception becomes an error that can be told; only what nobody foresaw is called a bug."""

from __future__ import annotations

import errno
import re
import tempfile
from pathlib import Path

import pytest

from edgekit.bug_report import tellable
from edgekit.errors import EdgekitError, EnvironmentRefused, GateFailed, HardExit, UsageError


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (SystemExit(3), UsageError, "ends the program: it calls sys.exit(3)"),
        (GeneratorExit(), UsageError, "ends the program: GeneratorExit"),
        (type("Stop", (BaseException,), {})("now"), UsageError, "ends the program: now"),
        (MemoryError(), EnvironmentRefused, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device"), EnvironmentRefused, "No space left"),
        (OSError(errno.EROFS, "Read-only file system"), EnvironmentRefused, "Read-only"),
        (OSError(errno.EMFILE, "Too many open files"), EnvironmentRefused, "Too many open files"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), UsageError, "x" * 60 + "... cannot be"),
    ],
)
def test_what_can_be_foreseen_is_no_bug(error: BaseException, kind: type[EdgekitError], said: str) -> None:
    told = tellable(error)
    assert type(told) is kind and said in told.message and told.__cause__ is error


@pytest.mark.parametrize("kind", [SystemExit, HardExit])
def test_code_that_ends_the_program_is_told_where_to_do_so(kind: type[SystemExit]) -> None:
    assert tellable(kind(3)).remedy == "leave ending the program to `if __name__ == '__main__':`"


def test_an_error_of_ours_is_told_as_it_is() -> None:
    ours = GateFailed("parity failed", "report this")
    assert tellable(ours) is ours


def test_a_bug_leaves_its_traceback_in_a_file_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEKIT_DEBUG", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = tellable(ZeroDivisionError("at postgresql://me:secret@host/db\nagain"))
    assert told.exit_code == 1 and told.message.startswith("a bug of edgekit: ZeroDivisionError: at ")
    (written,) = tmp_path.iterdir()
    assert re.fullmatch(r"please report it with .*edgekit-.*\.txt", told.remedy)
    assert "ZeroDivisionError" in written.read_text() and "secret" not in written.read_text() + told.message


def test_a_bug_is_told_where_no_file_can_be_written_or_none_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EDGEKIT_DEBUG", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "EDGEKIT_DEBUG=1" in tellable(KeyError("x")).remedy
    monkeypatch.setenv("EDGEKIT_DEBUG", "1")
    assert tellable(KeyError("\x1b[2J")).remedy == "the traceback stands above"
    assert "\x1b" not in capsys.readouterr().err
