"""What a command prints, and how far it is."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.cli.output import Progress, _encodable, send

EDGEKIT = [sys.executable, "-m", "edgekit"]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
def test_no_number_is_lost_for_the_encoding_of_a_terminal(encoding: str, tmp_path: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    rest = r" -\udcff"  # what no encoding has, with the line beside it as plain
    send(_encodable("müller \u2500\udcff", encoding), stream)
    stream.seek(0)
    assert stream.read() == ("m\\xfcller" if encoding == "ascii" else "müller") + rest
    assert _encodable("müller ─", "utf-8") == "müller ─"
    (tmp_path / "müller.onnx").write_bytes(b"x")
    command = [*EDGEKIT, "bench", "müller.onnx", "--runtime", "null", "--preset", "quick"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )
    assert done.returncode in (0, 6) and b"ller.onnx" in done.stdout and b"Traceback" not in done.stderr


def test_progress_writes_a_line_per_step_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for done in range(3):
            progress("one", done, 3)
        progress("two")
    assert capsys.readouterr().err == "one\ntwo\n"


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
