"""Writing files: all or nothing, and the machine's refusals under their own codes."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.files import drafting, environment, make_folder, publish, write_atomically


def test_a_draft_is_gone_when_something_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), drafting(tmp_path, "a.bin") as draft:
        draft.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_published_draft_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with drafting(tmp_path, "a.bin") as draft:
        draft.write_bytes(b"new")
        publish(draft, target)
    assert target.read_bytes() == b"new" and [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_writing_atomically_leaves_no_other_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", b"{}")
    write_atomically(tmp_path / "a.json", b"[]")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.json": b"[]"}


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, known in (("a.json", b"old"), ("new.json", None)):
        target, link = tmp_path / "there" / name, tmp_path / name
        if known:
            target.write_bytes(known)
        link.symlink_to(target)
        write_atomically(link, b"{}")
        assert link.is_symlink() and target.read_bytes() == b"{}"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["a.json", "new.json"]


def test_what_is_no_file_is_written_through(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(tmp_path / "link", b"{}")
    reader.join(20)
    assert found == [b"{}"] and stat.S_ISFIFO(pipe.stat().st_mode) and (tmp_path / "link").is_symlink()
    (tmp_path / "null").symlink_to("/dev/null")
    write_atomically(tmp_path / "null", b"{}")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)
    with pytest.raises(UsageError, match="in the way"):
        write_atomically(tmp_path, b"{}")


def test_a_file_in_the_way_is_the_users_to_move(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="in the way"):
            make_folder(folder)


def test_a_full_disk_is_the_environments() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(EnvironmentRefused, match="no space"), environment(full), full.open("wb", buffering=0) as stream:
        stream.write(b"x")
