"""Which stored measurements a word means: an id, a file, `latest`, `latest~1`, or another store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.artifact import SUFFIXES
from edgekit.errors import UsageError
from edgekit.files import file_sha256
from edgekit.measurement import Measurement
from edgekit.setting import setting
from edgekit.store import Store
from edgekit.wording import counted

STORES = (".db", ".sqlite", ".sqlite3")
HOW = "give latest, latest~1, a file name, an id from `edgekit bench --json`, or another store"


@dataclass(frozen=True)
class Selection:
    """The measurements that a word means. `is_file`: it names one file, whatever that is, not a set of cells."""

    word: str
    measurements: tuple[Measurement, ...]
    is_file: bool


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
        return Selection(word, _latest(_of_file(path, stored, store)), True)
    if re.fullmatch(r"[0-9a-f]{4,12}", word):
        return _by_id(word, stored, store)
    raise UsageError(f"'{word}' names no measurement", HOW)


def _latest(records: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """The last record of each cell in each setting, in the order in which the cells first came."""
    kept: dict[object, Measurement] = {}
    for record in records:
        kept[cell(record), setting(record)] = record
    return tuple(kept.values())


def _sessions(stored: Sequence[Measurement]) -> list[list[Measurement]]:
    """Measurements by the command that took them, the earliest first."""
    found: dict[str, list[Measurement]] = {}
    for record in stored:
        found.setdefault(record.session or record.id, []).append(record)
    return list(found.values())


def _session(back: int, stored: Sequence[Measurement], store: Store) -> list[Measurement]:
    sessions = _sessions(stored)
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


def _of_file(path: Path, stored: Sequence[Measurement], store: Store) -> list[Measurement]:
    """By the bytes of a file that is there, else by its name."""
    if path.is_file():
        digest = file_sha256(path)
        found = [record for record in stored if record.sha256 == digest]
        missing = f"{path} as it is now was never measured into {store.shown}"
    else:
        found = [record for record in stored if record.artifact == path.name]
        missing = f"no file {path.name} was ever measured into {store.shown}"
    if not found:
        raise UsageError(missing, f"run `edgekit bench {path}` first")
    return found


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
