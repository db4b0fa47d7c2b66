"""One session at a time changes how a device runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.bench.ondevice.device_lock import lock, main


def session(root: Path, name: str) -> Path:
    """The folder of a session on a device."""
    folder = root / "work" / name
    folder.mkdir(parents=True)
    return folder


def test_the_lock_holds_as_long_as_the_folder_of_its_session(tmp_path: Path) -> None:
    one, two = session(tmp_path, "one"), session(tmp_path, "two")
    (one / "owner.json").write_text('{"user": "ada"}')
    assert lock(one) is None and lock(one) is None, "it is its own"
    assert lock(two) == {"user": "ada"}
    (one / "owner.json").write_text("{broken")
    assert lock(two) == {}, "somebody's, and nobody knows whose"
    (one / "owner.json").unlink()
    one.rmdir()
    assert lock(two) is None and lock(two) is None


def test_it_prints_whose_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = session(tmp_path, "one"), session(tmp_path, "two")
    (one / "owner.json").write_text('{"user": "ada"}')
    for folder in (one, two):
        main([str(folder)])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [None, {"user": "ada"}]
