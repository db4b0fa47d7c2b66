"""The actions of the verb `store`: what is shown, copied and removed, and what stays."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import EdgekitError, UsageError
from edgekit.records.breakdown import Breakdown
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy
from edgekit.storage import command
from edgekit.storage.command import Exported, Listed, Removed, Shown
from edgekit.storage.command import store as verb
from edgekit.storage.store import Store
from tests.storage.older import old_store, version
from tests.storage.records import accuracy, failed
from tests.storage.test_looking import IDS, records


def others() -> tuple[Accuracy, FailedCell]:
    """An accuracy and a failure, with ids that begin like no other's."""
    return accuracy().model_copy(update={"id": "dd0000000001"}), failed().model_copy(update={"id": "ee0000000001"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with four measurements, an accuracy and a failure."""
    made = Store(str(tmp_path / "store.db"))
    made.append(*records(), *others())
    return made


def ids(path: Path, table: str) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {id for (id,) in connection.execute(f"SELECT id FROM {table}")}
    connection.close()
    return found


def test_a_list_has_every_kind(store: Store) -> None:
    listed = verb("list", store=store.url)
    assert isinstance(listed, Listed)
    assert sorted(one.kind for one in listed.records) == ["accuracies", "failures", *["measurements"] * 4]
    assert listed.to_json()["records"][0]["id"] == IDS[0]


def test_a_record_is_shown_whole_with_its_samples_summed_up(store: Store) -> None:
    shown = verb("show", IDS[0], store=store.url)
    assert isinstance(shown, Shown)
    first = records()[0]
    assert (shown.kind, shown.record["id"], shown.record["sha256"]) == ("measurements", IDS[0], first.sha256)
    samples = first.runs[0].samples_ns
    assert shown.record["runs"][0]["samples_ns"]["count"] == len(samples)
    assert shown.record["runs"][0]["samples_ns"]["max"] == max(samples)
    of_images = verb("show", store.accuracies()[0].id, store=store.url)
    assert isinstance(of_images, Shown) and "hits" not in of_images.record and of_images.record["correct1"] == 1
    lost = Breakdown(counts=((0, 0, 1), (0, 1, 2)), names={}, confusions=(), mistakes=(), confidence=None)
    store.append(accuracy().model_copy(update={"id": "dd0000000002", "breakdown": lost}))
    of_classes = verb("show", "dd0000000002", store=store.url)
    assert isinstance(of_classes, Shown) and of_classes.record["breakdown"] == {"weakest class": "0, 33.3 % of 3"}


def test_what_is_exported_is_merged_whole(store: Store, tmp_path: Path) -> None:
    file, into = tmp_path / "some #1?%20.db", Store(str(tmp_path / "into.db"))
    exported = verb("export", file, store=store.url)
    assert isinstance(exported, Exported)
    assert exported.exported == {"measurements": 4, "accuracies": 1, "failures": 1}
    assert verb("merge", file, store=into.url).added == exported.exported
    assert (into.measurements(), into.accuracies(), into.failures()) == (
        store.measurements(), store.accuracies(), store.failures(),
    )  # fmt: skip
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("words", "wanted", "found"),
    [(["bb", IDS[0]], {}, {IDS[0], IDS[2]}), ([], {"device": "pi5"}, {IDS[2], IDS[3]})],
)
def test_some_are_exported(
    store: Store, tmp_path: Path, words: list[str], wanted: dict[str, Any], found: set[str]
) -> None:
    verb("export", *words, tmp_path / "some.db", store=store.url, **wanted)
    assert ids(tmp_path / "some.db", "measurements") == found
    assert ids(tmp_path / "some.db", "accuracies") == set()


def test_an_export_that_fails_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise UsageError("in the middle", "no remedy")

    monkeypatch.setattr(command, "insert", broken)
    with pytest.raises(UsageError, match="in the middle"):
        verb("export", tmp_path / "some.db", store=store.url)
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_nothing_is_removed_without_a_yes(store: Store, tmp_path: Path) -> None:
    before = (tmp_path / "store.db").read_bytes()
    removed = verb("rm", "aa0000000001", store=store.url)
    assert isinstance(removed, Removed) and removed.dry_run and [one.id for one in removed.records] == [IDS[0]]
    assert (tmp_path / "store.db").read_bytes() == before


@pytest.mark.parametrize("is_older", [False, True])
def test_what_is_removed_is_gone_with_its_samples_and_summary(tmp_path: Path, is_older: bool) -> None:
    path = tmp_path / "store.db"
    made = old_store(path, *records()) if is_older else Store(str(path))
    if is_older:
        verb("rm", "bb", store=made.url)
        assert version(path) == 1, "a dry run brought it up to date"
    else:
        made.append(*records(), *others())
    removed = verb("rm", "bb", IDS[0], store=made.url, yes=True)
    assert isinstance(removed, Removed) and not removed.dry_run
    for table in ("measurements", "summaries", *(() if is_older else ("samples",))):
        assert ids(path, table) == {IDS[1], IDS[3]}
    assert len(ids(path, "accuracies")) == len(ids(path, "failures")) == (0 if is_older else 1)
    assert [one.id for one in made.measurements()] == [IDS[1], IDS[3]]


def test_filters_remove_every_kind_that_fits(store: Store, tmp_path: Path) -> None:
    verb("rm", store=store.url, device="local", yes=True)
    assert ids(tmp_path / "store.db", "measurements") == {IDS[2], IDS[3]}
    assert ids(tmp_path / "store.db", "accuracies") == ids(tmp_path / "store.db", "failures") == set()


@pytest.mark.parametrize(
    ("words", "wanted", "cause"),
    [
        (["lst"], {}, "did you mean 'list'"),
        (["list", "aa"], {}, "takes nothing more"),
        (["show"], {}, "takes one word more"),
        (["show", "aa", "bb"], {}, "takes one word more"),
        (["show", "aa"], {}, "is the beginning of 2 ids"),
        (["show", "aa"], {"latest": 1}, "takes no filters"),
        (["show", "ff"], {}, "no record of"),
        (["export"], {}, "takes one word more"),
        (["export", "store.db"], {}, "is there already"),
        (["export", "none/some.db"], {}, "there is no folder none"),
        (["export", "some.db"], {"device": "none"}, "no record of .* fits"),
        (["export", IDS[0]], {}, "names a record, and no file"),
        (["export", "aa", "some.db"], {"latest": 1}, "ids and filters"),
        (["merge", "some.db"], {"yes": True}, "nothing to confirm"),
        (["rm"], {}, "was not told which records"),
        (["rm"], {"yes": True}, "was not told which records"),
        (["rm", "bb"], {"device": "pi5", "yes": True}, "ids and filters"),
        (["rm", "bb", "ff"], {"yes": True}, "no record of"),
    ],
)
def test_what_is_refused_changes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], wanted: dict[str, Any], cause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(UsageError, match=cause) as caught:
        verb(*words, store=store.url, **wanted)
    refusal: EdgekitError = caught.value
    assert refusal.exit_code == 2 and refusal.remedy and "\n" not in refusal.message
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    assert (tmp_path / "store.db").read_bytes() == before
