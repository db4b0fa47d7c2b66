"""What `sweep` shows: the cells with what was found or is planned, then what is invalid, and what failed."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, interval, milliseconds, percent, table, verdicts
from edgekit.sweeps.estimate import told
from edgekit.sweeps.grid.axes import VARIED
from edgekit.util.formatting import UNKNOWN, counted, some

WAYS = (*VARIED, "runtime", "provider", "delegate", "threads", "batch", "power_mode")
LOG_LINES = 4
SHOWN = 200  # rows: more are for --json
# The last columns: of what was done, and of a plan.
DONE = (
    Column("median ms", lambda row: milliseconds(_of(row, "measurement", "median_ms"))),
    Column("95 % interval", lambda row: interval(_of(row, "measurement", "ci95_ms"), milliseconds), rank=3),
    Column("top-1", lambda row: percent(_of(row, "accuracy", "top1"))),
    Column("verdict", lambda row: _of(row, "measurement", "verdict") or UNKNOWN, left=True),
    Column("status", lambda row: row["status"], rank=1, left=True),
)
PLAN = (
    Column("there", lambda row: ", ".join(row["there"]) or UNKNOWN, rank=1, left=True),
    Column("to do", lambda row: ", ".join(row["todo"]) or UNKNOWN, left=True),
    Column("status", lambda row: row["status"], left=True),
)


def sweep(document: Json, width: int) -> View:
    """Yield a line per cell, then what failed, each reason once."""
    cells = document["cells"]
    columns = (
        Column("network", lambda row: row["variant"], left=True),
        Column("format", lambda row: row["format"], left=True),
        Column("precision", lambda row: row["precision"], left=True),
        Column("device", _where, rank=4, left=True),
        *(_way(key) for key in WAYS if len({row.get(key) for row in cells}) > 1),
        *(PLAN if document["dry_run"] else DONE),
    )
    yield from table(columns, cells[:SHOWN], width)
    if len(cells) > SHOWN:
        yield Text(f"and {len(cells) - SHOWN:,} more: see --json", style="dim")
    yield from (Text(f"{_made(row)}: {row['loss']['told']}") for row in _of_each_file(cells) if row["loss"])
    yield from _verdicts(document)
    yield from _failures(cells)
    remarks = ((row["accuracy"] or {}).get("remark") for row in cells)
    yield from (Text(f"note: {remark}") for remark in dict.fromkeys(filter(None, remarks)))
    yield Text()
    yield _sum(document)


def _of_each_file(cells: list[Json]) -> list[Json]:
    """A cell of each file, wherever else it was measured."""
    return list({row["sha256"]: row for row in reversed(cells)}.values())[::-1]


def _verdicts(document: Json) -> View:
    """Why latencies are not valid, each reason once, and how to measure the invalid ones again."""
    measured = [(row, row["measurement"]) for row in document["cells"] if row["measurement"]]
    yield from verdicts([(_named(row), one["verdict"], one["reasons"]) for row, one in measured])
    if any(one["verdict"] == "invalid" for _, one in measured):
        same = "" if document["preset"] == "default" else f" --preset {document['preset']}"
        yield Text(
            f"   fix: sweep again with --continue{same}, while the devices do nothing else: it redoes what is invalid"
        )


def _failures(cells: list[Json]) -> View:
    """Each reason once, with the cells of it, and what was said at the end of the first."""
    reasons: dict[tuple[str, str], list[Json]] = {}
    for row in cells:
        if row["status"] == "failed":
            reasons.setdefault((row["reason"], row["remedy"]), []).append(row)
    for (reason, remedy), rows in reasons.items():
        names = some(list(dict.fromkeys(map(_failed, rows))))
        yield Text(f"failed: {names}: {reason}", style="red")
        yield Text(f"   fix: {remedy}")
        for line in rows[0]["log"][-LOG_LINES:]:
            yield Text(f"   | {line}", style="dim")


def _named(row: Json) -> str:
    """A cell by its file and, where it was measured on another device, that."""
    device = _of(row, "measurement", "device")
    where = f" on {device}" if device not in (None, "local") else ""
    return f"{_made(row)}{where}"


def _made(row: Json) -> str:
    return f"{row['variant']} {row['format']} {row['precision']}"


def _failed(row: Json) -> str:
    where = f" on {row['tried_on']}" if row["tried_on"] else ""
    often = f" ({row['attempts']} times)" if row["attempts"] > 1 else ""
    return f"{_made(row)}{where}{often}"


def _sum(document: Json) -> Text:
    counts = {
        status: sum(row["status"] == status for row in document["cells"])
        for status in ("planned", "done", "cached", "failed")
    }
    said = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number) or "no cells"
    cells = counted(len(document["cells"]), "cell")
    if document["dry_run"]:
        return Text(f"{cells}: {said}; about {told(document['seconds'])} of work on a quiet machine")
    return Text(f"{cells}: {said}; {document['seconds']:.0f} s")


def _where(row: Json) -> str:
    """The device that measured, and the pool that it was chosen from."""
    device, pool = _of(row, "measurement", "device"), row["device"]
    return pool or UNKNOWN if device in (None, pool) else f"{device} of {pool}"


def _way(key: str) -> Column:
    """One of the ways to run a file, where the cells differ in it."""
    return Column(key.replace("_", " "), lambda row: str(UNKNOWN if row.get(key) is None else row[key]), left=True)


def _of(row: Json, part: str, key: str) -> Any:
    return row[part][key] if row[part] else None
