"""What each command shows a person: one function per command, from its documented JSON to renderables.

A plain string is printed as it is; what rich renders is wrapped to the terminal.
"""

from __future__ import annotations

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, failure, file_name, interval, milliseconds, table, verdicts
from edgekit.cli.views.compare import ratios
from edgekit.cli.views.profile import profile
from edgekit.cli.views.sustained import sustained
from edgekit.util.formatting import UNKNOWN, count, size


def export(document: Json, width: int) -> View:
    """The files, each with its proof; then what failed and why."""
    columns = (
        Column("file", lambda row: file_name(row["path"]), left=True),
        Column("size", lambda row: size(row["bytes"])),
        Column("seconds", lambda row: f"{row['seconds']:.1f}", rank=1),
        Column("cosine", lambda row: _number(row["parity"]["cosine"], ".6f"), rank=3),
        Column("largest error", lambda row: _share(row["parity"]["max_rel_error"]), rank=2),
        Column("parity", lambda row: PARITY[row["parity"]["passed"]]),
    )
    made = document["artifacts"]
    if made:
        yield from table(columns, made, width)
        yield Text(f"in {made[0]['path'].rpartition('/')[0] or '.'}/", style="dim")
        judged = {row["precision"]: row["parity"]["asked"] for row in made if row["parity"]["passed"] is not None}
        yield from (Text(f"{precision} passes with {asked}", style="dim") for precision, asked in judged.items())
    for row in document["failed"]:
        yield from failure(f"{row['format']} {row['precision']}", row)


LEAST = 1e-5  # a relative error, below which nobody asks how much
PARITY = {True: "passed", False: "failed", None: "not run"}


def _share(value: float | None) -> str:
    """0.00012 as "0.012 %"."""
    if value is None:
        return UNKNOWN
    return f"{float(f'{100 * value:.2g}'):g} %" if value >= LEAST or not value else f"< {100 * LEAST:g} %"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else f"{value:{form}}"


def bench(document: Json, width: int) -> View:
    """A line per measurement; what could not be measured is a dash, and why."""
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


def weights_list(document: Json, width: int) -> View:
    """The published weights, a file a line."""
    columns = (
        Column("name", lambda row: row["name"], left=True),
        Column("network", lambda row: row["model"], rank=3, left=True),
        Column("alpha", lambda row: f"{row['alpha']:g}", rank=4),
        Column("resolution", lambda row: str(row["resolution"] or "any"), rank=4),
        Column("published sha256", lambda row: (row["sha256"] or "none")[:12], rank=1, left=True),
        Column("here", lambda row: "yes" if row["path"] else UNKNOWN, left=True),
        Column("license", lambda row: row["license"].partition(";")[0], rank=2, left=True),
    )
    yield from table(columns, document["weights"], width)
    yield Text(f"kept in {document['folder']}", style="dim")


def weights_pull(document: Json, width: int) -> View:
    """The files that are here now, and what is known of each."""
    for row in document["pulled"]:
        bits = row["hash_bits"]
        checked = f"checked by {bits} bits of its hash" if 0 < bits < 256 else "as published"
        checked = checked if row["checked"] else "as first seen: none is published"
        yield str(row["path"])
        pairs = [("sha256", f"{row['sha256']} ({checked})"), ("license", row["license"])]
        yield facts(pairs + [("note", row["note"])] * bool(row["note"]))
    for row in document["failed"]:
        yield from failure(row["name"], row)
