"""Writing files: all or nothing, and the machine's refusals under their own codes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.util import files
from edgekit.util.files import content, drafting, environment, locked, make_folder, publish, stamp, write_atomically
from tests.kills import killed_at
from tests.waiting import PATIENCE


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
    reader.join(PATIENCE)
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


def _next_process() -> None:
    """Forget what this one looked at, as a new process would not know it."""
    files._remove_left_drafts.cache_clear()


@pytest.mark.parametrize("work", ["write_atomically", "drafting"])
def test_a_draft_of_a_killed_process_is_removed_by_the_next_one_and_a_living_ones_is_not(
    work: str, tmp_path: Path
) -> None:
    def write() -> None:
        if work == "write_atomically":
            write_atomically(tmp_path / "b.json", b"{}")
            return
        with drafting(tmp_path, "a.bin") as draft:
            draft.write_bytes(b"half")
            publish(draft, tmp_path / "a.bin")

    with drafting(tmp_path, "living.bin") as living:
        living.write_bytes(b"mine")
        step = left = 0
        while killed_at(step, write):
            left += len(list(tmp_path.glob(".edgekit-*"))) > 1
            _next_process()
            write_atomically(tmp_path / "c.json", b"{}")
            assert list(tmp_path.glob(".edgekit-*")) == [living.parent] and living.read_bytes() == b"mine"
            step += 1
        assert left > 2  # some kills do leave a draft
    assert not list(tmp_path.glob(".edgekit-*"))


def test_only_drafts_are_removed(tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    (tmp_path / ".edgekit-draft-1-x").symlink_to(kept)
    (tmp_path / ".edgekit-draft-2").write_bytes(b"a file of that name")
    (tmp_path / ".edgekit-older").mkdir()
    _next_process()
    write_atomically(tmp_path / "a.json", b"{}")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"elsewhere", ".edgekit-draft-1-x", ".edgekit-draft-2", ".edgekit-older", "a.json"}
    assert not list(kept.iterdir())


def test_a_file_system_without_locks_keeps_what_nobody_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".edgekit-draft-1-x"
    left.mkdir()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    _next_process()
    write_atomically(tmp_path / "a.json", b"{}")
    assert (tmp_path / "a.json").read_bytes() == b"{}" and left.is_dir()


def test_an_interrupt_while_a_draft_is_locked_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fcntl.flock", interrupt)
    with pytest.raises(KeyboardInterrupt), drafting(tmp_path, "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_alone_or_shared_and_ends_with_its_holder(tmp_path: Path) -> None:
    waited: list[str] = []
    with locked(tmp_path / "lock", shared=True), locked(tmp_path / "lock", shared=True):
        pass
    holder = threading.Event()

    def hold() -> None:
        with locked(tmp_path / "lock"):
            holder.set()
            while not waited:
                time.sleep(0.01)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    holder.wait(PATIENCE)
    with locked(tmp_path / "lock", shared=True, waiting=lambda: waited.append("once")):
        assert waited == ["once"]
    thread.join(PATIENCE)


def _folder(path: Path, **texts: str) -> Path:
    (path / "parts").mkdir(parents=True)
    for name, text in texts.items():
        (path / "parts" / name).write_text(text)
    return path


def test_the_digest_of_a_folder_is_that_of_its_names_and_bytes_wherever_it_lies(tmp_path: Path) -> None:
    first = _folder(tmp_path / "a", x="one", y="two")
    expected = hashlib.sha256()
    for name, text in (("parts/x", b"one"), ("parts/y", b"two")):
        expected.update(f"{name}\0{hashlib.sha256(text).hexdigest()}\n".encode())
    assert (content(first).sha256, content(first).bytes) == (expected.hexdigest(), 6)
    others = [_folder(tmp_path / "b", x="two", y="one"), _folder(tmp_path / "c", x="one", z="two")]
    assert len({content(one).sha256 for one in (first, *others)}) == 3
    assert content(_folder(tmp_path / "d", y="two", x="one")).sha256 == content(first).sha256


def test_the_stamp_of_a_folder_tells_that_one_of_its_files_was_written(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", x="one", y="two")
    before = stamp(folder)
    assert stamp(folder) == before
    (folder / "parts" / "x").write_text("three")
    assert stamp(folder) != before


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_published_folder_takes_the_place_of_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    target = _folder(tmp_path / "a", x="old", left="over")
    with drafting(tmp_path, "a") as draft:
        publish(_folder(draft, x="new"), target)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert {path.name: path.read_text() for path in (target / "parts").iterdir()} == {"x": "new"}


def test_a_file_where_a_folder_is_to_go_is_the_users_to_move(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with drafting(tmp_path, "a") as draft, pytest.raises(UsageError, match="in the way"):
        publish(_folder(draft, x="new"), tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"
