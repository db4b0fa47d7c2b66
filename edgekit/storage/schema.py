"""The tables of a store, and how an older store becomes a newer one.

To change a table: raise SCHEMA_VERSION, and add to MIGRATIONS what brings a store of the version before it there. Steps
run in one transaction, when a store is first written to; an older store is read as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.records.measurement import Measurement
from edgekit.records.summary import Summary, summary, unreadable

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

SCHEMA_VERSION = 6
SUMMARIES_SINCE = 5  # the oldest version whose summaries have all of our columns
KINDS = ("measurements", "accuracies", "failures")
INDEXED = ("created", "session", "sha256", "artifact")  # what measurements are looked for by
# And these: the newest of a device, and what begins with a network's name, whose order is not a language's.
INDEXES = {
    "ix_summaries_device_created": {"sqlite": "device, created", "postgresql": "device, created"},
    "ix_summaries_variant": {"sqlite": "variant", "postgresql": 'variant COLLATE "C"'},
}
ALWAYS = ("created", "sha256", "artifact", "format", "device", "runtime", "verdict")  # what all of them have
AT_ONCE = 100
_LOCK = 0x6564676B  # of PostgreSQL's advisory locks: one process at a time makes tables or merges


@cache
def tables() -> MetaData:
    """Return all tables, as the newest version has them."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, Text

    found = MetaData()
    Table("edgekit_schema", found, Column("version", Integer, primary_key=True, autoincrement=False))
    for name in KINDS:
        of_a_file = (
            Column("sha256", String(64), nullable=False, index=True),
            Column("device", String(200), nullable=False),
            Column("runtime", String(80), nullable=False),
        )
        Table(
            name,
            found,
            Column("position", Integer, primary_key=True, autoincrement=True),
            Column("id", String(32), nullable=False, unique=True),
            Column("created", String(40), nullable=False),
            *(() if name == "failures" else of_a_file),
            Column("version", Integer, nullable=False),
            Column("payload", Text, nullable=False),
        )
    Table("samples", found, Column("id", String(32), primary_key=True), Column("payload", Text, nullable=False))
    Table(
        "summaries",
        found,
        Column("position", Integer, primary_key=True, autoincrement=True),
        Column("id", String(32), nullable=False, unique=True),
        *(Column(name, kind, index=name in INDEXED, nullable=name not in ALWAYS) for name, kind in _columns()),
    )
    return found


def _columns() -> Iterator[tuple[str, Any]]:
    """The fields of a summary beside its id, and their types."""
    from sqlalchemy import Float, Integer, Text

    kinds = {"int": Integer, "float": Float}
    for one in fields(Summary):
        if one.name != "id":
            yield one.name, kinds.get(str(one.type).partition(" ")[0], Text)


def table(name: str) -> Table:
    """Return one of them."""
    return tables().tables[name]


def _add_failures(connection: Connection) -> None:
    """Version 2: cells of a sweep that failed, each with its reason."""
    _create(connection, table("failures"))


def _add_summaries(connection: Connection) -> None:
    """Version 3: what a measurement is found by, in columns; and a table for the samples of newer records."""
    from sqlalchemy import select

    measurements, summaries = table("measurements"), table("summaries")
    for one in (table("samples"), summaries):
        _create(connection, one)
    has_one = select(summaries.c.id).where(summaries.c.id == measurements.c.id).exists()
    columns = [measurements.c[name] for name in ("position", "id", "created", "sha256", "device", "runtime", "payload")]
    last = -1
    while True:
        some = select(*columns).where(measurements.c.position > last, ~has_one)
        rows = connection.execute(some.order_by(measurements.c.position).limit(AT_ONCE)).all()
        if not rows:
            return
        connection.execute(summaries.insert(), [asdict(_summarized(*row[1:])) for row in rows])
        last = rows[-1].position


def _summarized(id: str, created: str, sha256: str, device: str, runtime: str, payload: str) -> Summary:
    try:
        return summary(Measurement.model_validate_json(payload))
    except ValueError:
        return unreadable(id, created, sha256, device, runtime)


def _add_sizes(connection: Connection) -> None:
    """Version 4: the sizes of inputs that are free in the file; until now there were none."""
    _add_column(connection, "sizes TEXT")


def _add_sustained(connection: Connection) -> None:
    """Version 5: for how long the load lasted without a pause; until now it came in bursts."""
    _add_column(connection, "sustained_seconds INTEGER")


def _add_indexes(connection: Connection) -> None:
    """Version 6: what is looked for by device and by network."""
    for name, columns in INDEXES.items():
        of_it = columns.get(connection.dialect.name)
        if of_it is not None:
            connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON summaries ({of_it})")


def _add_column(connection: Connection, definition: str) -> None:
    from sqlalchemy import inspect

    columns = [column["name"] for column in inspect(connection).get_columns("summaries")]
    if definition.partition(" ")[0] not in columns:  # a table that version 3 has just made has them all
        connection.exec_driver_sql(f"ALTER TABLE summaries ADD COLUMN {definition}")


# The version that a step leads to -> the step.
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: _add_failures,
    3: _add_summaries,
    4: _add_sizes,
    5: _add_sustained,
    6: _add_indexes,
}


def prepare(connection: Connection, url: str, writes: bool) -> frozenset[str]:
    """Return the tables that are there, after making or bringing up to date what is needed to write.

    Raises UsageError for a schema that is newer than ours, and for a SQLite file of something else.
    """
    from sqlalchemy import inspect, select

    if writes:
        alone(connection)
    known = frozenset(inspect(connection).get_table_names())
    schema = table("edgekit_schema")
    version = connection.execute(select(schema.c.version)).scalar() if schema.name in known else None
    if version is not None and version > SCHEMA_VERSION:
        raise UsageError(
            f"the store {url} has schema version {version}; this edgekit reads {SCHEMA_VERSION}",
            "use a newer edgekit, or another --store",
        )
    if connection.dialect.name == "sqlite" and known and schema.name not in known:
        raise UsageError(f"{url} is no store of edgekit: it has other tables", "choose another --store")
    if not writes or version == SCHEMA_VERSION:
        older = {"summaries"} if version is None or version < SUMMARIES_SINCE else set()  # whose columns are not ours
        return known & set(tables().tables) - older
    if version is None:
        for one in tables().sorted_tables:
            _create(connection, one)
        _add_indexes(connection)
        connection.execute(schema.insert(), {"version": SCHEMA_VERSION})
    else:
        for step in range(version + 1, SCHEMA_VERSION + 1):
            MIGRATIONS[step](connection)
        connection.execute(schema.update().values(version=SCHEMA_VERSION))
    return frozenset(tables().tables)


def alone(connection: Connection) -> None:
    """No other process makes tables or merges until this transaction ends; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _create(connection: Connection, one: Table) -> None:
    from sqlalchemy.schema import CreateIndex, CreateTable

    connection.execute(CreateTable(one, if_not_exists=True))
    for index in one.indexes:
        connection.execute(CreateIndex(index, if_not_exists=True))
