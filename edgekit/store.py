"""The store: an append-only database of measurements and accuracies, at a SQLAlchemy URL.

Each record is one row: a few columns to look for, and the whole record as JSON. SQLite by default; nothing here is
particular to it but the settings of its connection. SQLAlchemy is imported when a store is opened, not before.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from edgekit.errors import BackendMissing, EnvironmentRefused, UsageError
from edgekit.measurement import RECORD_VERSION, Accuracy, Measurement

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData

SCHEMA_VERSION = 1
DEFAULT_URL = "sqlite:///./edgekit.db"
WAIT_SECONDS = 30.0  # for another writer

Record = TypeVar("Record", bound=BaseModel)


def new_id() -> str:
    """A name for a record, 12 hex digits."""
    return uuid.uuid4().hex[:12]


def now() -> str:
    """The time, UTC, as ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def open_store(url: str | None = None) -> Store:
    """The store at `url`, else at $EDGEKIT_STORE, else ./edgekit.db; a bare path is a SQLite file."""
    return Store(url or os.environ.get("EDGEKIT_STORE") or DEFAULT_URL)


@cache
def _tables() -> MetaData:
    from sqlalchemy import Column, Integer, MetaData, String, Table, Text

    tables = MetaData()
    Table("edgekit_schema", tables, Column("version", Integer, primary_key=True, autoincrement=False))
    for name in ("measurements", "accuracies"):
        Table(
            name,
            tables,
            Column("position", Integer, primary_key=True, autoincrement=True),
            Column("id", String(32), nullable=False, unique=True),
            Column("created", String(40), nullable=False),
            Column("sha256", String(64), nullable=False, index=True),
            Column("device", String(200), nullable=False),
            Column("runtime", String(80), nullable=False),
            Column("version", Integer, nullable=False),
            Column("payload", Text, nullable=False),
        )
    return tables


