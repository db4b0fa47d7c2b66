"""What `edgekit eval` shows a person: accuracies, where they are lost, and whether limits hold."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, failure, file_name, interval, percent, table
from edgekit.evaluation.pairs import in_words
from edgekit.evaluation.result import without_trivial
from edgekit.util.formatting import count


def eval(document: Json, width: int) -> View:
    """Yield a line per file, each against its base on the same images, and the gates; then where a file errs."""
    results = list(map(without_trivial, document["results"]))
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("images", lambda row: str(row["n"])),
        Column("top-1", lambda row: percent(row["top1"])),
        Column("95 % interval", lambda row: interval(row["top1_ci95"], percent)),
        *(
            [Column("top-5", lambda row: percent(row["top5"]), rank=1)]
            if any(row["top5"] is not None for row in results)
            else []
        ),
        Column("images/s", lambda row: count(row["images_per_second"]), rank=2),
    )
    if results:
        yield from table(columns, results, width)
    yield from map(Text, map(in_words, document["paired"]))
    for gate in document["gates"]:
        yield Text(f"{file_name(gate['artifact'])}: {gate['reason']}", style="" if gate["passed"] else "red")
    for row in document["failed"]:
        yield from failure(file_name(row["artifact"]), row)
    yield from _mistakes(document["results"])


def _mistakes(results: Sequence[Json]) -> View:
    """Where one file errs; of several, where that is told."""
    if len(results) > 1:
        yield Text("(where each file errs: eval of one file, --csv DIR, or --json)", style="dim")
        return
    for row in results:
        for what, told in (row["breakdown"] or {}).get("summary", {}).items():
            yield Text(f"{what}: {told}", style="dim")
