"""The report as text for other programs and for a pull request: Markdown, CSV and JSON. Needs nothing but Python."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import edgekit
from edgekit.choosing.decide import Decision
from edgekit.records.reasons import LEVELS, each_once
from edgekit.reporting.answer import Answer, named
from edgekit.reporting.by_device import by_device
from edgekit.reporting.rows import Row
from edgekit.util.formatting import (
    UNKNOWN,
    counted,
    csv_cell,
    fixed,
    in_markdown,
    json_escaped,
    sentence_in_markdown,
    some,
)

NESTED = ("published", "missing", "provenance", "quantiles_ms", "profile", "sustained")  # in the JSON report only


def as_json(rows: Sequence[Row], created: str, answers: Sequence[Answer] = ()) -> str:
    """Everything, with units in the keys; what is not known is null and its reason is under `missing`."""
    document = {
        "edgekit": edgekit.__version__,
        "created": created,
        "answers": [one.to_json() for one in answers],
        "rows": [row.to_json() for row in rows],
    }
    return json_escaped(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Return a line a row; intervals as two columns, what is not known as an empty field, lists joined by `; `."""
    lines = [_values(row) for row in rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _values(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in row.to_json().items():
        if name in NESTED:
            continue
        if name.endswith(("_ci95", "ci95_ms")):
            values[f"{name}_low"], values[f"{name}_high"] = value or (None, None)
        else:
            values[name] = _value(value)
    return values


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        value = "; ".join(map(str, value))
    return csv_cell(value) if isinstance(value, str) else value


def _number(digits: int, scale: float = 1.0) -> Callable[[Any], str]:
    return lambda value: UNKNOWN if value is None else fixed(value * scale, digits)


def _text(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


Show = Callable[[Row], str]
TABLE: tuple[tuple[str, bool, Show], ...] = (
    ("Network", False, lambda row: row.variant),
    ("Precision", False, lambda row: _text(row.precision)),
    ("Format", False, lambda row: row.format),
    ("Runtime", False, lambda row: " ".join(filter(None, (row.runtime, row.runtime_version))) or UNKNOWN),
    ("Setting", False, lambda row: _text(row.setting)),
    ("Latency, ms (95 %)", True, lambda row: _with(row.median_ms, row.ci95_ms, _number(3))),
    ("p90, ms", True, lambda row: _number(3)(row.p90_ms)),
    ("Top-1, % (95 %)", True, lambda row: _with(row.top1, row.top1_ci95, _number(1, 100))),
    ("Top-5, %", True, lambda row: _number(1, 100)(row.top5)),
    ("n", True, lambda row: _number(0)(row.images)),
    ("MACs, M", True, lambda row: _number(2, 1e-6)(row.macs)),
    ("File, MB", True, lambda row: _number(2, 1e-6)(row.bytes)),
    ("Memory, MB", True, lambda row: _number(1, 1e-6)(row.peak_memory_bytes)),
    ("Parity", False, lambda row: {True: "passed", False: "failed", None: UNKNOWN}[row.parity]),
    ("Verdict", False, lambda row: row.verdict),
    ("sha256", False, lambda row: row.sha256[:12]),
)


def _with(value: float | None, interval: tuple[float, float] | None, show: Callable[[Any], str]) -> str:
    if not interval:
        return show(value)
    spread = "no spread" if interval[0] == interval[1] else f"{show(interval[0])} to {show(interval[1])}"
    return f"{show(value)} ({spread})"


def as_markdown(rows: Sequence[Row], cautions: Sequence[str], created: str, answers: Sequence[Answer] = ()) -> str:
    """Return the answers, then a table for a pull request; a bold latency is on the front of its conditions."""
    lines = ["# edgekit report", "", *map(_answer, answers), ""]
    lines += [f"{counted(len(rows), 'row')}, written {created} by edgekit {edgekit.__version__}.", ""]
    lines += [f"> {text}\n" for text in map(sentence_in_markdown, cautions)]
    return "\n".join([*lines, *(_table(rows) if rows else [])])


def _table(rows: Sequence[Row]) -> list[str]:
    """The rows as a table, and what must be read with it."""
    lines = ["| " + " | ".join(title for title, _, _ in TABLE) + " |"]
    lines.append("|" + "|".join("---:" if numeric else "---" for _, numeric, _ in TABLE) + "|")
    for row in rows:
        values = [in_markdown(show(row)) for _, _, show in TABLE]
        if row.front_latency:
            values[5] = f"**{values[5]}**"
        lines.append("| " + " | ".join(values) + " |")
    notes = (
        "Latency is the median of one inference of the whole batch; bold: on the Pareto front of accuracy over latency."
    )
    unknown = f"`{UNKNOWN}` is not known, never zero."
    return [*lines, "", *_reasons(rows), *_devices(rows), notes, unknown, ""]


def _answer(one: Answer) -> str:
    """One line: the file to ship with its hash and why, or why none can be named."""
    where, chosen = in_markdown(one.setting or "any device"), one.decision.chosen
    if chosen is None:
        said = "; ".join(filter(None, (one.decision.reason, one.decision.remedy)))
        return (
            f"- No file can be named for {where}: {sentence_in_markdown(said)}.{_likely(one.decision)}{_by_format(one)}"
        )
    row = chosen.row
    numbers = (
        f"top-1 {_with(row.top1, row.top1_ci95, _number(1, 100))} %",
        f"{_with(row.median_ms, row.ci95_ms, _number(3))} ms ({row.verdict})",
        f"{_number(2, 1e-6)(row.bytes)} MB",
        one.decision.reason,
        *([chosen.loss.told] if chosen.loss else []),
        *one.notes,
    )
    told = "; ".join(map(sentence_in_markdown, numbers))
    name = in_markdown(row.path or row.artifact)
    return f"- Ship **{name}** (sha256 {row.sha256}) to {where}: {told}.{_by_format(one)}"


def _by_format(answer: Answer) -> str:
    """The file of each other format."""
    named_files = ((format, decision, named(decision)) for format, decision in answer.by_format)
    return "".join(
        f" Of {in_markdown(format)} files{'' if decision.chosen else ' likely'} **{in_markdown(one.row.artifact)}**."
        for format, decision, one in named_files
        if one is not None
    )


def _likely(decision: Decision) -> str:
    one = decision.provisional
    if one is None:
        return ""
    name = in_markdown(one.row.path or one.row.artifact)
    but = f"; but {in_markdown(decision.beside_best)}" if decision.beside_best else ""
    lost = f" It has {sentence_in_markdown(one.loss.told)}." if one.loss else ""
    return f" Likely **{name}** (sha256 {one.row.sha256}): ship it if {one.condition}{but}.{lost}"


def _reasons(rows: Sequence[Row]) -> list[str]:
    """A list of why latencies are not valid, and of what is not known: each reason once, with its rows."""
    said = each_once([(row.verdict, row.reasons) for row in rows])
    lines = [
        f"- {sentence_in_markdown(f'{told} ({some([rows[place].label for place in places])})')}."
        for told, places in said
    ]
    return [*lines, ""] if lines else []


def _devices(rows: Sequence[Row]) -> list[str]:
    """A table with a device a column, where there are several: median latencies."""
    found = by_device(rows)
    if found is None:
        return []
    heads = " | ".join(in_markdown(f"{place}, ms") for place in found.places)
    lines = [f"| File | {heads} |", "|---|" + "---:|" * len(found.places)]
    for line in found.lines:
        cells = ("; ".join(filter(None, (_time(row, found.how(row)) for row in some))) for some in line.cells)
        lines.append(f"| {in_markdown(line.file.artifact)} | " + " | ".join(cell or UNKNOWN for cell in cells) + " |")
    return [*lines, ""]


def _time(row: Row, how: str) -> str:
    doubt = row.verdict if row.verdict in LEVELS else ""
    return " ".join(filter(None, (_number(3)(row.median_ms), in_markdown(", ".join(filter(None, (doubt, how)))))))
