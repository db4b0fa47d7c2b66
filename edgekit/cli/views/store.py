"""What store shows a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, milliseconds, percent, table
from edgekit.util.formatting import UNKNOWN, counted, minute, some

SHOWN = 200  # records: more are for --json
ONE = {"measurements": "measurement", "accuracies": "accuracy", "failures": "failure"}
LONGEST = 12  # values of a list that are shown


def listed(document: Json, width: int) -> View:
    """Yield a line for each record, the newest last."""
    records = document["records"]
    if not records:
        yield Text(f"{document['store']} holds no such record")
        return
    if len(records) > SHOWN:
        yield Text(f"{len(records) - SHOWN:,} older ones are left out: see --since and --json", style="dim")
    columns = (
        Column("what", lambda row: row["variant"] or row["artifact"] or UNKNOWN, left=True),  # it may fold, an id not
        Column("id", lambda row: row["id"], left=True),
        Column("format", lambda row: row["format"] or UNKNOWN, rank=3, left=True),
        Column("precision", lambda row: row["precision"] or UNKNOWN, rank=4, left=True),
        Column("device", lambda row: row["device"] or UNKNOWN, rank=2, left=True),
        Column("runtime", lambda row: row["runtime"] or UNKNOWN, rank=5, left=True),
        Column("when (UTC)", lambda row: minute(row["created"]), rank=1, left=True),
        Column("result", _result),
        Column("verdict", _verdict, left=True),
    )
    shown = records[-SHOWN:]
    yield from table(columns, shown, width)
    if any(row["replaced_by"] for row in shown):
        yield Text("replaced: the file was measured again in the same way, and that counts", style="dim")


def _result(row: Json) -> str:
    """The median latency, or the accuracy with the images that it is of."""
    if row["top1"] is not None:
        return f"top-1 {percent(row['top1'])} of {row['images']:,}"
    return UNKNOWN if row["median_ms"] is None else f"{milliseconds(row['median_ms'])} ms"


def _verdict(row: Json) -> str:
    if row["kind"] == "failures":
        return "failed"
    return f"{row['verdict'] or UNKNOWN}{', replaced' if row['replaced_by'] else ''}"


def shown(document: Json, width: int) -> View:
    """Yield every value of a record, under the name that it has in the JSON."""
    yield Text(f"{document['record']['id']} in {document['kind']} of {document['store']}", style="bold")
    yield facts(_flat(document["record"]))


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _flat(one, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        if len(value) > LONGEST:
            yield key, f"{len(value):,} entries: see --json"
            return
        for place, one in enumerate(value):
            yield from _flat(one, f"{key}[{place}]")
    elif isinstance(value, list):
        yield key, some(list(map(_text, value)), LONGEST) or UNKNOWN
    else:
        yield key, UNKNOWN if value is None or value == {} else _text(value)


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def exported(document: Json, width: int) -> View:
    """Yield how much was written, and where."""
    yield Text(f"{_told(document['exported'])} written")
    yield document["file"]


def removed(document: Json, width: int) -> View:
    """Yield what is gone, or would be."""
    if not document["records"]:
        yield Text(f"{document['store']} holds no such record: nothing to remove")
        return
    yield from listed(document, width)
    told = _told(Counter(row["kind"] for row in document["records"]))
    yield Text()
    if document["dry_run"]:
        yield Text(f"would remove {told} from {document['store']}; nothing was removed: add --yes to remove")
    else:
        yield Text(f"removed {told} from {document['store']}")


def _told(counts: Mapping[str, int]) -> str:
    """How many records of each kind, in words."""
    return ", ".join(counted(number, ONE[kind], kind) for kind, number in counts.items() if number)


def merged(document: Json, width: int) -> View:
    """Yield how much was new."""
    for kind, number in document["added"].items():
        if number or document["known"][kind]:
            yield Text(f"{number:,} {kind} added, {document['known'][kind]:,} there already")
    if not any((*document["added"].values(), *document["known"].values())):
        yield Text(f"{document['file']} holds no records")


# Each action with its view.
VIEWS: dict[str, Callable[[Json, int], View]] = {
    "list": listed,
    "show": shown,
    "export": exported,
    "merge": merged,
    "rm": removed,
}
