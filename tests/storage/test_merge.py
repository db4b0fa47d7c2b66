"""Older stores that become newer ones, and a colleague's store that is brought in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement, Memory, ProcessRun, Protocol
from edgekit.records.record import new_id, now
from edgekit.storage import finding
from edgekit.storage.command import store as verb
from edgekit.storage.schema import INDEXES, MIGRATIONS, SCHEMA_VERSION
from edgekit.storage.store import Store

# What version 1 of edgekit's schema made, word for word.
VERSION_1 = """
CREATE TABLE edgekit_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE measurements (position INTEGER NOT NULL, id VARCHAR(32) NOT NULL, created VARCHAR(40) NOT NULL,
 sha256 VARCHAR(64) NOT NULL, device VARCHAR(200) NOT NULL, runtime VARCHAR(80) NOT NULL, version INTEGER NOT NULL,
 payload TEXT NOT NULL, PRIMARY KEY (position), UNIQUE (id));
CREATE INDEX ix_measurements_sha256 ON measurements (sha256);
CREATE TABLE accuracies (position INTEGER NOT NULL, id VARCHAR(32) NOT NULL, created VARCHAR(40) NOT NULL,
 sha256 VARCHAR(64) NOT NULL, device VARCHAR(200) NOT NULL, runtime VARCHAR(80) NOT NULL, version INTEGER NOT NULL,
 payload TEXT NOT NULL, PRIMARY KEY (position), UNIQUE (id));
CREATE INDEX ix_accuracies_sha256 ON accuracies (sha256);
INSERT INTO edgekit_schema VALUES (1);
"""


def measurement(artifact: str = "x.onnx") -> Measurement:
    run = ProcessRun(samples_ns=(1, 2, 3), warmup_ns=(4,), load_ns=5, first_ns=6, wall_ns=7)
    memory = Memory(peak_bytes=None, baseline_bytes=8, method="none", reason="not asked")
    return Measurement(
        id=new_id(), created=now(), artifact=artifact, sha256="00", bytes=9, format="onnx", manifest=None,
        device="local", runtime="null", protocol=Protocol(), runs=(run,), memory=memory, found={"threads": 1},
    )  # fmt: skip


def accuracy() -> Accuracy:
    return Accuracy(
        id=new_id(), created=now(), artifact="x.onnx", sha256="00", format="onnx", manifest=None, device="local",
        runtime="null", dataset="images", dataset_hash="11", n=3, correct1=1, correct5=2, hits="15-",
        images_per_second=2.5,
    )  # fmt: skip


def failed(reason: str = "no weights") -> FailedCell:
    return FailedCell(
        id=new_id(), created=now(), variant="net_1.0_224", format="onnx", precision="int8", device="local",
        code="usage", reason=reason, remedy="give some",
    )  # fmt: skip


def old_store(path: Path, *records: Measurement) -> Store:
    """A store as version 1 left it."""
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        for record in records:
            values = (record.id, record.created, record.sha256, record.device, record.runtime, record.version)
            connection.execute(
                "INSERT INTO measurements (id, created, sha256, device, runtime, version, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, record.model_dump_json()),
            )
    connection.close()
    return Store(f"sqlite:///{path}")


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        found: int = connection.execute("SELECT version FROM edgekit_schema").fetchone()[0]
    connection.close()
    return found


def test_every_version_has_a_step_to_it() -> None:
    assert sorted(MIGRATIONS) == list(range(2, SCHEMA_VERSION + 1))


def test_an_older_store_is_read_as_it_is_and_brought_up_to_date_when_written(tmp_path: Path) -> None:
    path, first = tmp_path / "old.db", measurement()
    store = old_store(path, first)
    before = path.read_bytes()
    assert (store.measurements(), store.failures()) == ([first], [])
    assert path.read_bytes() == before, "reading changed it"
    second = failed()
    store.append(second)
    assert version(path) == SCHEMA_VERSION
    assert (Store(store.url).measurements(), Store(store.url).failures()) == ([first], [second])


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, first = tmp_path / "old.db", measurement()
    store = old_store(path, first)

    whole = MIGRATIONS[2]

    def broken(connection: Any) -> None:
        whole(connection)
        raise RuntimeError("in the middle")

    monkeypatch.setitem(cast(dict[int, Any], MIGRATIONS), 2, broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        store.append(failed())
    monkeypatch.undo()
    assert version(path) == 1
    with sqlite3.connect(path) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert "failures" not in tables
    Store(store.url).append(failed())
    assert version(path) == SCHEMA_VERSION


def test_a_store_of_the_version_before_gets_its_new_column(tmp_path: Path) -> None:
    path, first, second = tmp_path / "a.db", measurement(), measurement("y.onnx")
    store = Store(f"sqlite:///{path}")
    store.append(first)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE summaries DROP COLUMN sustained_seconds")
        connection.execute("UPDATE edgekit_schema SET version = 4")
    connection.close()
    assert [one.artifact for one in finding.all_of(Store(store.url))] == ["x.onnx"]  # read as it is
    Store(store.url).append(second)
    assert version(path) == SCHEMA_VERSION
    assert [one.sustained_seconds for one in finding.all_of(Store(store.url))] == [None, None]


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


def test_a_store_without_the_newest_indexes_is_read_by_its_summaries_and_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store(str(path)).append(measurement())
    with closing(sqlite3.connect(path)) as connection:
        for name in INDEXES:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("UPDATE edgekit_schema SET version = 5")
        connection.commit()
    opened = Store(str(path))
    with opened.connection() as (_, known):
        assert "summaries" in known and version(path) == 5
    opened.append(measurement())
    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert set(INDEXES) <= names and version(path) == SCHEMA_VERSION
