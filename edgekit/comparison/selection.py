"""Which stored measurements a word means: an id, a file, `latest`, `latest~1`, or another store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.records.artifact import content_of
from edgekit.records.formats import check_not_rejected, is_artifact
from edgekit.records.measurement import Measurement
from edgekit.records.summary import Summary
from edgekit.storage import finding, results
from edgekit.storage.looking import check_is_there
from edgekit.storage.store import Store
from edgekit.util.formatting import counted

STORES = (".db", ".sqlite", ".sqlite3", results.SUFFIX)
HOW = "give latest, latest~1, a file name, an id from `edgekit bench --json`, another store, or its results.json"

HOW_ONE = "give the path of one of them, or its id from `edgekit bench --json`"


@dataclass(frozen=True)
class Selection:
    """The measurements that a word means. `is_file`: it names one file, whatever that is, not a set of measurements.

    `sha256` is that of a file that is there, by whose bytes they were found; `is_store`: they are all of `store`.
    """

    word: str
    store: Store
    measurements: tuple[Measurement, ...]
    is_file: bool = False
    sha256: str | None = None
    is_store: bool = False


def select(word: str, store: Store, must_be_measured: bool = True) -> Selection:
    """Return what `word` means among the measurements of `store`.

    Raises UsageError where it means nothing; a store or a file that was never measured is an empty selection unless it
    `must_be_measured`.
    """
    path = Path(word)
    if match := re.fullmatch(r"latest(?:~([0-9]{1,18}))?", word):
        back = int(match[1] or 0)
        return _selection(word, store, _latest(finding.of_command(store, _command(back, store))))
    if "://" in word or path.suffix in STORES:
        other = _other(word, path, must_be_measured)
        return _selection(word, other, _latest(finding.all_of(other)), is_store=True)
    check_not_rejected(path)
    if is_artifact(path):
        return _of_file(word, store, must_be_measured)
    if re.fullmatch(r"[0-9a-f]{4,12}", word):
        return _by_id(word, store)
    raise UsageError(f"'{word}' names no measurement", HOW)


def nothing_of(side: Selection) -> UsageError:
    """Return the error for a base of which no record is stored: a gate would hold against nothing."""
    if side.is_store:
        return UsageError(
            f"the store {side.store.shown} holds no measurement and no accuracy",
            "run `edgekit bench` or `edgekit eval` with it as --store first",
        )
    return UsageError(
        f"{side.word} as it is now was never measured into {side.store.shown}, nor evaluated",
        f"run `edgekit bench {side.word}` and `edgekit eval {side.word} --data FOLDER` first",
    )


def _selection(word: str, store: Store, found: Sequence[Summary], **known: Any) -> Selection:
    """The measurements of these summaries, in their order; nothing else is read."""
    read = {record.id: record for record in store.measurements([one.id for one in found])}
    return Selection(word, store, tuple(read[one.id] for one in found), **known)


def _latest(records: Iterable[Summary]) -> tuple[Summary, ...]:
    """What counts of each subject under the same run conditions, in the order in which they first came.

    That is the last record of each file. What a later command measured takes the place of its namesakes, or, where it
    has none, of all before it.
    """
    kept: dict[object, dict[str, Summary]] = {}
    for command in _commands(records):
        groups: dict[object, dict[str, Summary]] = {}
        for record in command:
            groups.setdefault((record.subject, record.run_conditions), {})[record.sha256] = record
        for place, fresh in groups.items():
            kept[place] = _others(kept.get(place, {}), fresh) | fresh
    return tuple(record for files in kept.values() for record in files.values())


def _others(before: Mapping[str, Summary], fresh: Mapping[str, Summary]) -> dict[str, Summary]:
    """The files of a subject that a later command did not measure again, if it measured any of them."""
    names = {record.name for record in fresh.values()}
    others = {sha256: record for sha256, record in before.items() if sha256 not in fresh and record.name not in names}
    return others if len(others) < len(before) else {}


def _commands(stored: Iterable[Summary]) -> list[list[Summary]]:
    """Measurements, oldest first, by the command that took them, in the order in which the commands ended.

    By the clock, not by the place in the store: a merged store has older records behind newer ones.
    """
    found: dict[str, list[Summary]] = {}
    for record in stored:
        found.setdefault(record.command, []).append(record)
    return sorted(found.values(), key=lambda records: records[-1].created)


def _command(back: int, store: Store) -> str:
    """The command that was the last but so many."""
    commands = finding.commands(store)
    if back >= len(commands):
        count = counted(len(commands), "bench command")
        raise UsageError(
            f"there is no latest~{back}: {store.shown} holds the measurements of {count}",
            "run `edgekit bench` first, or give another --store",
        )
    return commands[-1 - back]


def _other(word: str, path: Path, must_be_measured: bool) -> Store:
    if "://" not in word and not path.is_file():
        raise UsageError(f"there is no store {word}", "give the path of a store that `edgekit bench --store` wrote")
    other = results.opened(path) if path.suffix == results.SUFFIX else Store(word)
    check_is_there(other)
    if must_be_measured and next(finding.all_of(other), None) is None:
        raise UsageError(f"the store {other.shown} holds no measurement", "run `edgekit bench --store` with it first")
    return other


def _of_file(word: str, store: Store, must_be_measured: bool) -> Selection:
    """By the bytes of a file that is there, else by its name; a path that leads nowhere means no namesake of it."""
    path = Path(word)
    if path.exists():
        sha256 = content_of(path).sha256
        found = finding.with_value(store, "sha256", sha256)
        if not found and must_be_measured:
            raise UsageError(f"{path} as it is now was never measured into {store.shown}", _measure(path))
        last = {record.run_conditions: record for record in found}
        return _selection(word, store, tuple(last.values()), is_file=True, sha256=sha256)
    if path.name != word:
        raise UsageError(f"{path} does not exist", f"correct the path, or give {path.name} for what was measured so")
    found = finding.with_value(store, "artifact", path.name)
    if not found:
        raise UsageError(f"no file {path.name} was ever measured into {store.shown}", _measure(path))
    records = _latest(found)
    if len({record.run_conditions for record in records}) < len(records):
        raise UsageError(f"{path.name} is the name of several files that one command measured", HOW_ONE)
    return _selection(word, store, records, is_file=True)


def _measure(path: Path) -> str:
    return f"run `edgekit bench {path}` first"


def _by_id(word: str, store: Store) -> Selection:
    """A measurement, or all of a bench command, by the first digits of its id."""
    found = finding.begins(store, word)
    single = [record for record in found if record.id.startswith(word)]
    session = [record for record in found if (record.session or "").startswith(word)]
    names = {record.id for record in single} | {record.session for record in session}
    if not names:
        raise UsageError(f"no measurement in {store.shown} has an id that begins with {word}", HOW)
    if len(names) > 1:
        raise UsageError(f"'{word}' is the beginning of {len(names)} ids", "give more digits")
    return _selection(word, store, single, is_file=True) if single else _selection(word, store, _latest(session))
