"""Stores of older versions: read as they are, and brought up to date when they are written to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from edgekit.storage import finding
from edgekit.storage.schema import INDEXES, MIGRATIONS, SCHEMA_VERSION
from edgekit.storage.store import Store
from tests.storage.older import old_store, version
from tests.storage.records import failed, measurement


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