class Store:
    """Records in the order in which they were appended. Nothing is opened before the first call."""

    def __init__(self, url: str, wait_seconds: float = WAIT_SECONDS) -> None:
        self.url = url if "://" in url else f"sqlite:///{url}"
        self._wait_seconds = wait_seconds
        self._engine: Engine | None = None

    def append(self, record: Measurement | Accuracy) -> None:
        """Add one record; it is on the disk when this returns.

        Raises EnvironmentRefused where the store is locked, read-only or full, UsageError where it is no store of ours.
        """
        name = "measurements" if isinstance(record, Measurement) else "accuracies"
        columns = ("id", "created", "sha256", "device", "runtime", "version")
        values = {column: getattr(record, column) for column in columns}
        with self._connection(writes=True) as connection:
            connection.execute(_tables().tables[name].insert(), {**values, "payload": record.model_dump_json()})

    def check(self) -> None:
        """Make the store if it is missing, and see that it can be written: asked before a long measurement."""
        with self._connection(writes=True) as connection:
            schema = _tables().tables["edgekit_schema"]
            connection.execute(schema.delete().where(schema.c.version < 0))  # a write that changes nothing

    def measurements(self) -> list[Measurement]:
        """All measurements, oldest first; none where there is no store yet."""
        return self._all("measurements", Measurement)

    def accuracies(self) -> list[Accuracy]:
        """All accuracies, oldest first; none where there is no store yet."""
        return self._all("accuracies", Accuracy)

    def _all(self, name: str, kind: type[Record]) -> list[Record]:
        if self._file and not self._file.exists():
            return []
        from sqlalchemy import select

        table = _tables().tables[name]
        with self._connection() as connection:
            rows = connection.execute(select(table.c.id, table.c.version, table.c.payload).order_by(table.c.position))
            return [self._read(kind, *row) for row in rows]

    def _read(self, kind: type[Record], identity: str, version: int, payload: str) -> Record:
        if version > RECORD_VERSION:
            raise UsageError(
                f"record {identity} in {self.url} has version {version}; this edgekit reads {RECORD_VERSION}",
                "use a newer edgekit, or another --store",
            )
        try:
            return kind.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(
                f"record {identity} in {self.url} is broken at '{where}': {first['msg']}", "use another --store"
            ) from error

    @property
    def _file(self) -> Path | None:
        """The SQLite file, or None for a server and for SQLite's own URIs."""
        name = self.url.partition("sqlite:///")[2] if self.url.startswith("sqlite:///") else ""
        return Path(name) if name and not name.startswith((":memory:", "file:")) else None

    @contextmanager
    def _connection(self, writes: bool = False) -> Iterator[Connection]:
        with self._told():
            if self._engine is None:
                engine = self._connect()
                _prepare(engine, self.url, writes)
                self._engine = engine
            with self._engine.begin() as connection:
                yield connection

    def _connect(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        if self._file and not self._file.parent.is_dir():
            raise UsageError(
                f"there is no folder {self._file.parent} for the store", "make it, or choose --store elsewhere"
            )
        if self._file and self._file.is_dir():
            raise UsageError(
                f"the store {self._file} is a folder", "give a file, for example --store sqlite:///edgekit.db"
            )
        if not self.url.startswith("sqlite:///") or ":memory:" in self.url:
            return create_engine(self.url)
        # A connection for each transaction: none is held while a measurement runs, and forks inherit none.
        return create_engine(self.url, poolclass=NullPool, connect_args={"timeout": self._wait_seconds})

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a database says into an error of ours."""
        from sqlalchemy import exc

        try:
            yield
        except (exc.ArgumentError, exc.NoSuchModuleError) as error:
            raise UsageError(f"'{self.url}' is no database URL", "write for example sqlite:///./edgekit.db") from error
        except ModuleNotFoundError as error:
            raise BackendMissing(f"{self.url} needs the package {error.name}", f"pip install {error.name}") from error
        except exc.DBAPIError as error:
            raise _refusal(str(error.orig), self.url) from error


def _prepare(engine: Engine, url: str, writes: bool) -> None:
    """Make the tables that are missing (when `writes`), and refuse a schema that is newer than ours."""
    from sqlalchemy import exc, inspect, select
    from sqlalchemy.schema import CreateIndex, CreateTable

    tables = _tables()
    schema = tables.tables["edgekit_schema"]
    known = set(inspect(engine).get_table_names())
    if not set(tables.tables) <= known and (writes or not known):
        with engine.begin() as connection:
            for table in tables.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
    with engine.begin() as connection:
        version = connection.execute(select(schema.c.version)).scalar()
    if version is None:
        try:
            with engine.begin() as connection:
                connection.execute(schema.insert(), {"version": SCHEMA_VERSION})
        except exc.IntegrityError:  # another process was quicker
            return
    elif version > SCHEMA_VERSION:
        raise UsageError(
            f"the store {url} has schema version {version}; this edgekit reads {SCHEMA_VERSION}",
            "use a newer edgekit, or another --store",
        )


def _refusal(cause: str, url: str) -> UsageError | EnvironmentRefused:
    text = cause.lower()
    if "not a database" in text or "malformed" in text or "no such table" in text or "no such column" in text:
        return UsageError(
            f"{url} is damaged or is no store of edgekit: {cause}", "restore it, or choose another --store"
        )
    if "locked" in text:
        return EnvironmentRefused(
            f"the store {url} is locked by another process", "wait for it, or choose another --store"
        )
    if "readonly" in text or "read-only" in text:
        return EnvironmentRefused(f"the store {url} cannot be written: {cause}", "choose --store elsewhere")
    if "full" in text or "disk i/o" in text:
        return EnvironmentRefused(f"no space to write {url}: {cause}", "free some space, or choose --store elsewhere")
    return EnvironmentRefused(
        f"the store {url} cannot be used: {cause}", "check it and its permissions, or choose --store elsewhere"
    )
