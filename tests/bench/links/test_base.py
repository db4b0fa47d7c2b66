"""Answers of devices: what is none is none, and one that lacks something is told as the device's fault."""

from __future__ import annotations

import json

import pytest

from edgekit.bench.links.base import LOG_LINES, Done, death, parsed
from edgekit.bench.links.local import LocalLink
from edgekit.errors import BackendMissing


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "[]", "{}", "Welcome!", '{"ok": true}', '{"ok": 5}', '{"ok": []}', '{"ok": "yes"}', '{"error": "no"}',
        '{"error": {"kind": 5}}', '{"ok": {}, "error": null}', '{"ok": {}}\\n{"ok": {}}', "[" * 200_000,
    ],
)  # fmt: skip
def test_what_is_no_answer(text: str) -> None:
    assert parsed(text.encode()) is None


def test_an_answer_that_lacks_something() -> None:
    found = parsed(json.dumps({"ok": {"a": {"b": [{"c": 1}]}}}).encode())
    assert found is not None and found["ok"]["a"]["b"][0]["c"] == 1 and found["ok"].get("x") is None
    for broken in (found["ok"], found["ok"]["a"], found["ok"]["a"]["b"][0]):
        with pytest.raises(BackendMissing, match="no answer: it lacks 'samples_ns'"):
            broken["samples_ns"]


def test_an_error_and_nothing_done_are_answers() -> None:
    assert parsed(b'{"ok": null}') == {"ok": None}
    assert parsed(b'{"error": {"kind": "missing", "message": "numpy"}}') is not None


def test_a_process_that_died_leaves_its_last_lines() -> None:
    said = "".join(f"line {number}\n\n" for number in range(100)) + "sqlite://me:secret@host/db\n"
    error = death(LocalLink(), "onnxruntime", Done(-11, b"", said))
    assert len(error.log) == LOG_LINES and error.log[-2] == "line 99" and "secret" not in error.log[-1]
