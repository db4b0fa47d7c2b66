"""What a command prints, and how far it is."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from edgekit.cli.app import command
from edgekit.cli.output import VERBOSITY, Progress, _encodable, send
from edgekit.errors import UsageError
from tests.short import program


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
def test_no_number_is_lost_for_the_encoding_of_a_terminal(encoding: str, tmp_path: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    rest = r" -\udcff"  # what no encoding has, with the line beside it as plain
    send(_encodable("müller \u2500\udcff", encoding), stream)
    stream.seek(0)
    assert stream.read() == ("m\\xfcller" if encoding == "ascii" else "müller") + rest
    assert _encodable("müller ─", "utf-8") == "müller ─"
    (tmp_path / "müller.onnx").write_bytes(b"x")
    command = [str(program(tmp_path) / "edgekit"), "bench", "müller.onnx", "--runtime", "null", "--preset", "quick"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )
    assert done.returncode in (0, 6) and b"ller.onnx" in done.stdout and b"Traceback" not in done.stderr


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def verbosity(request: pytest.FixtureRequest) -> Iterator[None]:
    token = VERBOSITY.set(request.param)
    yield
    VERBOSITY.reset(token)


@pytest.mark.parametrize(
    ("verbosity", "told"),
    [
        ("normal", "one  0/30\none  20/30  about 10 s left\ntwo\n"),
        ("quiet", ""),
        ("verbose", "[0.0 s] one  0/30\n[1.0 s] one  1/30\n[20.0 s] one  20/30  about 10 s left\n[30.0 s] two\n"),
    ],
    indirect=["verbosity"],
)
@pytest.mark.usefixtures("verbosity")
def test_progress_without_a_terminal_is_a_line_now_and_then(told: str) -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock) as progress:
        for now, done in ((0, 0), (1, 1), (20, 20)):
            clock.now = 100.0 + now
            progress("one", done, 30)
        progress("one", 20, 30)
        clock.now = 130.0
        progress("two")
    assert stream.getvalue() == told


@pytest.mark.parametrize(("arguments", "shown"), [(["--quiet"], False), (["--verbose"], True), ([], True)])
@pytest.mark.parametrize("is_first", [True, False])
def test_every_command_takes_quiet_and_verbose(
    arguments: list[str],
    shown: bool,
    is_first: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(**given: object) -> NoReturn:
        with Progress() as progress:
            progress("working")
        raise UsageError("enough", "stop")

    monkeypatch.setattr("edgekit.demonstration.command.demo", told)
    with pytest.raises(UsageError, match="enough"):
        command([*arguments, "demo"] if is_first else ["demo", *arguments])
    assert ("working" in capsys.readouterr().err) is shown


def test_progress_rewrites_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    with Progress(stream) as progress:
        progress("x" * 30, 1, 3)
        progress("short", 2, 3)
    rewrite = "\r\x1b[2K"
    assert stream.getvalue() == f"{rewrite}{'x' * 19}{rewrite}short  2/3{rewrite}"
    assert VERBOSITY.get() == "normal"


def test_progress_without_a_terminal_grows_rarer() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock) as progress:
        for second in range(600):
            clock.now = 100.0 + second
            progress(f"second {second}")
    told = [int(line.split()[1]) for line in stream.getvalue().splitlines()]
    assert told[:4] == [0, 5, 10, 15] and all(
        after - before <= 30 for before, after in zip(told, told[1:], strict=False)
    )
    assert len(told) < 30 and told[-1] >= 570
