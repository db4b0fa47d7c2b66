"""What `edgekit bench --profile` shows a person: the layers that cost the time, and how near they come to the roofs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from edgekit.cli.tables import Column, Json, file_name, milliseconds, percent, table
from edgekit.util.formatting import UNKNOWN, count, counted, some

MOST = 12  # layers; all of them are in --json and in the report
ABSENT = 5  # layers without an operator that are named


def profile(row: Json, width: int) -> Iterator[RenderableType]:
    """Yield the slowest layers of one measurement, what the rest took, and the network as a whole."""
    found = row["profile"]
    yield Text()
    yield Text(f"{file_name(row['artifact'])} by layer, on {row['runtime']}", style="bold")
    for reason in found["reasons"]:
        yield Text(f"no profile: {reason}" if not found["layers"] else reason, style="dim")
    if not found["layers"]:
        return
    columns = (
        Column("layer", lambda one: one["name"], left=True),
        Column("kind", lambda one: one["kind"] or _no_kind(one), rank=3, left=True),
        Column("ms", lambda one: milliseconds(one["ms"])),
        Column("share", lambda one: percent(one["share"])),
        Column("MACs", lambda one: count(one["macs"]), rank=6),
        Column("GMAC/s", lambda one: _rate(one["gmacs_per_s"]), rank=4),
        Column("of peak", lambda one: percent(one["peak_share"]), rank=1),
        Column("GB/s", lambda one: _rate(one["gbytes_per_s"]), rank=5),
        Column("MACs/byte", lambda one: _rate(one["intensity"]), rank=7),
        Column("bound by", lambda one: one["bound"] or UNKNOWN, rank=2, left=True),
        Column("run as", lambda one: one["operators"], rank=8, left=True),
    )
    slowest = sorted(found["layers"], key=lambda one: -one["ms"])
    yield from table(columns, slowest[:MOST], width)
    rest = slowest[MOST:]
    if rest:
        yield Text(f"and {len(rest)} more in {milliseconds(sum(one['ms'] for one in rest))} ms", style="dim")
    for line in sentences(found, row["median_ms"]):
        yield Text(line, style="dim")


def _no_kind(one: Json) -> str:
    return "operator" if one["name"] != one["operators"].rpartition(" x ")[2] else "the runtime's own"


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"


def sentences(found: Json, median_ms: float | None) -> Iterator[str]:
    """The network against the machine's peaks, the sum of the layers against the whole, and what the profiler adds."""
    peaks, rate = found["peaks"], found["gmacs_per_s"]
    if peaks and rate is not None:
        share, threads = percent(found["peak_share"]), counted(peaks["threads"], "thread")
        yield f"the network reaches {_rate(rate)} GMAC/s, {share} of this machine's peak with {threads}"
    if peaks:
        kinds = [(kind, f"gemm_{kind}_gmacs", f"gemm_{kind}_by", "GMAC/s") for kind in ("float32", "int8")]
        said = [
            f"{name} {_rate(peaks[value])} {unit} ({peaks[by]})"
            for name, value, by, unit in (*kinds, ("copy", "copy_gbytes", "copy_by", "GB/s"))
        ]
        yield f"peaks: {'; '.join(said)}"
    between = found["between_ms"]
    beside = "" if between is None else f", {milliseconds(between)} ms are between them"
    with_it, without, measured = (milliseconds(ms) for ms in (found["profiled_ms"], found["plain_ms"], median_ms))
    yield f"the layers sum to {milliseconds(found['sum_ms'])} ms{beside}"
    yield f"whole: {with_it} ms with the profiler, {without} ms without it in that process, {measured} ms as measured"
    if found["absent"]:
        absent = found["absent"]
        yield f"no operator was found for {counted(len(absent), 'layer')}: {some(absent, ABSENT)}"
    yield found["method"]
