"""A change of a device is made whole, or not at all once it was undone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.bench.links.base import FOLDER
from edgekit.bench.ondevice.run_detached import unstoppable
from edgekit.bench.ondevice.session import MARK


def test_nothing_is_changed_that_nobody_would_undo(tmp_path: Path) -> None:
    change = [sys.executable, "-c", f"open({str(tmp_path / 'changed')!r}, 'w')"]
    assert unstoppable(tmp_path, change) == 1 and not (tmp_path / "changed").exists()
    (tmp_path / "undo.json").write_text("{}")
    assert unstoppable(tmp_path, change) == 0 and (tmp_path / "changed").exists()


def test_a_session_that_is_gone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unstoppable(tmp_path / "gone", ["true"]) == 127 and "gone" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 3])
def test_it_runs_without_the_mark_and_what_it_says_comes_back(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undo.json").write_text("{}")
    monkeypatch.setenv(MARK, "session")
    script = f"import os, sys; print(sys.stdin.read(), os.environ.get({MARK!r})); sys.exit({code})"
    command = [sys.executable, str(FOLDER), "run_detached", str(tmp_path), sys.executable, "-c", script]
    done = subprocess.run(command, input="yes", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (code, "yes None\n", "")
