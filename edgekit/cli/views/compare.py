"""What `compare` shows a person: ratios of latencies and what each verdict rests on."""

from __future__ import annotations

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, file_name, interval, milliseconds, ratio, table, verdicts
from edgekit.util.formatting import UNKNOWN

INVALID = " is invalid: "  # in a reason, between the name of a file and why


def compare(document: Json, width: int) -> View:
    """Yield a line per cell, why, the other limits, and what came of each."""
    if document["rows"]:
        yield from ratios(document["rows"], width)
    for check in document["checks"]:
        word = "failed" if check["passed"] is False else check["verdict"]
        told = f"{check['gate']}: {word}: {check['name']}: {check['reason']}"
        yield Text(told, style="red" if word == "failed" else "")
    if document["note"]:
        yield Text(document["note"])
    yield Text(document["outcome"])
    if document["remedy"]:
        yield Text(f"   fix: {document['remedy']}")


def ratios(rows: list[Json], width: int) -> View:
    """Latencies against those of a base, then what each verdict rests on."""
    columns = (
        Column("file", lambda row: row.get("name") or file_name(row["new"]), left=True),
        Column("base", lambda row: UNKNOWN if "name" in row else file_name(row["base"]), rank=3, left=True),
        Column("base ms", lambda row: milliseconds(row.get("base_ms")), rank=1),
        Column("new ms", lambda row: milliseconds(row.get("new_ms")), rank=2),
        Column("ratio", lambda row: UNKNOWN if row["ratio"] is None else f"{row['ratio']:.3f}"),
        Column("95 % interval", lambda row: interval(row["ratio_ci95"], ratio)),
        Column("verdict", lambda row: row["verdict"] if row["status"] == "measured" else row["status"], left=True),
    )
    empty = {"base"} if rows and "name" in rows[0] else {"base ms", "new ms"}  # with --versus they stand above
    yield from table([column for column in columns if column.title not in empty], rows, width)
    names = _short(rows)
    invalid = [row for row in rows if row["status"] == "invalid"]
    for reason in dict.fromkeys(row["reason"] for row in rows if row not in invalid):
        yield Text(reason, style="dim")
    told = dict.fromkeys(_whose(row, names) for row in invalid)
    others = [names[row["name"]] for row in rows if "name" in row and row not in invalid]
    of_all: list[tuple[str, str, list[str]]] = [(name, "invalid", [f"invalid: {why}"]) for name, why in told]
    yield from verdicts([*of_all, *((name, "valid", []) for name in others)])


def _short(rows: list[Json]) -> dict[str, str]:
    """The names of cells without their places, where these tell them apart."""
    short = {row["name"]: row["name"].partition(" on ")[0] for row in rows if "name" in row}
    return short if len(set(short.values())) == len(short) else {name: name for name in short}


def _whose(row: Json, names: dict[str, str]) -> tuple[str, str]:
    """A file and why it is invalid. With --versus the reason names it; in `compare` it tells whose it is."""
    if "name" in row:
        return names[row["name"]], row["reason"]
    name, _, why = row["reason"].partition(INVALID)
    return name, why
