"""Records in one JSON file, which a pipeline keeps beside its other results: `store export results.json`.

{"edgekit": "results", "version": 1, "measurements": [...], "accuracies": [...], "failures": [...]}, a line a record;
each is what the store holds of it, samples and hits included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.records.measurement import RECORD_VERSION
from edgekit.storage.rows import read
from edgekit.storage.schema import KINDS
from edgekit.storage.store import RECORDS, AnyRecord, Store, file_url
from edgekit.util.formatting import json_escaped
from edgekit.util.text_file import text_of

SUFFIX = ".json"
AGAIN = "write it with `edgekit store export results.json`"
MARK = "results"  # what the key "edgekit" says: no manifest and no output of a command has it


def lines(records: Mapping[str, Iterable[AnyRecord]]) -> Iterator[str]:
    """Yield the text of a file with these records, by the names of their tables."""
    yield f'{{"edgekit": "{MARK}", "version": {RECORD_VERSION}'
    for kind in KINDS:
        some = ",\n".join(json_escaped(record.model_dump_json()) for record in records.get(kind, ()))
        yield f',\n"{kind}": [\n{some}\n]'
    yield "}\n"


def opened(path: Path) -> Store:
    """A store in memory with the records of a file. Raises UsageError for one that is missing, broken or another."""
    try:
        found = json.loads(text_of(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}", AGAIN) from error
    if not isinstance(found, dict) or found.get("edgekit") != MARK:
        raise UsageError(f"{path} holds no results", AGAIN)
    if found.get("version") != RECORD_VERSION:
        raise UsageError(
            f"{path} has version {found.get('version')}; this edgekit reads {RECORD_VERSION}",
            "use the edgekit that wrote it, or a newer one",
        )
    store = Store(file_url(path, "memory"))
    store.append(*_records(path, found))
    return store


def _records(path: Path, found: Mapping[str, object]) -> Iterator[AnyRecord]:
    for kind in KINDS:
        some = found.get(kind, [])
        if not isinstance(some, list) or not all(isinstance(one, dict) for one in some):
            raise UsageError(f"'{kind}' of {path} is no list of records", AGAIN)
        for one in some:
            version = one.get("version", RECORD_VERSION)
            if not isinstance(version, int):
                raise UsageError(f"a record of {path} has no number as its version", AGAIN)
            yield read(RECORDS[kind], (one.get("id"), version, json.dumps(one), None), str(path))
