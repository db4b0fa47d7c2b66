"""What a store holds, a line a record: found and described by columns in the database, so that no samples are read.

A measurement's line comes from its summary. Accuracies and failures have none; of their JSON the database itself takes
the few values that are shown. The measurements of a store that an older edgekit made are read one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.records.conditions import RunConditions
from edgekit.records.measurement import INVALID
from edgekit.records.summary import Summary
from edgekit.storage import finding
from edgekit.storage.filters import Filters
from edgekit.storage.schema import KINDS, table
from edgekit.storage.store import Store
from edgekit.util.formatting import some

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEX = set("0123456789abcdef")
LATEST = "latest"  # in the place of an id: the newest record
NAMED_AT_MOST = 5  # ids in a message


@dataclass(frozen=True)
class Entry:
    """One record as a list shows it. What its kind does not have is None; `top1` is a fraction of 1."""

    kind: str  # a table's name: measurements, accuracies or failures
    id: str
    created: str  # ISO 8601, UTC
    variant: str | None  # None of a foreign file
    artifact: str | None  # None of a cell that failed
    format: str
    precision: str | None
    device: str | None
    runtime: str | None
    verdict: str | None  # a measurement's
    median_ms: float | None
    top1: float | None
    images: int | None
    reason: str | None  # why a cell failed
    sha256: str | None  # of the file; None of a cell that failed
    host: str | None  # this and what follows: of a measurement, how it was taken
    power_mode: str | None
    threads: int | None
    batch: int | None
    provider: str | None
    delegate: str | None
    sizes: str | None
    sustained_seconds: int | None
    replaced_by: str | None = None  # of an invalid measurement: the id of the latest one that was taken in the same way

    @property
    def way(self) -> tuple[object, ...]:
        """The file, and how it was run: of those that have it in common, a report shows the latest."""
        return (self.sha256, *(getattr(self, field.name) for field in fields(RunConditions)))

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


SHOWN = [field.name for field in fields(Entry) if field.name not in ("kind", "replaced_by")]


def entries(store: Store, wanted: Filters) -> list[Entry]:
    """Return the records that are meant, oldest first. Raises UsageError where there is no store."""
    check_is_there(store)
    found = [one for kind in KINDS for one in of_kind(store, kind, wanted)]
    found.sort(key=lambda one: one.created)
    return _marked(found[-wanted.latest :] if wanted.latest else found)


def _marked(found: Sequence[Entry]) -> list[Entry]:
    """The same records, the invalid measurements among them with what replaces them.

    No filter takes an older measurement of a file and leaves out a newer one of the same way.
    """
    latest = {one.way: one.id for one in found if one.kind == "measurements"}
    return [
        replace(one, replaced_by=latest[one.way])
        if one.verdict == INVALID and one.kind == "measurements" and latest[one.way] != one.id
        else one
        for one in found
    ]


def named(store: Store, ids: Sequence[str]) -> list[Entry]:
    """The records that ids name, each in full, by its first digits or as `latest`, in the order of the ids, each once.

    Raises UsageError for one that names no record, or several.
    """
    check_is_there(store)
    return list(dict.fromkeys(_one(store, id) for id in ids))


def check_is_there(store: Store) -> None:
    """Raise UsageError where the store is a file that is not there."""
    if store.is_missing:
        raise UsageError(
            f"there is no store {store.shown_in_full}", "give another --store, or measure with `edgekit bench`"
        )


def _one(store: Store, id: str) -> Entry:
    if id == LATEST:
        if not (newest := entries(store, Filters(latest=1))):
            raise UsageError(f"{store.shown} holds no record", "measure with `edgekit bench`, or give another --store")
        return newest[-1]
    found = [one for kind in KINDS for one in of_kind(store, kind, Filters(), id)] if id else []
    found = [one for one in found if one.id == id] or found
    if not found:
        raise UsageError(f"no record of {store.shown} has an id that begins with '{id}'", "see `edgekit store list`")
    if len(found) > 1:
        names = some([one.id for one in found], NAMED_AT_MOST)
        raise UsageError(f"'{id}' is the beginning of {len(found)} ids: {names}", "give more digits")
    return found[0]


def of_kind(store: Store, kind: str, wanted: Filters, begin: str | None = None) -> list[Entry]:
    """Return the records of a table that are meant; `begin`: only those whose id begins so."""
    with store.connection() as (connection, known):
        is_there, is_older = kind in known, "summaries" not in known
        if is_there and not (kind == "measurements" and is_older):
            return _read(connection, kind, wanted, begin)
    if not is_there:
        return []
    read = map(_of_summary, finding.all_of(store))
    return [one for one in read if wanted.fits(one) and (begin is None or one.id.startswith(begin))]


def _read(connection: Connection, kind: str, wanted: Filters, begin: str | None) -> list[Entry]:
    from sqlalchemy import func, select

    columns = _columns(kind, connection.dialect.name)
    own = table("summaries" if kind == "measurements" else kind).c
    conditions = (
        finding.conditions(connection, wanted, own)
        if kind == "measurements"
        else list(wanted.where(columns, connection.dialect.name))
    )
    if begin is not None:
        conditions.append(func.substr(columns["id"], 1, len(begin)) == begin)
        if set(begin) <= HEX:  # then the order of ids is the same in every database, and their index helps
            conditions.append(columns["id"].between(begin, begin + "g"))
    position = own.position
    order = columns["created"].desc(), position.desc()
    chosen = select(*(columns[name].label(name) for name in SHOWN)).where(*conditions).order_by(*order)
    rows = connection.execute(chosen.limit(wanted.latest)).mappings()
    return [Entry(kind=kind, **row) for row in rows][::-1]


def _columns(kind: str, dialect: str) -> dict[str, Any]:
    """Where each field of an entry comes from: a column, or a value in the record's JSON."""
    from sqlalchemy import Float, cast, null

    own = table("summaries" if kind == "measurements" else kind).c
    found: dict[str, Any] = {name: own[name] if name in own else null() for name in SHOWN}
    if kind == "measurements":
        return found | {"median_ms": own.median_ns / 1e6}
    record = _json(own.payload, dialect)
    if kind == "failures":
        return found | {
            name: record[name].as_string() for name in ("variant", "format", "precision", "device", "reason")
        }
    images = record["n"].as_integer()
    return found | {
        "variant": record["manifest", "variant", "name"].as_string(),
        "precision": record["manifest", "precision"].as_string(),
        "artifact": record["artifact"].as_string(),
        "format": record["format"].as_string(),
        "images": images,
        "top1": cast(record["correct1"].as_integer(), Float) / images,
    }


def _json(payload: Any, dialect: str) -> Any:
    """A column of JSON as something to take values of. SQLite has no type for it, and stops at a broken one."""
    from sqlalchemy import JSON, case, cast, func, type_coerce

    if dialect != "sqlite":
        return cast(func.replace(payload, "\\u0000", "\\ufffd"), JSON)  # PostgreSQL takes no value beside a NUL
    return type_coerce(case((func.json_valid(payload) == 1, payload), else_="{}"), JSON)


def _of_summary(one: Summary) -> Entry:
    known = {name: getattr(one, name) for name in SHOWN if hasattr(one, name)}
    nothing: dict[str, Any] = dict.fromkeys(("top1", "images", "reason"))
    return Entry(kind="measurements", **known, median_ms=one.median_ns and one.median_ns / 1e6, **nothing)
