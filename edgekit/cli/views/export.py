"""What `export` shows: the files that were made, each with its proof."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, failure, file_name, percent, table
from edgekit.records.own_float import FLOAT
from edgekit.util.formatting import UNKNOWN, counted, size

LEAST = 1e-5  # a relative error, below which nobody asks how much
PARITY = {True: "passed", False: "failed", None: "not run"}


def export(document: Json, width: int) -> View:
    """Yield the files, each with its proof; then what failed and why."""
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
        yield from _kept(made)
    for row in document["failed"]:
        yield from failure(f"{row['format']} {row['precision']}", row)


def _kept(made: Sequence[Json]) -> View:
    """What fewer bits leave of the network's answers, and how to measure what that costs; a note tells it of int8w."""
    told = (FLOAT, "int8w")
    rounded = [row for row in made if row["precision"] not in told and row["parity"]["top1_agreement"] is not None]
    for row in rounded:
        parity = row["parity"]
        noise = "" if parity["snr_db"] is None else f", {parity['snr_db']:.0f} dB of signal over noise"
        alike = f"{percent(parity['top1_agreement'])} of {counted(parity['told_of'], 'input')}"
        yield Text(f"{row['format']} {row['precision']} has the network's top-1 on {alike}{noise}")
    unmeasured = [row for row in rounded if row["accuracy_drop"] is None]
    if unmeasured:
        beside = [row for row in made if row["precision"] == FLOAT and row["format"] == unmeasured[0]["format"]]
        files = " ".join(row["path"] for row in (*beside, unmeasured[0]))
        yield Text(f"what that loses on labeled images: edgekit eval {files} --data IMAGES", style="dim")


def _share(value: float | None) -> str:
    """0.00012 as "0.012 %"."""
    if value is None:
        return UNKNOWN
    return f"{float(f'{100 * value:.2g}'):g} %" if value >= LEAST or not value else f"< {100 * LEAST:g} %"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else f"{value:{form}}"
