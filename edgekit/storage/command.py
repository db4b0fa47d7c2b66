"""The verb `store`: look at a store's records, take some out into a file, bring some in, remove some."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from edgekit.errors import EnvironmentRefused, UsageError, nearest
from edgekit.records.measurement import Accuracy
from edgekit.storage import results
from edgekit.storage.filters import Filters, Names, filters
from edgekit.storage.looking import Entry, entries, named
from edgekit.storage.merge import Merged, merge
from edgekit.storage.rows import SERIES, insert
from edgekit.storage.schema import KINDS, table
from edgekit.storage.store import AT_ONCE, RECORDS, Store, file_url, open_store
from edgekit.util.tabled import Tabled

# Each action with what it is called as.
ACTIONS = {
    "list": "store list",
    "show": "store show ID",
    "export": "store export [ID ...] FILE",
    "merge": "store merge FILE",
    "rm": "store rm ID ...",
}
MISTAKES = 5  # of each kind that are shown of an accuracy
FILTERED = ("list", "export", "rm")


@dataclass(frozen=True, repr=False)
class Listed(Tabled):
    """The records that fit, oldest first."""

    store: str
    records: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        """{"store", "records": [...]}"""
        return {"store": self.store, "records": [one.to_json() for one in self.records]}


@dataclass(frozen=True, repr=False)
class Shown(Tabled):
    """One record as it is stored; its samples as their number, least, median and greatest."""

    store: str
    kind: str
    record: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """{"store", "kind", "record": {...}}"""
        return {"store": self.store, "kind": self.kind, "record": self.record}


@dataclass(frozen=True, repr=False)
class Exported(Tabled):
    """A SQLite store or a JSON file with copies of records, and how many of each kind."""

    store: str
    file: str
    exported: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """{"store", "file", "exported": {"measurements": ...}}"""
        return {"store": self.store, "file": self.file, "exported": self.exported}


@dataclass(frozen=True, repr=False)
class Removed(Tabled):
    """The records that are gone, or would be: `dry_run`."""

    store: str
    dry_run: bool
    records: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        """{"store", "dry_run", "records": [...]}"""
        return {"store": self.store, "dry_run": self.dry_run, "records": [one.to_json() for one in self.records]}


Result = Listed | Shown | Exported | Removed | Merged


@overload
def store(action: Literal["merge"], *words: Path | str, store: str | None = None) -> Merged: ...
@overload
def store(
    action: str,
    *words: Path | str,
    store: str | None = None,
    device: str | None = None,
    model: str | None = None,
    since: str | None = None,
    latest: int | None = None,
    format: Names = None,
    precision: Names = None,
    runtime: Names = None,
    yes: bool = False,
) -> Result: ...
def store(
    action: str,
    *words: Path | str,
    store: str | None = None,
    device: str | None = None,
    model: str | None = None,
    since: str | None = None,
    latest: int | None = None,
    format: Names = None,
    precision: Names = None,
    runtime: Names = None,
    yes: bool = False,
) -> Result:
    """Look at the records of a store, or copy, bring in or remove some.

    `list` gives a line a record, `show ID` all of one, `export [ID ...] FILE` writes a SQLite store, or JSON where FILE
    ends in .json (edgekit.storage.results), that `merge FILE` takes, `rm ID ...` removes: with `yes`; without, it tells
    what would go. An id may be its first digits. Instead of ids, `list`, `export` and `rm` take filters: `device`,
    `model` (a network, a variant or a file's name), `since` (an ISO date or time in UTC, or "7d" or "24h"), `format`,
    `precision` and `runtime` (one or several names), and `latest`, so many records. Raises UsageError for ids that name
    no record or several, and for files and filters that are none.
    """
    if action not in ACTIONS:
        usual = "; ".join(ACTIONS.values())
        raise UsageError(f"`edgekit store` does not know '{action}'{nearest(action, ACTIONS)}", f"say one of: {usual}")
    wanted = filters(device, model, since, latest, format, precision, runtime)
    texts, opened = [*map(str, words)], open_store(store)
    _check(action, texts, wanted, yes)
    if action == "merge":
        return merge(texts[0], opened)
    if action == "list":
        return Listed(opened.shown, tuple(entries(opened, wanted)))
    if action == "show":
        return _shown(opened, texts[0])
    if action == "export":
        return _exported(opened, texts[:-1], wanted, Path(texts[-1]))
    chosen = _chosen(opened, texts, wanted)
    if yes:
        _remove(opened, chosen)
    return Removed(opened.shown, not yes, tuple(chosen))


def _check(action: str, words: Sequence[str], wanted: Filters, yes: bool) -> None:
    usual = f"say `edgekit {ACTIONS[action]}`"
    if wanted and action not in FILTERED:
        raise UsageError(f"store {action} takes no filters", usual)
    if yes and action != "rm":
        raise UsageError(f"store {action} has nothing to confirm with --yes", usual)
    ids = {"export": len(words) - 1, "rm": len(words)}.get(action, 0)
    if wanted and ids > 0:
        raise UsageError(f"store {action} got ids and filters", "give one of the two")
    if action == "rm" and not wanted and not words:
        raise UsageError("store rm was not told which records", "give ids from `edgekit store list`, or filters")
    least, most = {"list": (0, 0), "show": (1, 1), "merge": (1, 1), "export": (1, None), "rm": (0, None)}[action]
    if len(words) < least or (most is not None and len(words) > most):
        raise UsageError(f"store {action} takes {['nothing', 'one word'][least]} more, not {len(words)}", usual)


def _chosen(opened: Store, ids: Sequence[str], wanted: Filters) -> list[Entry]:
    return named(opened, ids) if ids else entries(opened, wanted)


def _shown(opened: Store, id: str) -> Shown:
    (one,) = named(opened, [id])
    (record,) = opened.each(one.kind, RECORDS[one.kind], [one.id])
    document = json.loads(record.model_dump_json())
    document.pop("hits", None)  # an accuracy's, a character an image; what they come to stands beside
    if isinstance(record, Accuracy) and record.breakdown is not None:
        document["breakdown"] = record.breakdown.summary(MISTAKES)  # the matrix may have thousands of entries
    for run in document.get("runs", ()):
        run.update({key: _summarized(run[key]) for key in SERIES})
    return Shown(opened.shown, one.kind, document)


def _summarized(samples: Sequence[int]) -> dict[str, Any]:
    if not samples:
        return {"count": 0, "min": None, "median": None, "max": None}
    return {
        "count": len(samples), "min": min(samples), "median": statistics.median(samples), "max": max(samples),
    }  # fmt: skip


def _exported(opened: Store, ids: Sequence[str], wanted: Filters, file: Path) -> Exported:
    if os.path.lexists(file):
        raise UsageError(f"{file} is there already", "give the name of a new file")
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}", "make it, or choose another file")
    chosen = _chosen(opened, ids, wanted)
    if not chosen:
        raise UsageError(f"no record of {opened.shown} fits", "see `edgekit store list`, and give other filters")
    if any(one.id == file.name for one in chosen):
        raise UsageError(f"{file} names a record, and no file to write", "give the file last, say records.db")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        _copy(opened, chosen, part, is_json=file.suffix == results.SUFFIX)
        part.replace(file)
    except OSError as error:
        raise EnvironmentRefused(f"{file} cannot be written: {error.strerror}", "choose another file") from error
    finally:
        part.unlink(missing_ok=True)
    return Exported(opened.shown, str(file), {kind: sum(one.kind == kind for one in chosen) for kind in KINDS})


def _copy(opened: Store, chosen: Sequence[Entry], part: Path, is_json: bool) -> None:
    if is_json:
        ids = {kind: [one.id for one in chosen if one.kind == kind] for kind in KINDS}
        found = {kind: opened.each(kind, RECORDS[kind], some) for kind, some in ids.items()}
        with part.open("w", encoding="utf-8") as stream:
            stream.writelines(results.lines(found))
        return
    with Store(file_url(part, "rwc")).connection(writes=True) as (connection, _):
        for kind, some in _by_kind(chosen):
            insert(connection, kind, opened.each(kind, RECORDS[kind], some))


def _remove(opened: Store, chosen: Sequence[Entry]) -> None:
    """Delete records with all that stands apart from them: all of them or none."""
    with opened.connection(writes=True) as (connection, _):
        for kind, some in _by_kind(chosen):
            for name in (kind, "samples", "summaries") if kind == "measurements" else (kind,):
                connection.execute(table(name).delete().where(table(name).c.id.in_(some)))


def _by_kind(chosen: Sequence[Entry]) -> Iterable[tuple[str, list[str]]]:
    """Each table with ids of records in it, a few at a time."""
    for kind in KINDS:
        ids = [one.id for one in chosen if one.kind == kind]
        yield from ((kind, ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE))
