"""The table of devices on a terminal, and what a pipe gets instead."""

from __future__ import annotations

import io
import os
import re
import shutil

import pytest

from edgekit.cli.live import LiveTable
from edgekit.sweeps.board import Row

ROWS = [
    Row("this machine", "export", "mobilenet_0.5_96, lenet5_32", None),
    Row("pi-1", "measuring", "mobilenet_0.25_96 onnx fp32", 90.0),
    Row("pi-2", "does not answer", None, None),
    Row("pi-3", "idle", None, None),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What is on a screen in the end: only the sequences that the table uses."""
    lines, at = [""], 0
    for part in re.split(r"(\x1b\[\d*[FJK]|\n|\r)", text):
        up = re.fullmatch(r"\x1b\[(\d+)F", part)
        if up:
            at -= int(up[1])
            assert at >= 0, "it goes above where it began"
        elif part == "\x1b[J":
            lines = [*lines[:at], ""]
        elif part == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif part and part not in ("\r", "\x1b[2K"):
            lines[at] = part
    return [line for line in lines if line]


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((60, 8)))


@pytest.mark.usefixtures("sized")
def test_a_terminal_shows_each_device_with_its_job_and_time() -> None:
    stream = Terminal()
    with LiveTable(stream) as live:
        live("exporting", 0, 9)
        live.watch(ROWS[1:3])
        live.watch(ROWS)
        live("exported lenet5_32; about 2 min left", 1, 9)
        shown = screen(stream.getvalue())
    assert shown == [
        "this machine  export           mobilenet_0.5_96, lenet5_32",
        "pi-1          measuring        mobilenet_0.25_96 onnx fp32",
        "pi-2          does not answer",
        "pi-3          idle",
        "exported lenet5_32; about 2 min left  1/9",
    ]
    assert all(len(line) < 60 for line in shown) and screen(stream.getvalue()) == []


@pytest.mark.usefixtures("sized")
def test_where_there_is_no_room_those_that_work_are_shown() -> None:
    stream = Terminal()
    live = LiveTable(stream)
    idle = [Row(f"d{index}", "idle", None, None) for index in range(30)]
    live.watch([*idle, *ROWS[:2]])
    shown = screen(stream.getvalue())
    assert [line.split()[0] for line in shown[:2]] == ["this", "pi-1"] and shown[5] == "and 27 more" and len(shown) == 6


def test_times_are_told_of_jobs_and_of_pauses() -> None:
    stream = Terminal()
    live = LiveTable(stream)
    live.watch([Row("a", "measuring", "x", 90.0), Row("b", "does not answer", None, 4.0)])
    assert "x  about 2 min" in stream.getvalue() and "asked again in 4 s" in stream.getvalue()


def test_a_pipe_gets_lines_and_no_table() -> None:
    stream = io.StringIO()
    with LiveTable(stream) as live:
        live.watch(ROWS)
        live("exported lenet5_32", 1, 9)
    assert stream.getvalue() == "exported lenet5_32  1/9\n"


def test_one_device_needs_no_table_and_no_name_moves_the_cursor() -> None:
    stream = Terminal()
    live = LiveTable(stream)
    live.watch(ROWS[1:2])
    assert stream.getvalue() == ""
    live.watch([Row("a\x1b[9A", "idle", None, None), ROWS[1]])
    assert "\x1b[9A" not in stream.getvalue()
