"""The verb `store`: bring what a colleague measured into a store, each record once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edgekit.errors import UsageError, nearest
from edgekit.storage.schema import KINDS, alone, table
from edgekit.storage.store import RECORDS, FailedCell, Store, open_store, row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from edgekit.records.measurement import Accuracy, Measurement

    AnyRecord = Measurement | Accuracy | FailedCell

ACTIONS = ("merge",)
AT_ONCE = 500


@dataclass(frozen=True)
class Merged:
    """How many records of each kind were new, and how many were there already."""

    file: str
    store: str
    added: dict[str, int]
    known: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """{"file", "store", "added": {"measurements": ...}, "known": {...}}"""
        return {"file": self.file, "store": self.store, "added": self.added, "known": self.known}


def store(action: str, file: Path | str, *, store: str | None = None) -> Merged:
    """`merge`: append the records of the SQLite store in `file` that `store` does not have, in their order.

    All or nothing; the file is only read. Raises UsageError for a file that is missing, no store, newer or damaged, and
    for a record that differs from one of the same name.
    """
    if action not in ACTIONS:
        raise UsageError(f"`edgekit store` does not know '{action}'{nearest(action, ACTIONS)}", "say store merge FILE")
    path, into = Path(file), open_store(store)
    if not path.is_file():
        raise UsageError(f"there is no store {path}", "give the SQLite file that was measured into")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty", "give the SQLite file that was measured into")
    if into.file is not None and into.file.exists() and into.file.samefile(path):
        raise UsageError(f"{path} is the store itself", "give another store with --store, or another file")
    theirs = Store(f"sqlite:///file:{_quoted(path)}?mode=ro&uri=true")
    records: dict[str, Sequence[AnyRecord]] = {
        "measurements": theirs.measurements(),
        "accuracies": theirs.accuracies(),
        "failures": theirs.failures(),
    }
    added = {}
    with into.connection(writes=True) as (connection, _):
        alone(connection)
        for name in KINDS:
            added[name] = _add(connection, name, records[name], path)
    known = {name: len(records[name]) - added[name] for name in KINDS}
    return Merged(str(path), into.shown, added, known)


def _quoted(path: Path) -> str:
    """A path for SQLite's URIs, and once more for SQLAlchemy, which undoes one quoting itself."""
    return quote(quote(str(path.resolve())))


def _add(connection: Connection, name: str, records: Sequence[AnyRecord], path: Path) -> int:
    """Append what is new, and say how much that is."""
    added = 0
    for at in range(0, len(records), AT_ONCE):
        some = {record.id: record for record in records[at : at + AT_ONCE]}
        present = _present(connection, name, list(some))
        _refuse_others(some, present, path)
        new = [row(name, record) for identity, record in some.items() if identity not in present]
        if new:
            connection.execute(table(name).insert(), new)
        added += len(new)
    return added


def _present(connection: Connection, name: str, ids: Sequence[str]) -> dict[str, str]:
    from sqlalchemy import select

    columns = table(name).c
    found = connection.execute(select(columns.id, columns.payload).where(columns.id.in_(ids)))
    return {one.id: one.payload for one in found}


def _refuse_others(theirs: dict[str, AnyRecord], ours: dict[str, str], path: Path) -> None:
    for identity, payload in ours.items():
        record = theirs[identity]
        kind = next(kind for kind in RECORDS.values() if isinstance(record, kind))
        if kind.model_validate_json(payload) != record:
            raise UsageError(
                f"record {identity} of {path} differs from the one of that name here", "one of the two was changed"
            )
