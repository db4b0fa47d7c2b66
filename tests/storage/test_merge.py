"""Older stores that become newer ones, and a colleague's store that is brought in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.storage.command import store as verb
from edgekit.storage.store import Store
from tests.storage.older import old_store, version
from tests.storage.records import accuracy, failed, measurement


def test_records_are_found_by_their_names(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db")
    records = [measurement(str(number)) for number in range(3)]
    for record in records:
        store.append(record)
    assert store.measurements([records[2].id, records[0].id, "nothing"]) == [records[0], records[2]]
    assert store.measurements([]) == []
    assert len(store.measurements(["nothing"] * 2000 + [records[1].id])) == 1


def test_a_merge_brings_each_record_once(tmp_path: Path) -> None:
    theirs, ours = Store(f"sqlite:///{tmp_path}/theirs.db"), Store(f"sqlite:///{tmp_path}/ours.db")
    shared, mine = measurement("both"), measurement("mine")
    new = [measurement("a"), measurement("b")]
    for store in (theirs, ours):
        store.append(shared)
    ours.append(mine)
    hit, miss = accuracy(), failed()
    records: list[Measurement | Accuracy | FailedCell] = [*new, hit, miss]
    for record in records:
        theirs.append(record)
    before = (tmp_path / "theirs.db").read_bytes()
    merged = verb("merge", tmp_path / "theirs.db", store=ours.url)
    assert merged.added == {"measurements": 2, "accuracies": 1, "failures": 1}
    assert merged.known == {"measurements": 1, "accuracies": 0, "failures": 0}
    assert ours.measurements() == [shared, mine, *new]
    assert (ours.accuracies(), ours.failures()) == ([hit], [miss])
    again = verb("merge", tmp_path / "theirs.db", store=ours.url)
    assert sum(again.added.values()) == 0 and again.known["measurements"] == 3
    assert ours.measurements() == [shared, mine, *new]
    assert (tmp_path / "theirs.db").read_bytes() == before, "the file that is merged is only read"


def test_an_older_store_can_be_merged_and_stays_old(tmp_path: Path) -> None:
    old_store(tmp_path / "a #1?%20.db", measurement())
    merged = verb("merge", tmp_path / "a #1?%20.db", store=f"sqlite:///{tmp_path}/ours.db")
    assert merged.added["measurements"] == 1
    assert version(tmp_path / "a #1?%20.db") == 1


def test_a_record_that_was_changed_is_told_and_nothing_is_merged(tmp_path: Path) -> None:
    theirs, ours = Store(f"sqlite:///{tmp_path}/theirs.db"), Store(f"sqlite:///{tmp_path}/ours.db")
    record = measurement()
    ours.append(record)
    theirs.append(measurement("new"))
    theirs.append(record.model_copy(update={"device": "elsewhere"}))
    with pytest.raises(UsageError, match=f"{record.id} of .* differs"):
        verb("merge", tmp_path / "theirs.db", store=ours.url)
    assert ours.measurements() == [record]


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "there is no store"), (b"", "is empty"), (b"hello" * 500, "damaged or is no store")],
)
def test_bad_files_to_merge(tmp_path: Path, content: bytes | None, cause: str) -> None:
    path = tmp_path / "theirs.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=cause):
        verb("merge", path, store=f"sqlite:///{tmp_path}/ours.db")


def test_other_databases_newer_stores_and_oneself_are_refused(tmp_path: Path) -> None:
    ours = f"sqlite:///{tmp_path}/ours.db"
    with sqlite3.connect(tmp_path / "cats.db") as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(UsageError, match="no store of edgekit"):
        verb("merge", tmp_path / "cats.db", store=ours)
    Store(ours).append(measurement())
    with pytest.raises(UsageError, match="is the store itself"):
        verb("merge", tmp_path / "ours.db", store=ours)
    with sqlite3.connect(tmp_path / "ours.db") as connection:
        connection.execute("UPDATE edgekit_schema SET version = 99")
    connection.close()
    with pytest.raises(UsageError, match="schema version 99"):
        verb("merge", tmp_path / "ours.db", store=f"sqlite:///{tmp_path}/mine.db")
    with pytest.raises(UsageError, match="did you mean 'merge'"):
        verb("merg", tmp_path / "ours.db", store=ours)


def test_a_locked_store_is_waited_for_and_told(tmp_path: Path) -> None:
    theirs = Store(f"sqlite:///{tmp_path}/theirs.db")
    theirs.append(measurement())
    Store(f"sqlite:///{tmp_path}/ours.db").append(measurement())
    other = sqlite3.connect(tmp_path / "ours.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(EnvironmentRefused, match="locked"):
            Store(f"sqlite:///{tmp_path}/ours.db", wait_seconds=0.1).check()
    finally:
        other.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://ann:se:c/r@t@db/edgekit", "postgresql+psycopg://ann:***@db/edgekit"),
        ("postgresql+psycopg://db/edgekit?user=ann&password=secret&x=1", "postgresql+psycopg://db/edgekit?user=ann&password=***&x=1"),
        ("postgresql+psycopg://ann@db:5432/edgekit", "postgresql+psycopg://ann@db:5432/edgekit"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)  # fmt: skip
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert Store(url).shown == shown
