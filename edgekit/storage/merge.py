"""Bring what a colleague measured into a store, each record once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.storage import results
from edgekit.storage.rows import insert, read, selected
from edgekit.storage.schema import KINDS, alone, table, tables
from edgekit.storage.store import AT_ONCE, RECORDS, AnyRecord, Store, file_url
from edgekit.util.tabled import Tabled

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, repr=False)
class Merged(Tabled):
    """How many records of each kind were new, and how many were there already."""

    file: str
    store: str
    added: dict[str, int]
    known: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """{"file", "store", "added": {"measurements": ...}, "known": {...}}"""
        return {"file": self.file, "store": self.store, "added": self.added, "known": self.known}


def merge(file: Path | str, into: Store) -> Merged:
    """Append the records of the SQLite store or the results in `file` that `into` does not have, in their order.

    All or nothing; the file is only read. Raises UsageError for a file that is missing, no store, newer or damaged, and
    for a record that differs from one of the same name.
    """
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no store {path}", "give the SQLite file that was measured into")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty", "give the SQLite file that was measured into")
    if into.file is not None and into.file.exists() and into.file.samefile(path):
        raise UsageError(f"{path} is the store itself", "give another store with --store, or another file")
    theirs = results.opened(path) if path.suffix == results.SUFFIX else Store(file_url(path, "ro"))
    added, known = {}, {}
    with into.connection(writes=True) as (connection, _):
        alone(connection)
        for name in KINDS:
            added[name], known[name] = _add(connection, name, theirs, path)
    return Merged(str(path), into.shown, added, known)


def _add(connection: Connection, name: str, theirs: Store, path: Path) -> tuple[int, int]:
    """Append what is new, a few records at a time, and say how much was new and how much known."""
    added, known, records = 0, 0, theirs.each(name, RECORDS[name])
    while some := {record.id: record for record in islice(records, AT_ONCE)}:
        present = _present(connection, name, list(some))
        _refuse_others(some, present, path)
        insert(connection, name, [record for identity, record in some.items() if identity not in present])
        added, known = added + len(some) - len(present), known + len(present)
    return added, known


def _present(connection: Connection, name: str, ids: Sequence[str]) -> dict[str, AnyRecord]:
    """The records of ours that have these names."""
    rows = connection.execute(selected(name, frozenset(tables().tables)).where(table(name).c.id.in_(ids)))
    return {row.id: read(RECORDS[name], row[1:], "the store") for row in rows}


def _refuse_others(theirs: dict[str, AnyRecord], ours: dict[str, AnyRecord], path: Path) -> None:
    for identity, record in ours.items():
        if theirs[identity] != record:
            raise UsageError(
                f"record {identity} of {path} differs from the one of that name here", "one of the two was changed"
            )
