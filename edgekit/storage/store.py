"""The store: an append-only database of measurements, accuracies and failures, at a SQLAlchemy URL.

Each record is one row: a few columns to look for, and the record as JSON. A measurement's samples lie apart, and what
it is found by stands in the columns of `summaries`, so that nothing is read that was not asked for. SQLite by default,
PostgreSQL where a team shares it. SQLAlchemy is imported when a store is opened, not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from edgekit.errors import BackendMissing, EnvironmentRefused, UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.redact import redacted_url, without_password_of
from edgekit.storage.rows import Record, insert, read, selected
from edgekit.storage.schema import prepare, table, tables
from edgekit.util.formatting import escaped

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine

DEFAULT_URL = "sqlite:///./edgekit.db"
WAIT_SECONDS = 30.0  # for another writer
AT_ONCE = 200  # records in memory


AnyRecord = Measurement | Accuracy | FailedCell
# Each table with the kind of its records.
RECORDS: dict[str, type[AnyRecord]] = {
    "measurements": Measurement,
    "accuracies": Accuracy,
    "failures": FailedCell,
}


def open_store(url: str | None = None) -> Store:
    """Return the store at `url`, else at $EDGEKIT_STORE, else ./edgekit.db; a bare path is a SQLite file."""
    return Store(url or os.environ.get("EDGEKIT_STORE") or DEFAULT_URL)


def file_url(path: Path, mode: str) -> str:
    """The URL of a SQLite file with any name, opened as SQLite's `mode` says: ro, rwc to make it, memory for none."""
    quoted = quote(quote(str(path.resolve())))  # for SQLite's URIs, and for SQLAlchemy, which undoes one quoting itself
    return f"sqlite:///file:{quoted}?mode={mode}&uri=true"


