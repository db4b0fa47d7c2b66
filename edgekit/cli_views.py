"""What each command shows a person: one function per command, from its documented JSON to renderables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from edgekit.cli_tables import (
    UNKNOWN,
    Column,
    Json,
    count,
    facts,
    file_name,
    interval,
    milliseconds,
    percent,
    shape,
    size,
    table,
)

View = Iterator[RenderableType]


def models(document: Json, width: int) -> View:
    """The zoo, a network a line."""
    columns = (
        Column("network", lambda row: row["name"], left=True),
        Column("input", lambda row: shape(row["input_shape"])),
        Column("parameters", lambda row: count(row["params"])),
        Column("MACs", lambda row: count(row["macs"])),
        Column("published top-1", lambda row: percent(_own_published(row).get("top1"))),
        Column("top-5", lambda row: percent(_own_published(row).get("top5")), rank=2),
        Column("alphas", lambda row: " ".join(f"{alpha:g}" for alpha in row["alphas"]) or UNKNOWN, rank=1, left=True),
    )
    yield from table(columns, document["models"], width)


def _own_published(row: Json) -> Json:
    """The published row of the network at full width and its own resolution, where there is one."""
    own = row["input_shape"][-1]
    rows = (p for p in row["published"] if p.get("alpha", 1.0) == 1.0 and p.get("resolution") in (None, own))
    return dict(max(rows, key=lambda p: p["top1"] is not None, default={}))


def summary(document: Json, width: int) -> View:
    """The layers, their sums, and where the MACs are."""
    columns = (
        Column("layer", lambda row: row["name"], left=True),
        Column("kind", lambda row: str(row.get("kind") or row["op"]), left=True),
        Column("output", lambda row: shape(row["output_shape"]), rank=1),
        Column("parameters", lambda row: f"{row['params']:,}"),
        Column("MACs", lambda row: f"{row['macs']:,}"),
        Column("activations", lambda row: f"{row['activation_elements']:,}", rank=3),
        Column("sees", lambda row: f"{row['receptive_field']} px", rank=2),
    )
    yield from table(columns, document["layers"], width)
    yield Text()
    yield facts(
        [
            ("variant", document["variant"]),
            ("input", shape(document["input_shape"])),
            ("parameters", f"{document['params']:,}"),
            ("MACs", f"{document['macs']:,}"),
            ("activations", f"{document['activation_elements']:,} elements"),
            ("MACs by kind", _shares(document["layers"])),
            *(("not counted", name) for name in document["uncounted"]),
        ]
    )


def _shares(layers: list[Json]) -> str:
    sums: dict[str, int] = {}
    for row in layers:
        kind = str(row.get("kind") or row["op"])
        sums[kind] = sums.get(kind, 0) + row["macs"]
    total = sum(sums.values())
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {percent(macs / total)}" for kind, macs in ordered if macs) or UNKNOWN


def export(document: Json, width: int) -> View:
    """The files, each with its proof; then what failed and why."""
    columns = (
        Column("file", lambda row: file_name(row["path"]), left=True),
        Column("size", lambda row: size(row["bytes"])),
        Column("seconds", lambda row: f"{row['seconds']:.1f}", rank=1),
        Column("cosine", lambda row: f"{row['parity']['cosine']:.6f}", rank=3),
        Column("largest error", lambda row: f"{row['parity']['max_abs_error']:.1e}", rank=2),
        Column("parity", lambda row: "passed" if row["parity"]["passed"] else "failed"),
    )
    made = document["artifacts"]
    if made:
        yield from table(columns, made, width)
        yield Text(f"in {made[0]['path'].rpartition('/')[0] or '.'}/", style="dim")
    for row in document["failed"]:
        yield Text(f"failed: {row['format']} {row['precision']}: {row['reason']}", style="red")
        if row.get("remedy"):
            yield Text(f"   fix: {row['remedy']}")


def bench(document: Json, width: int) -> View:
    """A line per measurement; a failure is a dash and its reasons."""
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("runtime", lambda row: row["runtime"] or UNKNOWN, rank=5, left=True),
        Column("threads", lambda row: str(row["threads"]), rank=6),
        Column("batch", lambda row: str(row["batch"]), rank=4),
        Column("median ms", lambda row: milliseconds(row["median_ms"])),
        Column("95 % interval", lambda row: interval(row["ci95_ms"], milliseconds)),
        Column("p90", lambda row: milliseconds(row["p90_ms"]), rank=1),
        Column("p99", lambda row: milliseconds(row["p99_ms"]), rank=8),
        Column("first", lambda row: milliseconds(row["first_ms"]), rank=7),
        Column("load", lambda row: milliseconds(row["load_ms"]), rank=9),
        Column("per s", lambda row: count(row["throughput_per_s"]), rank=10),
        Column("memory", lambda row: size(row["peak_memory_bytes"]), rank=2),
        Column("verdict", lambda row: row["verdict"], rank=3, left=True),
    )
    rows = document["measurements"]
    yield from table(columns, rows, width)
    for row in rows:
        for reason in row.get("reasons") or ():
            yield Text(f"{file_name(row['artifact'])}: {reason}", style="dim")


def eval(document: Json, width: int) -> View:
    """A line per file."""
    columns = (
        Column("file", lambda row: file_name(row["artifact"]), left=True),
        Column("images", lambda row: str(row["n"])),
        Column("top-1", lambda row: percent(row["top1"])),
        Column("95 % interval", lambda row: interval(row["top1_ci95"], percent)),
        Column("top-5", lambda row: percent(row["top5"]), rank=1),
        Column("images/s", lambda row: count(row["images_per_second"]), rank=2),
    )
    yield from table(columns, document["results"], width)


def report(document: Json, width: int) -> View:
    """The files that were written."""
    yield facts(
        (key, "\n".join(map(str, value)) if isinstance(value, list) else str(value)) for key, value in document.items()
    )


def inspect(document: Json, width: int) -> View:
    """What a file is; its operators and its snippet where they were asked for."""
    snippet = document.get("snippet")
    layers = document.get("layers")
    yield facts((key, _plain(value)) for key, value in document.items() if key not in ("snippet", "layers"))
    if layers:
        yield Text()
        yield from (Text(_plain(row)) for row in layers)
    if snippet:
        yield Text()
        yield Text(snippet)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value) or UNKNOWN
    return UNKNOWN if value is None else str(value)


def devices(document: Json, width: int) -> View:
    """A device a line."""
    columns = (
        Column("device", lambda row: row["name"], left=True),
        Column("link", lambda row: _plain(row.get("link")), left=True),
        Column("runtimes", lambda row: _plain(row.get("runtimes")), left=True),
    )
    yield from table(columns, document["devices"], width)


def doctor(document: Json, width: int) -> View:
    """The machine, then what is installed, then what to do about what is not."""
    machine = document["machine"]
    yield facts((key.replace("_", " "), _plain(value)) for key, value in machine.items())
    yield Text()
    columns = (
        Column("package", lambda row: row["package"], left=True),
        Column("version", lambda row: row["version"] or "missing", left=True),
        Column("for", lambda row: row["purpose"], left=True),
        Column("to install", lambda row: "" if row["version"] else row["install"], rank=1, left=True),
    )
    yield from table(columns, document["packages"], width)


def demo(document: Json, width: int) -> View:
    """Accuracy and latency of every file, then the path of the report."""
    columns = (
        Column("file", lambda row: row["artifact"], left=True),
        Column("size", lambda row: size(row["bytes"]), rank=1),
        Column("MACs", lambda row: count(row["macs"]), rank=2),
        Column("top-1", lambda row: percent(row["top1"])),
        Column("median ms", lambda row: milliseconds(row["median_ms"])),
    )
    yield from table(columns, document["rows"], width)
    yield Text()
    yield Text(document["report"])
