"""What `weights` shows: those that are published, and those that were downloaded."""

from __future__ import annotations

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, failure, table
from edgekit.util.formatting import UNKNOWN


def listing(document: Json, width: int) -> View:
    """Yield the published weights, a file a line."""
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


def pulled(document: Json, width: int) -> View:
    """Yield the files that are here now, and what is known of each."""
    for row in document["pulled"]:
        bits = row["hash_bits"]
        checked = f"checked by {bits} bits of its hash" if 0 < bits < 256 else "as published"
        checked = checked if row["checked"] else "as first seen: none is published"
        yield str(row["path"])
        pairs = [("sha256", f"{row['sha256']} ({checked})"), ("license", row["license"])]
        yield facts(pairs + [("note", row["note"])] * bool(row["note"]))
    for row in document["failed"]:
        yield from failure(row["name"], row)
