"""What `report` and `demo` show a person: which file to ship, then where everything is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, failure, file_name, milliseconds, percent, table, verdicts
from edgekit.util.formatting import UNKNOWN, count, size
from edgekit.util.tabled import likely


def report(document: Json, width: int) -> View:
    """Yield the file to ship to each device, then the files that were written."""
    yield from _answers(document["answers"])
    yield from (str(path) for path in document["paths"])


def _answers(answers: Sequence[Json]) -> View:
    """A line an answer: the file and why, or why there is none and what to do."""
    for one in answers:
        chosen, where = one["chosen"], one["setting"] or "any device"
        if chosen is None:
            told = "; ".join(filter(None, (one["reason"], one["remedy"])))
            yield Text(f"no file can be named for {where}: {told}")
            yield from map(Text, likely(one))
        else:
            numbers = f"top-1 {percent(chosen['top1'])}, {milliseconds(chosen['median_ms'])} ms ({chosen['verdict']})"
            yield Text(f"ship {chosen['path'] or chosen['artifact']} to {where}: {numbers}; {one['reason']}")
            yield from ([Text(f"   {chosen['loss']['told']}")] if chosen["loss"] else [])
        yield from (Text(f"   of {_of_format(other)}") for other in one["by_format"])


def _of_format(other: Json) -> str:
    """The file of another format."""
    file, format = other["file"], other["format"]
    if file is None:
        return f"{format} files none can be named yet"
    numbers = f"top-1 {percent(file['top1'])}, {milliseconds(file['median_ms'])} ms ({file['verdict']})"
    return f"{format} files {'' if other['verdict'] == 'chosen' else 'likely '}{file['artifact']}: {numbers}"


def demo(document: Json, width: int) -> View:
    """What every file costs and how accurate it is; why a latency is invalid; which file to ship; the report's path."""
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("size", lambda row: size(row["bytes"]), rank=1),
        Column("MACs", lambda row: count(row["macs"]), rank=2),
        Column("top-1", lambda row: percent(row["top1"])),
        Column("median ms", lambda row: milliseconds(row["median_ms"])),
        Column("verdict", lambda row: row["verdict"] or UNKNOWN, left=True),
    )
    rows = document["rows"]
    yield from table(columns, rows, width)
    for row in document["failed"]:
        yield from failure(row.get("artifact") or f"{row['format']} {row['precision']}", row)
    doubtful = [row for row in rows if row["reasons"]]
    if doubtful:
        yield Text()
        yield Text(
            f"{len(doubtful)} of {len(rows)} latencies must be read with a reason; accuracies, sizes and MACs stand:"
        )
        yield from verdicts([(file_name(row["artifact"]), row["verdict"], row["reasons"]) for row in doubtful])
    yield Text()
    yield from _answers(document["answers"])
    yield Text(f"{document['seconds']:.0f} s; open the report in a browser:")
    yield str(document["report"])