class Store:
    """Records in the order in which they were appended. Nothing is opened before the first call."""

    def __init__(self, url: str, wait_seconds: float = WAIT_SECONDS) -> None:
        self.url = url if "://" in url else f"sqlite:///{url}"
        self._wait_seconds = wait_seconds
        self._engine: Engine | None = None
        self._writable = self._is_whole = False  # seen to be, and so for good: no other program takes a table out

    @property
    def shown(self) -> str:
        """The URL for people, without a password; a file that is only read, by its path."""
        if self.url.startswith("sqlite:///file:"):
            return unquote(unquote(self.url.removeprefix("sqlite:///file:").partition("?")[0]))
        return redacted_url(self.url)

    @property
    def shown_in_full(self) -> str:
        """The URL for people, with the absolute path of its file where it leaves the folder open."""
        if self.file is None or self.file.is_absolute():
            return self.shown
        return f"{self.shown}, which is {redacted_url(str(self.file.absolute()))}"

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None for a server and for SQLite's own URIs."""
        name = self.url.partition("sqlite:///")[2] if self.url.startswith("sqlite:///") else ""
        return Path(name) if name and not name.startswith((":memory:", "file:")) else None

    def append(self, *records: AnyRecord) -> None:
        """Add all of these records or none; they are on the disk when this returns.

        Raises EnvironmentRefused where the store is locked, read-only or full, UsageError where it is no store of ours.
        """
        with self.connection(writes=True) as (connection, _):
            for name, kind in RECORDS.items():
                insert(connection, name, (record for record in records if isinstance(record, kind)))

    def check(self) -> None:
        """Make the store if it is missing, and see that it can be written: asked before a long measurement."""
        with self.connection(writes=True) as (connection, _):
            schema = table("edgekit_schema")
            connection.execute(schema.delete().where(schema.c.version < 0))  # a write that changes nothing

    def measurements(self, ids: Sequence[str] | None = None) -> list[Measurement]:
        """Return all measurements, oldest first, or those of `ids`; none where there is no store yet."""
        return list(self.each("measurements", Measurement, ids))

    def accuracies(self, ids: Sequence[str] | None = None) -> list[Accuracy]:
        """Return all accuracies, oldest first, or those of `ids`; none where there is no store yet."""
        return list(self.each("accuracies", Accuracy, ids))

    def failures(self, ids: Sequence[str] | None = None) -> list[FailedCell]:
        """Return all cells that failed, oldest first, or those of `ids`; none where there is no store yet."""
        return list(self.each("failures", FailedCell, ids))

    def each(
        self, name: str, kind: type[Record], values: Sequence[str] | None = None, column: str = "id"
    ) -> Iterator[Record]:
        """Yield the records of a table one after the other, or those with one of these values; a few are in memory."""
        if self.is_missing:
            return
        if values is None:
            yield from self._walk(name, kind)
            return
        for at in range(0, len(values), AT_ONCE):
            some = table(name).c[column].in_(values[at : at + AT_ONCE])
            yield from (read(kind, one[1:], self.shown) for one in self._rows(name, some))

    def _walk(self, name: str, kind: type[Record]) -> Iterator[Record]:
        last = -1
        while some := self._rows(name, table(name).c.position > last, AT_ONCE):
            yield from (read(kind, one[1:], self.shown) for one in some)
            last = some[-1][0]

    def _rows(self, name: str, which: ColumnElement[bool], most: int | None = None) -> Sequence[Any]:
        """Position, id, version, payload and samples of the records that fit."""
        with self.connection() as (connection, known):
            if name not in known:
                return ()
            wanted = selected(name, known).where(which).order_by(table(name).c.position).limit(most)
            return connection.execute(wanted).all()

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there yet."""
        return self.file is not None and not self.file.exists()

    @contextmanager
    def connection(self, writes: bool = False) -> Iterator[tuple[Connection, frozenset[str]]]:
        """A transaction, and the tables that are there; all of them where it `writes`."""
        with self._told():
            if self._engine is None:
                self._engine = self._connect()
            with self._engine.connect().execution_options(edgekit_writes=writes) as connection:
                whole = frozenset(tables().tables)
                if writes and not self._writable:
                    with connection.begin():
                        prepare(connection, self.shown, writes)
                    self._writable = self._is_whole = True
                with connection.begin():
                    known = whole if self._is_whole else prepare(connection, self.shown, False)
                    self._is_whole = known == whole
                    yield connection, known

    def _connect(self) -> Engine:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool, SingletonThreadPool

        if self.file and not self.file.parent.is_dir():
            raise UsageError(
                f"there is no folder {self.file.parent} for the store", "make it, or choose --store elsewhere"
            )
        if self.file and self.file.is_dir():
            raise UsageError(
                f"the store {self.file} is a folder", "give a file, for example --store sqlite:///edgekit.db"
            )
        # A connection for each transaction: none is held while a measurement runs, and forks inherit none.
        # What is in memory alone lasts as long as its connection.
        in_memory = ":memory:" in self.url or "mode=memory" in self.url
        pool = SingletonThreadPool if in_memory else NullPool
        try:
            engine = create_engine(self.url, connect_args=self._settings(), poolclass=pool)
        except ValueError as error:  # a port that is no number
            raise self._no_url() from error
        if "@" in (engine.url.host or ""):
            raise UsageError(f"the password in {self.shown} has an @ of its own", "write it as %40")
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _leave_transactions_to_us)
            event.listen(engine, "begin", _begin)
        return engine

    def _settings(self) -> dict[str, Any]:
        if self.url.startswith("sqlite"):
            return {"timeout": self._wait_seconds}
        if self.url.startswith("postgresql+psycopg"):
            wait = max(1, round(self._wait_seconds))
            return {"connect_timeout": wait, "options": f"-c lock_timeout={wait}s"}
        return {}

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a database says into an error of ours."""
        from sqlalchemy import exc

        try:
            yield
        except (exc.ArgumentError, exc.NoSuchModuleError) as error:
            raise self._no_url() from error
        except ModuleNotFoundError as error:
            extra = "'edgekit[postgresql]'" if (error.name or "").startswith("psycopg") else error.name
            raise BackendMissing(f"{self.shown} needs the package {error.name}", f"pip install {extra}") from error
        except exc.DBAPIError as error:
            raise _refusal(without_password_of(self.url, str(error.orig)), self.shown) from error
        except UnicodeEncodeError as error:
            raise UsageError(
                "a store holds text, and this is none: " + escaped(str(error.object))[:80], "rename it"
            ) from error
        except UnicodeDecodeError as error:  # sqlite3 itself raises it for a name or a cause that is no text
            raise UsageError(f"{self.shown} is damaged: {error}", "restore it, or choose another --store") from error

    def _no_url(self) -> UsageError:
        return UsageError(f"'{self.shown}' is no database URL", "write for example sqlite:///./edgekit.db")


def _leave_transactions_to_us(connection: Any, _: object) -> None:
    """Python's sqlite3 would begin one only before some statements, and none before others."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    """A writer takes its place in the queue at once: waiting works then, and no read before it is out of date."""
    writes = connection.get_execution_options().get("edgekit_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refusal(cause: str, url: str) -> UsageError | EnvironmentRefused:
    text, cause = cause.lower(), " ".join(cause.split())
    if any(sign in text for sign in ("not a database", "malformed", "no such table", "no such column")):
        return UsageError(
            f"{url} is damaged or is no store of edgekit: {cause}", "restore it, or choose another --store"
        )
    if "locked" in text or "lock timeout" in text:
        return EnvironmentRefused(
            f"the store {url} is locked by another process", "wait for it, or choose another --store"
        )
    if "readonly" in text or "read-only" in text or "permission denied" in text:
        return EnvironmentRefused(f"the store {url} cannot be written: {cause}", "choose --store elsewhere")
    if "full" in text or "disk i/o" in text or "no space" in text:
        return EnvironmentRefused(f"no space to write {url}: {cause}", "free some space, or choose --store elsewhere")
    return EnvironmentRefused(
        f"the store {url} cannot be used: {cause}", "check it and its permissions, or choose --store elsewhere"
    )
