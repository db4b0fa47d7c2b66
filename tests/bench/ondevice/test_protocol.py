"""Answers of the device side: what went wrong is of one of three kinds."""

from __future__ import annotations

import pytest

from edgekit.bench.ondevice.protocol import PROGRESS, guarded, refusal, say


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModuleNotFoundError("No module named 'x'"), "missing"),
        (FileNotFoundError("x"), "usage"),
        (ValueError("x"), "usage"),
        (RuntimeError("x"), "backend"),
    ],
)
def test_the_class_of_an_exception_is_its_kind(error: Exception, kind: str) -> None:
    assert refusal(error)["error"]["kind"] == kind


def test_a_message_is_one_line_and_never_empty() -> None:
    assert refusal(RuntimeError("one\n  two"))["error"]["message"] == "one two"
    assert refusal(RuntimeError())["error"]["message"] == "RuntimeError"


def test_an_answer_is_what_the_work_makes_or_why_it_cannot() -> None:
    assert guarded(lambda text: {"text": text}, "job") == {"ok": {"text": "job"}}
    assert guarded(lambda text: {"n": int(text)}, "job")["error"]["kind"] == "usage"


def test_progress_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("parse")
    assert capsys.readouterr() == ("", f"{PROGRESS}parse\n")
