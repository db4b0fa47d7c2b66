"""What `edgekit choose` shows a person: the file and why, then what was passed over and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from edgekit.cli.tables import Column, Json, facts, interval, milliseconds, percent, table
from edgekit.records.own_float import FLOAT
from edgekit.records.reasons import causes, pooled
from edgekit.util.formatting import UNKNOWN, counted, size, some

SHOWN = 12  # candidates beside the chosen one; --json has all
NAMED = 4  # files of one reason
LIMITS = (
    ("min_top1", "top-1 at least", percent),
    ("max_drop", "loss of top-1 at most", lambda value: f"{100 * value:g} points"),
    ("max_latency_ms", "latency at most", lambda value: f"{milliseconds(value)} ms"),
    ("max_bytes", "file at most", size),
    ("max_memory_bytes", "memory at most", size),
)
COLUMNS = (
    Column("file", lambda row: row["artifact"], left=True),
    Column("sha256", lambda row: row["sha256"][:8], rank=4, left=True),
    Column("runtime", lambda row: row["runtime"] or UNKNOWN, rank=5, left=True),
    Column("top-1", lambda row: percent(row["top1"])),
    Column("95 % interval", lambda row: interval(row["top1_ci95"], percent), rank=1, full="interval of top-1"),
    Column("median ms", lambda row: milliseconds(row["median_ms"])),
    Column("95 % interval", lambda row: interval(row["ci95_ms"], milliseconds), rank=2, full="interval of the median"),
    Column("size", lambda row: size(row["bytes"]), rank=3),
    Column("memory", lambda row: size(row["peak_memory_bytes"]), rank=6),
    Column("verdict", lambda row: row["verdict"], rank=7, left=True),
    Column("outcome", lambda row: row["status"], left=True),
)


def choose(document: Json, width: int) -> Iterator[RenderableType]:
    """Yield the answer first; then the nearest candidates in a table, and a line for each that was passed over."""
    chosen, others, more = document["chosen"], document["others"][:SHOWN], document["others"][SHOWN:]
    if chosen is None:
        yield from _undecided(document)
    else:
        yield _answer(chosen, document)
    wanted = [
        f"{word} {text(document['limits'][key])}" for key, word, text in LIMITS if document["limits"][key] is not None
    ]
    yield Text(f"limits on {document['device']}: {', '.join(wanted) or 'none'}", style="dim")
    yield Text()
    yield from table(COLUMNS, [chosen] * bool(chosen) + others, width)
    yield from _passed_over(others, document)
    if more:
        outcomes = ", ".join(f"{number} {status}" for status, number in Counter(row["status"] for row in more).items())
        yield Text(
            f"({counted(len(more), 'more candidate')}: {outcomes}; --json has each with its reasons)", style="dim"
        )
    for note in document["notes"]:
        yield Text(f"note: {note}")


def _undecided(document: Json) -> Iterator[RenderableType]:
    """Why no file can be named, what to do, and which one it would be, under which condition."""
    yield Text(f"{document['verdict']}: {document['reason']}", style="red")
    if document["remedy"]:
        yield Text(f"   fix: {document['remedy']}")
    likely = document["provisional"]
    if likely is not None:
        yield facts(
            [
                ("likely", likely["path"] or likely["artifact"]),
                ("sha256", likely["sha256"]),
                ("if", likely["condition"]),
                *([("but", likely["beside_best"])] if likely["beside_best"] else []),
                *_numbers(likely, document["device"]),
            ]
        )


def _passed_over(others: Sequence[Json], document: Json) -> Iterator[RenderableType]:
    """Each reason once, with its files; what makes latencies invalid after that, unless it was said above."""
    files: dict[str, list[str]] = {}
    invalid: list[Json] = []
    for row in others:
        told = f": {causes(row['verdict'], row['verdict_reasons'])}"
        for reason in row["reasons"]:
            files.setdefault(reason.removesuffix(told), []).append(row["label"])
            invalid += [row] * (reason.endswith(told) and row not in invalid)
    for reason, names in files.items():
        yield Text(f"{reason} ({_of(names, others)})", style="dim")
    for one in pooled("invalid", [row["verdict_reasons"] for row in invalid]):
        if one.cause not in document["reason"]:
            yield Text(
                f"invalid: {one} ({_of([invalid[place]['label'] for place in one.places], invalid)})", style="dim"
            )


def _of(names: Sequence[str], every: Sequence[Json]) -> str:
    return f"all {len(names)}" if 1 < len(names) == len(every) > NAMED else some(names, NAMED)


def _answer(chosen: Json, document: Json) -> RenderableType:
    """The file, its hash, and what it was chosen for."""
    return facts(
        [
            ("ship", chosen["path"] or chosen["artifact"]),
            ("sha256", chosen["sha256"]),
            ("because", document["reason"]),
            *_numbers(chosen, document["device"]),
        ]
    )


def _numbers(row: Json, device: str) -> list[tuple[str, str]]:
    """What a file was chosen for."""
    accuracy = f"{percent(row['top1'])} (95 % {interval(row['top1_ci95'], percent)})"
    return [
        ("top-1", f"{accuracy} on {row['images']:,} images of {row['dataset']}"),
        *([("loss", _loss(row))] if row["precision"] not in (FLOAT, None) else []),
        ("latency", _latency(row, device)),
        ("size", size(row["bytes"])),
        ("memory", size(row["peak_memory_bytes"])),
    ]


def _loss(row: Json) -> str:
    """What a file lost against its own float file."""
    if row["loss"] is None:
        return f"not known: no {FLOAT} file of its network was evaluated on the same images"
    return str(row["loss"]["told"])


def _latency(row: Json, device: str) -> str:
    if row["median_ms"] is None:
        return f"not measured on {device}"
    how = (row["runtime"], row["way"], counted(row["threads"], "thread"), f"batch {row['batch']}", row["sizes"])
    told = f"{milliseconds(row['median_ms'])} ms (95 % {interval(row['ci95_ms'], milliseconds)})"
    return f"{told} on {device}, {', '.join(filter(None, how))}; {row['verdict']}"
