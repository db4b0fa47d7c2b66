"""Which measurements of a store are meant: by the columns of their summaries, so that no others are read.

A store of an older edgekit that nobody wrote to since has no summaries; its records are read one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edgekit.records.measurement import Measurement
from edgekit.records.summary import Summary, summary
from edgekit.storage.filters import NAMED, Columns, Filters
from edgekit.storage.schema import table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from edgekit.storage.store import Store

FILTERED = ("device", "created", "variant", "artifact", *NAMED)  # what filters look at
FIELDS = [field.name for field in fields(Summary)]
MOST = 500  # rows in memory
MANY = 20_000  # records of a model; from so many on the newest are found sooner by going back through time


def all_of(store: Store) -> Iterator[Summary]:
    """Return every summary, oldest first by the clock; of the same time, as they were appended."""
    return _found(store, lambda one: True, lambda columns: columns.position > -1)


def with_value(store: Store, field: str, value: str) -> list[Summary]:
    """Return those in which a field has this value."""
    return list(_found(store, lambda one: getattr(one, field) == value, lambda columns: columns[field] == value))


def of_command(store: Store, command: str) -> list[Summary]:
    """Return those that one command took."""
    return list(
        _found(
            store,
            lambda one: one.command == command,
            lambda columns: (columns.session == command) | ((columns.id == command) & columns.session.is_(None)),
        )
    )


def begins(store: Store, digits: str) -> list[Summary]:
    """Return those whose id, or whose command's, begins so."""
    after = digits + "g"  # behind every name of hex digits that begins so; a range is looked up in an index

    def fits(one: Summary) -> bool:
        return one.id.startswith(digits) or (one.session or "").startswith(digits)

    def where(columns: Any) -> Any:
        return columns.id.between(digits, after) | columns.session.between(digits, after)

    return list(_found(store, fits, where))


def meant(store: Store, wanted: Filters) -> list[Summary]:
    """Return those that fit, oldest first."""
    if store.is_missing:
        return []
    if _is_older(store):
        found = [one for one in all_of(store) if wanted.fits(one)]
        return found[-wanted.latest :] if wanted.latest else found
    columns = table("summaries").c
    newest = columns.created.desc(), columns.position.desc()
    with store.connection() as (connection, _):
        chosen = _select().where(*conditions(connection, wanted, columns)).order_by(*newest).limit(wanted.latest)
        return [Summary(*row) for row in connection.execute(chosen)][::-1]


def conditions(connection: Connection, wanted: Filters, columns: Columns) -> list[ColumnElement[bool]]:
    """Return what summaries must fulfill, so that the database looks into the index which leaves the fewest of them.

    No database knows that of names: of few records of a model by their names, of many by device and time.
    """
    from sqlalchemy import func, select

    dialect = connection.dialect.name
    if wanted.model is None:
        return list(wanted.where(columns, dialect))
    some = select(columns["id"]).where(wanted.of_model(columns, dialect)).limit(MANY).subquery()
    is_few = connection.execute(select(func.count()).select_from(some)).scalar_one() < MANY
    others = ("device", "created") if is_few else ("variant", "artifact")
    unindexed = {name: columns[name].concat("") for name in others}  # no index has such a value
    return list(wanted.where({name: columns[name] for name in FILTERED} | unindexed, dialect))


def commands(store: Store) -> list[str]:
    """Return the commands that took measurements, in the order in which they ended."""
    if store.is_missing:
        return []
    if _is_older(store):
        ended: dict[str, str] = {}
        for one in all_of(store):
            ended[one.command] = one.created
        return sorted(ended, key=lambda command: ended[command])
    from sqlalchemy import func, select

    columns = table("summaries").c
    command = func.coalesce(columns.session, columns.id).label("command")
    order = func.max(columns.created), func.min(columns.created), func.min(columns.position)
    with store.connection() as (connection, _):
        return [row.command for row in connection.execute(select(command).group_by(command).order_by(*order))]


def _found(store: Store, fits: Callable[[Summary], bool], where: Callable[[Any], Any]) -> Iterator[Summary]:
    if store.is_missing:
        return
    if _is_older(store):
        read = (summary(record) for record in store.each("measurements", Measurement))
        yield from sorted((one for one in read if fits(one)), key=lambda one: one.created)
        return
    columns = table("summaries").c
    wanted = _select().where(where(columns)).order_by(columns.created, columns.position)
    with store.connection() as (connection, _):
        for row in connection.execution_options(yield_per=MOST).execute(wanted):
            yield Summary(*row)


def _select() -> Any:
    from sqlalchemy import select

    return select(*(table("summaries").c[name] for name in FIELDS))


def _is_older(store: Store) -> bool:
    """Whether it has no summaries, being of an older edgekit."""
    with store.connection() as (_, known):
        return "summaries" not in known
