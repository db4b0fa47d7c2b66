"""Files by the hash of their content: what is sent, what arrives, and what is found where it lies."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.sweeps.fleet import files
from edgekit.sweeps.fleet.files import Entry, Files, Parcel, parcel, pieces
from edgekit.util.files import file_sha256


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "given" / "images"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"one")
    (folder / "2.png").write_bytes(b"two" * 10)
    (folder / "empty.txt").touch()
    (folder / ".hidden").write_text("not sent")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Files:
    """What a worker holds."""
    (tmp_path / "there").mkdir()
    return Files(tmp_path / "there")


def elsewhere(one: Parcel, tmp_path: Path) -> Parcel:
    """The same for a machine on which the sender's path leads to nothing."""
    return replace(one, path=str(tmp_path / "nowhere" / Path(one.path).name))


def send(one: Parcel, to: Files, away: Parcel) -> None:
    for sha256 in to.lacking([away]):
        path = one.source(sha256)
        for offset, piece in pieces(path):
            to.put(sha256, "sender", offset, piece, offset + len(piece) >= path.stat().st_size)


@pytest.mark.parametrize("size", [4, 1000])
def test_a_folder_arrives_in_pieces_with_its_name(
    images: Path, there: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(files, "PIECE", size)
    one = parcel(images)
    assert one.names == {"2.png", "cat/1.png", "empty.txt"}
    away = elsewhere(one, tmp_path)
    send(one, there, away)
    assert there.lacking([away]) == []
    place = there.place(away)
    assert place.name == "images" and there.place(away) == place
    assert {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()} == {
        "2.png": b"two" * 10, "cat/1.png": b"one", "empty.txt": b"",
    }  # fmt: skip


def test_a_file_comes_with_what_belongs_to_it(tmp_path: Path, there: Files) -> None:
    for name, text in (("a.onnx", "network"), ("a.onnx.data", "weights"), ("b.onnx", "another")):
        (tmp_path / name).write_text(text)
    one = parcel(tmp_path / "a.onnx", [tmp_path / "a.onnx.data"])
    away = elsewhere(one, tmp_path)
    send(one, there, away)
    place = there.place(away)
    assert place.read_text() == "network" and place.with_name("a.onnx.data").read_text() == "weights"
    assert len(list(place.parent.iterdir())) == 2


def test_the_same_bytes_under_the_same_path_need_not_travel(images: Path, there: Files) -> None:
    one = parcel(images)
    assert there.lacking([one]) == [] and there.place(one) == images
    (images / "3.png").write_bytes(b"three")
    assert len(there.lacking([one])) == 3, "one image more there would be read, too"
    (images / "3.png").unlink()
    (images / "2.png").write_bytes(b"owt" * 10)
    assert len(there.lacking([one])) == 3


def test_what_was_asked_for_longest_ago_makes_room_for_more_and_nothing_that_is_in_use(
    there: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "KEPT_BYTES", 250)
    here, away = [], []
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 100)
        here.append(parcel(tmp_path / name))
        away.append(elsewhere(here[-1], tmp_path))

    def kept() -> str:
        content = there.folder / "content"
        assert len(list((there.folder / "parcels").iterdir())) == len(list(content.iterdir()))
        return "".join(sorted(path.read_text()[0] for path in content.iterdir()))

    def use(index: int) -> None:
        send(here[index], there, away[index])
        with there.using(away[index]) as (path,):
            assert path.read_bytes() == (tmp_path / "abc"[index]).read_bytes()

    send(here[0], there, away[0])
    with there.using(away[0]) as (first,):
        use(1)
        use(2)
        assert kept() == "abc"  # each was asked for a moment ago
        monkeypatch.setattr(files, "KEPT_SECONDS", 0.0)
        use(2)
        assert kept() == "ac" and first.read_bytes() == b"a" * 100
        use(1)
        assert kept() == "ab"
    use(2)
    assert kept() == "bc"
    with monkeypatch.context() as patched:
        patched.setattr("edgekit.sweeps.fleet.files.shutil.rmtree", _half)
        use(0)  # is done, although nothing makes room for it
    use(1)


def _half(path: Path, ignore_errors: bool) -> None:
    """Remove the files of a folder, and no more."""
    for one in filter(Path.is_file, path.rglob("*")):
        one.unlink()


def test_what_arrives_as_something_else_is_refused_and_gone(there: Files) -> None:
    sha256 = "0" * 64
    with pytest.raises(EnvironmentRefused, match="sha256 differs"):
        there.put(sha256, "sender", 0, b"something", True)
    assert not list((there.folder / "coming").iterdir()) and not list((there.folder / "content").iterdir())


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../out"])
def test_no_name_leads_out_of_the_folder(there: Files, tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(b"x")
    sha256 = file_sha256(tmp_path / "x")
    there.put(sha256, "sender", 0, b"x", True)
    with pytest.raises(UsageError, match="leads out"):
        there.place(Parcel("/nowhere/f", "", (Entry(name, sha256, 1),)))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        parcel(tmp_path / "missing")
    shutil.rmtree(tmp_path)
