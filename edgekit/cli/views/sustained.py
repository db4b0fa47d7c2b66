"""What sustained load shows a person: the first minute against the last, and what the device did in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from edgekit.cli.tables import Column, Json, file_name, interval, milliseconds, percent, ratio, table
from edgekit.util.formatting import UNKNOWN, fixed, span

# The facts of edgekit.stats.sustained, as a person reads them.
WORDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "celsius": ("temperature, °C", lambda value: fixed(value, 1)),
    "mhz": ("clock, MHz", lambda value: fixed(value, 0)),
    "gpu_celsius": ("temperature of the GPU, °C", lambda value: fixed(value, 1)),
    "gpu_mhz": ("clock of the GPU, MHz", lambda value: fixed(value, 0)),
    "throttled": ("windows slowed for heat or power", percent),
    "foreign_processors": ("processors that others kept busy", lambda value: fixed(value, 2)),
    "stolen": ("time that the hypervisor took", percent),
    "waited": ("time that the runner waited for a processor", percent),
    "fixed_work_us": ("small fixed work, us", lambda value: fixed(value, 0)),
}


def sustained(rows: Sequence[Json], ranking: Json, width: int) -> Iterator[RenderableType]:
    """Yield a line per file, then what the device did, then what changed places."""
    ends = span(rows[0]["sustained"]["part_seconds"])
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("windows", lambda row: str(len(row["sustained"]["windows"])), rank=3),
        Column(f"first {ends}, ms", lambda row: milliseconds(row["sustained"]["first_ms"])),
        Column(f"last {ends}, ms", lambda row: milliseconds(row["sustained"]["last_ms"])),
        Column("ratio", lambda row: fixed(row["sustained"]["ratio"], 3)),
        Column("95 % interval", lambda row: interval(row["sustained"]["ratio_ci95"], ratio)),
        Column("is", lambda row: row["sustained"]["verdict"], left=True),
        Column("settled after", lambda row: _settled(row["sustained"]["settled_s"])),
        Column("measured", lambda row: percent(row["sustained"]["measured_share"]), rank=4),
    )
    yield from table(columns, rows, width)
    yield Text()
    yield from _beside(rows, ends, width)
    for change in ranking.get("changes", ()):
        yield Text(change["words"], style="bold" if change["is_sure"] else "dim")
    if ranking and not ranking["changes"]:
        yield Text("the files keep their order from the first to the last", style="dim")


def _settled(seconds: float | None) -> str:
    return "not settled" if seconds is None else span(seconds) if seconds else "the start"


def _beside(rows: Sequence[Json], ends: str, width: int) -> Iterator[RenderableType]:
    """What the device did at both ends; of several files, in the windows of each."""
    facts = [{"file": file_name(row["artifact"]), "fact": name, **told} for row in rows for name, told in _told(row)]
    columns = (
        Column("device", lambda one: WORDS[one["fact"]][0], left=True),
        *([Column("with", lambda one: one["file"], left=True)] if len(rows) > 1 else ()),
        Column(f"first {ends}", lambda one: _shown(one, "first")),
        Column(f"last {ends}", lambda one: _shown(one, "last")),
    )
    if facts:
        yield from table(columns, facts, width)
    untold = [WORDS[name][0] for name in WORDS if name not in {one["fact"] for one in facts}]
    if untold:
        yield Text(f"not told by this device: {'; '.join(untold)}", style="dim")


def _told(row: Json) -> Iterator[tuple[str, Json]]:
    for name, told in row["sustained"]["facts"].items():
        if told["first"] is not None or told["last"] is not None:
            yield name, told


def _shown(one: Json, end: str) -> str:
    return UNKNOWN if one[end] is None else WORDS[one["fact"]][1](one[end])
