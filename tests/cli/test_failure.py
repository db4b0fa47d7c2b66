"""What a command says when it fails."""

from __future__ import annotations

import io
import json

import pytest
import typer

from edgekit.cli.failure import describe, tell
from edgekit.errors import GateFailed, Refusal


@pytest.mark.parametrize(
    ("arguments", "help_command"),
    [(["export", "--x"], "edgekit export --help"), (["expotr"], "edgekit --help"), (["--x"], "edgekit --help")],
)
def test_a_wrong_argument_points_to_the_help_of_its_command(arguments: list[str], help_command: str) -> None:
    found = describe(typer.BadParameter("Nothing\nis right."), arguments)
    assert (found.code, found.exit_code, found.remedy) == ("usage", 2, f"see `{help_command}`")
    assert found.message.startswith(("invalid value", "nothing")) and "\n" not in found.message


def test_an_interrupt_and_an_error_of_ours() -> None:
    assert describe(KeyboardInterrupt(), []).exit_code == 130
    found = describe(GateFailed("one\ntwo", "do\nthis"), [])
    assert (found.code, found.message, found.remedy, found.exit_code) == ("gate", "one two", "do this", 3)


def test_it_is_told_as_json_or_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = Refusal("gate", "cause\x1b[2J", "remedy", 3)
    stream = io.StringIO()
    tell(refusal, stream)
    assert json.loads(stream.getvalue())["error"] == {"code": "gate", "message": refusal.message, "remedy": "remedy"}
    tell(refusal, None)
    assert capsys.readouterr().err == "error: cause\\x1b[2J\n  fix: remedy\n"


def test_a_stream_that_takes_nothing_leaves_it_for_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    closed.close()
    tell(Refusal("gate", "cause", "remedy", 3), closed)
    assert capsys.readouterr().err.startswith("error: cause")
