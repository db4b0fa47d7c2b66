"""What is written down about finished steps, and who may use a device meanwhile."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused
from edgekit.sweeps.journal import Journal, device


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def test_what_is_forgotten_is_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.forget("failed", "ab")
    journal.put("failed", "ab", {}, attempts=1)
    journal.forget("failed", "ab")
    assert journal.get("failed", "ab") is None


def test_an_entry_is_whole_or_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.get("file", "ab") is None and not (tmp_path / ".sweep").exists()
    journal.put("file", "ab", {"why": 1}, path="x.onnx")
    entry = journal.get("file", "ab")
    assert entry is not None and entry["path"] == "x.onnx" and journal.get("latency", "ab") is None
    path = tmp_path / ".sweep" / "file-ab.json"
    for broken in ("", "[]", "{", '{"path": 1}', '{"at": "soon"}'):
        path.write_text(broken)
        assert journal.get("file", "ab") is None


def test_the_newest_entry_of_a_kind_is_the_one_written_last(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.newest("latency") is None
    for age, key in enumerate(("ab", "cd", "ef")):
        journal.put("latency" if key != "ef" else "file", key, {}, id=key)
        os.utime(tmp_path / ".sweep" / f"{'latency' if key != 'ef' else 'file'}-{key}.json", (age, age))
    newest = journal.newest("latency")
    assert newest is not None and newest["id"] == "cd"
    assert Journal(tmp_path, since=time.time() + 60).newest("latency") is None


def test_what_is_older_than_the_sweep_does_not_count(tmp_path: Path) -> None:
    Journal(tmp_path).put("file", "ab", {})
    assert Journal(tmp_path, since=time.time() + 60).get("file", "ab") is None
    assert Journal(tmp_path, since=time.time() - 60).get("file", "ab") is not None


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_a_device_that_measures_does_nothing_else(first: bool, second: bool) -> None:
    said: list[str] = []
    order: list[str] = []

    def other() -> None:
        with device("local", measuring=second, waiting=lambda: said.append("waiting")):
            order.append("second")

    with device("local", measuring=first):
        thread = threading.Thread(target=other)
        thread.start()
        while not said:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_without_a_home_locks_are_in_a_folder_of_our_own_among_the_temporary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("no folder")
    monkeypatch.delenv("EDGEKIT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / f"edgekit-{os.getuid()}"
    with device("local", True):
        assert own.stat().st_mode & 0o777 == 0o700 and list(own.glob("device-*"))
    own.rename(tmp_path / "elsewhere")
    own.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentRefused, match="somebody else's") as caught, device("local", True):
        pass
    assert "EDGEKIT_CACHE" in caught.value.remedy


def test_a_cache_that_was_named_and_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentRefused, match="no lock for the device") as caught, device("local", True):
        pass
    assert "EDGEKIT_CACHE" in caught.value.remedy


def test_exports_share_a_device_and_other_devices_are_free() -> None:
    def never() -> None:
        raise AssertionError("it waits")

    with device("local", False), device("local", False, never), device("pixel-8", True), device("orin", True, never):
        pass
