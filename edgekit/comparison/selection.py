"""Which stored measurements a word means: an id, a file, `latest`, `latest~1`, or another store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.records.conditions import setting
from edgekit.records.manifest import SUFFIXES
from edgekit.records.measurement import Measurement
from edgekit.storage.store import Store
from edgekit.util.files import file_sha256
from edgekit.util.formatting import counted

STORES = (".db", ".sqlite", ".sqlite3")
HOW = "give latest, latest~1, a file name, an id from `edgekit bench --json`, or another store"

HOW_ONE = "give the path of one of them, or its id from `edgekit bench --json`"


@dataclass(frozen=True)
class Selection:
    """The measurements that a word means. `is_file`: it names one file, whatever that is, not a set of cells.

    `is_there`: it is the path of a file, by whose bytes they were found.
    """

    word: str
    measurements: tuple[Measurement, ...]
    is_file: bool
    is_there: bool = False


def cell(record: Measurement) -> tuple[str, str | None, str]:
    """What was measured: the variant (or a foreign file's name), its precision and format."""
    known = record.manifest
    return (known.variant.name if known else record.artifact, known.precision if known else None, record.format)


def select(word: str, store: Store, stored: Sequence[Measurement]) -> Selection:
    """What `word` means among the `stored` measurements of `store`. Raises UsageError where it means nothing."""
    path = Path(word)
    if match := re.fullmatch(r"latest(?:~(\d+))?", word):
        return Selection(word, _latest(_session(int(match[1] or 0), stored, store)), False)
    if "://" in word or path.suffix in STORES:
        return Selection(word, _latest(_other(word, path)), False)
    if path.suffix in SUFFIXES:
        return _of_file(word, stored, store)
    if re.fullmatch(r"[0-9a-f]{4,12}", word):
        return _by_id(word, stored, store)
    raise UsageError(f"'{word}' names no measurement", HOW)


def name(record: Measurement) -> tuple[str, str | None]:
    """What tells the files of one cell apart in words: the file's name, and the id of its weights."""
    return record.artifact, record.manifest.weights.id if record.manifest else None


def _latest(records: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """What counts of each cell in each setting, in the order in which the cells first came: the last record of each
    file. What a later command measured takes the place of its namesakes, or, where it has none, of all before it.
    """
    kept: dict[object, dict[str, Measurement]] = {}
    for command in _commands(records):
        groups: dict[object, dict[str, Measurement]] = {}
        for record in command:
            groups.setdefault((cell(record), setting(record)), {})[record.sha256] = record
        for place, fresh in groups.items():
            kept[place] = _others(kept.get(place, {}), fresh) | fresh
    return tuple(record for files in kept.values() for record in files.values())


def _others(before: Mapping[str, Measurement], fresh: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """The files of a cell that a later command did not measure again, if it measured any of them."""
    names = {name(record) for record in fresh.values()}
    others = {sha256: record for sha256, record in before.items() if sha256 not in fresh and name(record) not in names}
    return others if len(others) < len(before) else {}


def _commands(stored: Iterable[Measurement]) -> list[list[Measurement]]:
    """Measurements by the command that took them, in the order in which the commands ended.

    By the clock, not by the place in the store: a merged store has older records behind newer ones.
    """
    found: dict[str, list[Measurement]] = {}
    for record in sorted(stored, key=lambda record: record.created):
        found.setdefault(record.session or record.id, []).append(record)
    return sorted(found.values(), key=lambda records: records[-1].created)


def _session(back: int, stored: Sequence[Measurement], store: Store) -> list[Measurement]:
    sessions = _commands(stored)
    if back >= len(sessions):
        count = counted(len(sessions), "bench command")
        raise UsageError(
            f"there is no latest~{back}: {store.shown} holds the measurements of {count}",
            "run `edgekit bench` first, or give another --store",
        )
    return sessions[-1 - back]


def _other(word: str, path: Path) -> list[Measurement]:
    if "://" not in word and not path.is_file():
        raise UsageError(f"there is no store {word}", "give the path of a store that `edgekit bench --store` wrote")
    other = Store(word)
    found = other.measurements()
    if not found:
        raise UsageError(f"the store {other.shown} holds no measurement", "run `edgekit bench --store` with it first")
    return found


def _of_file(word: str, stored: Sequence[Measurement], store: Store) -> Selection:
    """By the bytes of a file that is there, else by its name; a path that leads nowhere means no namesake of it."""
    path = Path(word)
    if path.is_file():
        digest = file_sha256(path)
        found = [record for record in stored if record.sha256 == digest]
        if not found:
            raise UsageError(f"{path} as it is now was never measured into {store.shown}", _measure(path))
        last = {setting(record): record for record in sorted(found, key=lambda record: record.created)}
        return Selection(word, tuple(last.values()), is_file=True, is_there=True)
    if path.name != word:
        raise UsageError(f"{path} does not exist", f"correct the path, or give {path.name} for what was measured so")
    found = [record for record in stored if record.artifact == path.name]
    if not found:
        raise UsageError(f"no file {path.name} was ever measured into {store.shown}", _measure(path))
    records = _latest(found)
    if len({setting(record) for record in records}) < len(records):
        raise UsageError(f"{path.name} is the name of several files that one command measured", HOW_ONE)
    return Selection(word, records, is_file=True)


def _measure(path: Path) -> str:
    return f"run `edgekit bench {path}` first"


def _by_id(word: str, stored: Sequence[Measurement], store: Store) -> Selection:
    """A measurement, or all of a bench command, by the first digits of its id."""
    single = [record for record in stored if record.id.startswith(word)]
    session = [record for record in stored if (record.session or "").startswith(word)]
    names = {record.id for record in single} | {record.session for record in session}
    if not names:
        raise UsageError(f"no measurement in {store.shown} has an id that begins with {word}", HOW)
    if len(names) > 1:
        raise UsageError(f"'{word}' is the beginning of {len(names)} ids", "give more digits")
    return Selection(word, tuple(single), True) if single else Selection(word, _latest(session), False)
