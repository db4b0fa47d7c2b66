"""What `bench` shows: the measurements, and below them what was compared, kept up and profiled."""

from __future__ import annotations

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, failure, file_name, interval, milliseconds, table, verdicts
from edgekit.cli.views.compare import ratios
from edgekit.cli.views.profile import profile
from edgekit.cli.views.sustained import sustained
from edgekit.util.formatting import UNKNOWN, count, size


def bench(document: Json, width: int) -> View:
    """Yield a line per measurement; what could not be measured is a dash, and why."""
    told = any(row["energy_mj"] is not None for row in document["measurements"])
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("runtime", lambda row: row["runtime"] or UNKNOWN, rank=5, left=True),
        Column("threads", lambda row: str(row["threads"]), rank=6),
        Column("batch", lambda row: str(row["batch"]), rank=4),
        Column("median ms", lambda row: milliseconds(row["median_ms"])),
        Column("95 % interval", lambda row: interval(row["ci95_ms"], milliseconds)),
        Column("p90 ms", lambda row: milliseconds(row["p90_ms"]), rank=1),
        Column("p99 ms", lambda row: milliseconds(row["p99_ms"]), rank=8),
        Column("first ms", lambda row: milliseconds(row["first_ms"]), rank=7),
        Column("load ms", lambda row: milliseconds(row["load_ms"]), rank=9),
        Column("per s", lambda row: count(row["throughput_per_s"]), rank=10),
        Column("memory", lambda row: size(row["peak_memory_bytes"]), rank=2),
        Column("runtime alone", lambda row: size(row["baseline_memory_bytes"]), rank=11),
        Column("ideal", lambda row: size(row["ideal_memory_bytes"]), rank=12),
        Column("arena", lambda row: size(row["arena_memory_bytes"]), rank=12),
        Column("harness us", lambda row: milliseconds(row["harness_us"]), rank=13),
        *([Column("energy mJ", lambda row: milliseconds(row["energy_mj"]), rank=3)] if told else ()),
        Column("verdict", lambda row: row["verdict"], left=True),
    )
    rows = document["measurements"]
    measured, failed = ([row for row in rows if bool(row["error"]) == wanted] for wanted in (False, True))
    if measured:
        yield from table(columns, rows, width)
    yield from verdicts([(file_name(row["artifact"]), row["verdict"], row["reasons"]) for row in measured])
    for row in failed:
        yield from failure(file_name(row["artifact"]), {"reason": row["error"]["message"], **row["error"]})
    if "versus" in document:
        yield Text()
        yield from ratios(document["versus"], width)
    lasting = [row for row in measured if row["sustained"]]
    if lasting:
        yield Text()
        yield from sustained(lasting, document.get("ranking", {}), width)
    for row in measured:
        if row["profile"]:
            yield from profile(row, width)
