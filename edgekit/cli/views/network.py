"""What `models` and `summary` show a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, fitting, milliseconds, percent, table
from edgekit.cli.written import Fields
from edgekit.network.facts import facts_of
from edgekit.util.formatting import UNKNOWN, count, shape_text

MARK = "*"


# What a table for another program has of a network, and of a layer.
MODELS: Fields = {
    "network": lambda row: row["name"],
    "family": lambda row: row["family"],
    "input": lambda row: shape_text(row["input_shape"]),
    "parameters": lambda row: row["params"],
    "MACs": lambda row: row["macs"],
    "activations": lambda row: row["activation_elements"],
    "published top-1": lambda row: _own_published(row).get("top1"),
    "published top-5": lambda row: _own_published(row).get("top5"),
    "source": lambda row: _own_published(row).get("source", ""),
}
LAYERS: Fields = {
    "variant": lambda row: row["variant"],
    "layer": lambda row: row["name"],
    "kind": lambda row: row["kind"],
    "output": lambda row: shape_text(row["output_shape"]),
    "activations": lambda row: row["activation_elements"],
    "parameters": lambda row: row["params"],
    "MACs": lambda row: row["macs"],
    "receptive field": lambda row: row["receptive_field"],
}


SUMS = (
    Column("network", lambda row: row["variant"], left=True),
    Column("input", lambda row: shape_text(row["input_shape"]), rank=1),
    Column("parameters", lambda row: f"{row['params']:,}"),
    Column("MACs", lambda row: f"{row['macs']:,}"),
    Column("activations", lambda row: f"{row['activation_elements']:,}", rank=2),
)


def layers(documents: Sequence[Json], sums: bool) -> list[Json]:
    """Return the layers that hold or compute anything, each with its variant, and with `sums` what they add up to."""
    return [
        {**row, "variant": one["variant"]}
        for one in documents
        for row in [*filter(_holds, one["layers"]), *[_sum(one)] * sums]
    ]


def _holds(row: Json) -> bool:
    return bool(row["activation_elements"] or row["params"] or row["macs"])


def _sum(document: Json) -> Json:
    total = {key: document[key] for key in ("params", "macs", "activation_elements")}
    return {"name": "sum", "kind": "", "op": "", "output_shape": (), "receptive_field": None, **total}


def models(document: Json, width: int) -> View:
    """Yield the zoo, a network a line; a published count that does not follow from the definition is marked."""
    columns = (
        Column("network", lambda row: row["name"], left=True),
        Column("input", lambda row: shape_text(row["input_shape"]), rank=1),
        Column("parameters", lambda row: count(row["params"])),
        Column("published", lambda row: _printed(row, "params"), rank=3, full="published parameters"),
        Column("MACs", lambda row: count(row["macs"])),
        Column("published", lambda row: _printed(row, "macs"), rank=3, full="published MACs"),
        Column("published top-1", lambda row: percent(_own_published(row).get("top1"))),
        Column("top-5", lambda row: percent(_own_published(row).get("top5")), rank=4),
        Column("by", lambda row: _by(_own_published(row)), rank=2, left=True, full="by whom"),
        Column("alphas", lambda row: " ".join(f"{alpha:g}" for alpha in row["alphas"]) or UNKNOWN, rank=2, left=True),
    )
    rows = document["models"]
    yield from table(columns, rows, width)
    if any(MARK in column.text(row) for column in fitting(columns, rows, width)[0] for row in rows):
        yield Text(f"{MARK} differs from the exact count by more than rounding; docs/errata.md says why", style="dim")


def _printed(row: Json, what: str) -> str:
    """A published count of the network's own point: one that differs where there is one, else the first."""
    rows = [published for published in row["published"] if published[f"{what}_agrees"] is not None]
    wrong = [published for published in rows if not published[f"{what}_agrees"]]
    if not rows:
        return UNKNOWN
    return f"{count((wrong or rows)[0][what])}{MARK if wrong else ' '}"


def _own_published(row: Json) -> Json:
    """The published row of the network's own point that tells its accuracy, of one crop where there is one."""
    own = row["input_shape"][-1]
    rows = (p for p in row["published"] if (p["alpha"], p["options"]) == (1.0, {}) and p["resolution"] in (None, own))
    return dict(max(rows, key=lambda p: (p["top1"] is not None, p.get("one_crop", True)), default={}))


def _by(row: Json) -> str:
    """Who printed a figure, without where: --json has the whole source."""
    return str(row.get("source", UNKNOWN)).partition(",")[0]


def summary(document: Json, width: int) -> View:
    """Yield the table that lectures draw; of several a line for each first, and then the tables after each other."""
    several = document.get("summaries", [])
    if several:
        yield from table(SUMS, several, width)
    for one in several or [document]:
        yield from [Text()] * bool(several)
        yield from _summary(one, width)


def _summary(document: Json, width: int) -> View:
    """The layers that hold or compute anything, their sums, and where most of it is."""
    columns = (
        Column("layer", lambda row: row["name"], left=True),
        Column("kind", lambda row: str(row.get("kind") or row["op"]), left=True),
        Column("output", lambda row: shape_text(row["output_shape"]), rank=1),
        Column("activations", lambda row: f"{row['activation_elements']:,}", rank=3),
        Column("parameters", lambda row: f"{row['params']:,}"),
        Column("MACs", lambda row: f"{row['macs']:,}"),
        Column("sees", lambda row: f"{row['receptive_field']} px" if row["receptive_field"] else "", rank=2),
    )
    layers = document["layers"]
    shown = list(filter(_holds, layers))
    yield from table(columns, [*shown, _sum(document)], width)
    if len(shown) < len(layers):
        yield Text(f"({len(layers) - len(shown)} layers that hold and compute nothing here are in --json)", style="dim")
    yield Text()
    yield facts(facts_of(document))
    yield Text()
    yield from (Text(sentence) for sentence in document["where"])


def zoo(document: Json, width: int) -> View:
    """Published accuracy over exact counts, then what is printed about them, and the page."""
    columns = (
        Column("network", lambda row: row["variant"], left=True),
        Column("MACs", lambda row: count(row["macs"])),
        Column("parameters", lambda row: count(row["params"])),
        Column("published top-1", lambda row: percent(row["top1"])),
        Column("by", _by, rank=2, left=True, full="by whom"),
        Column("points per M parameters", lambda row: f"{row['top1_points_per_million_params']:.2f}", rank=3),
        Column("fp32 ms", lambda row: milliseconds(row["ms"]["fp32"]), rank=1),
        Column("int8 ms", lambda row: milliseconds(row["ms"]["int8"]), rank=2),
        Column("front", lambda row: "front" if row["front"] else "", rank=4),
    )
    yield from table(columns, document["points"], width)
    yield Text()
    claims = (
        Column("printed", lambda row: row["text"], left=True),
        Column("of", lambda row: f"{row['large']} over {row['small']}", rank=2, left=True),
        Column("exact", lambda row: f"{row['ratio']:.2f}"),
        Column("follows", lambda row: row["follows"], left=True),
        Column("by", lambda row: row["source"], rank=3, left=True),
    )
    yield from table(claims, document["comparisons"], width)
    yield from document["paths"]
