"""The report as one HTML page that opens anywhere: data, style, script and pictures inside, nothing to load.

The page's script puts every value in as text; here, values go into HTML through `html.escape` and into the script
as JSON in which `<` cannot occur.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import edgekit
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import INVALID, SUSPECT
from edgekit.records.reasons import LEVELS, in_words, pooled
from edgekit.reporting import charts
from edgekit.reporting.answer import Answer
from edgekit.reporting.cautions import instructions_apart, not_worth_it, still_failing
from edgekit.reporting.page_answer import answers_html, with_code
from edgekit.reporting.page_data import data
from edgekit.reporting.page_devices import devices_html
from edgekit.reporting.rows import Row
from edgekit.stats.losses import Losses
from edgekit.stats.pareto import spearman
from edgekit.util.formatting import DASH, counted, some

ASSETS = Path(__file__).with_name("assets")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(
    rows: Sequence[Row],
    created: str,
    library: str,
    failures: Sequence[FailedCell] = (),
    answers: Sequence[Answer] = (),
    lost: Losses | None = None,
) -> str:
    """Return the whole page; `library` is `drawing.script()`, `answers` are those of edgekit.reporting.answer."""
    parts = {
        "library": library,
        "css": _file("report.css"),
        "js": _file("report.js"),
        "title": html.escape(_title(rows)),
        "lead": html.escape(_lead(rows)),
        "facts": "\n".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in _facts(rows)),
        "answers": answers_html(answers),
        "devices": devices_html(rows),
        "cautions": _caution(cautions(rows, failures, _untold(answers), lost)),
        "overlay": _overlay(rows),
        "footer": html.escape(
            f"Made by edgekit {edgekit.__version__} on {created} from {counted(len(rows), 'row')} of its store."
        ),
        "data": data(rows),
    }
    text = _file("report.html")
    pieces = text.split("{{")  # one pass, so that nothing inside a value is taken for a place
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _file(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _title(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing was measured"
    models = _distinct(row.model or row.variant for row in rows)
    names = some(models)
    devices = _distinct(row.device for row in rows)
    return f"{names} on {', '.join(devices)}" if 0 < len(devices) <= 2 else names


def _lead(rows: Sequence[Row]) -> str:
    if not rows:
        return "No file was measured or evaluated, because what was to be made or measured failed."
    files = len({row.sha256 for row in rows})
    what = "1 exported file costs, and how accurate it still is"
    if files != 1:
        what = f"{files:,} exported files cost, and how accurate they still are"
    measured = sum(row.median_ms is not None for row in rows)
    evaluated = len({row.sha256 for row in rows if row.top1 is not None})
    told = ((measured, "latency", "latencies"), (evaluated, "accuracy", "accuracies"))
    numbers = " and ".join(counted(*one) for one in told if one[0]) or "nothing measured yet"
    return f"What {what}: {numbers}."


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _some(values: list[str], limit: int = 4) -> str:
    return some(values, limit, "; " if any("," in value for value in values) else ", ") or DASH


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What, where and when, in a few lines; nothing where nothing was measured."""
    if not rows:
        return []
    first, last = (_day(when(row.created for row in rows)) for when in (min, max))
    found = [
        ("Networks", _some(_networks(rows))),
        ("Formats", _some(_distinct(" ".join(filter(None, (row.format, row.precision))) for row in rows), 6)),
        ("Measured on", _some([_machine(row) for row in _one_of_each_device(rows)])),
        (
            "Runtimes",
            _some(_distinct(" ".join(filter(None, (row.runtime, row.runtime_version))) or None for row in rows)),
        ),
        ("Settings", _some(_distinct(row.setting for row in rows))),
        (
            "Evaluated on",
            _some(_distinct(f"{row.images:,} images of {row.dataset}" if row.images else None for row in rows)),
        ),
        ("When", first if first == last else f"{first} to {last}"),
    ]
    return [(name, value) for name, value in found if value != DASH]


def _networks(rows: Sequence[Row]) -> list[str]:
    variants: dict[str, set[str]] = {}
    for row in rows:
        variants.setdefault(row.model or row.variant, set()).add(row.variant)
    return [
        f"{model} ({len(seen)} variants)" if len(seen) > 1 else next(iter(seen)) for model, seen in variants.items()
    ]


def _one_of_each_device(rows: Sequence[Row]) -> list[Row]:
    return list({row.place: row for row in rows if row.place}.values())


def _machine(row: Row) -> str:
    found = row.provenance.get("Found", {})
    processor = found.get("processor") or found.get("gpu")
    return f"{row.place} ({processor})" if processor else str(row.place)


def _day(created: str) -> str:
    try:
        year, month, day = created[:10].split("-")
        return f"{int(day)} {MONTHS[int(month) - 1]} {year}"
    except (ValueError, IndexError):
        return created


def cautions(
    rows: Sequence[Row],
    failures: Sequence[FailedCell] = (),
    with_reasons: Collection[str] = (),
    lost: Losses | None = None,
) -> list[str]:
    """Return what a reader must know before comparing rows; of the verdicts `with_reasons` also why."""
    said = []
    for verdict, advice in ((INVALID, "do not use {} latency"), (SUSPECT, "read {} reasons in the table")):
        reasons = [row.reasons for row in rows if row.verdict == verdict]
        if reasons:
            whose = advice.format("its" if len(reasons) == 1 else "their")
            why = in_words(pooled(verdict, reasons)) if verdict in with_reasons else whose
            said.append(f"{counted(len(reasons), 'measurement is', 'measurements are')} {verdict}: {why}.")
    datasets = {row.dataset_hash for row in rows if row.top1 is not None}
    if len(datasets) > 1:
        said.append(f"Accuracies come from {len(datasets)} different sets of images: compare them only within one.")
    random = sum(row.trained is False for row in rows)
    if random:
        said.append(f"{counted(random, 'row has', 'rows have')} random weights: only the latency means anything there.")
    failed = sum(row.parity is False for row in rows)
    if failed:
        said.append(f"{counted(failed, 'file')} did not pass the parity check.")
    return said + still_failing(rows, failures) + not_worth_it(rows, lost or {}) + instructions_apart(rows)


def _untold(answers: Sequence[Answer]) -> tuple[str, ...]:
    """The verdicts whose reasons the answers do not tell already."""
    return LEVELS if any(one.decision.chosen for one in answers) else LEVELS[1:]


def _caution(said: Sequence[str]) -> str:
    items = "".join(f"<li>{with_code(text)}</li>" for text in said)
    return f'<div class="caution"><ul class="cautions">{items}</ul></div>' if said else ""


def _overlay(rows: Sequence[Row]) -> str:
    """What the crosses are, and how well their order agrees with what was measured."""
    if not charts.published_points(rows) or all(row.top1 is None for row in rows):
        return ""
    said = " Gray marks are published accuracies of the float networks, diamonds where they stand in a paper's table."
    both = {row.sha256: row for row in rows if row.precision == "fp32" and row.published and row.top1 is not None}
    correlation = (
        spearman(*zip(*((row.published[0]["top1"], row.top1) for row in both.values()), strict=True)) if both else None
    )
    return (
        said if correlation is None else f"{said} Rank correlation with ours: {correlation:.3f} over {len(both)} files."
    )
