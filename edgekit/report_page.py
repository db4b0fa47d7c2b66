"""The report as one HTML page that opens anywhere: data, style, script and pictures inside, nothing to load.

The page's script puts every value in as text; here, values go into HTML through `html.escape` and into the script
as JSON in which `<` cannot occur.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import edgekit
from edgekit import charts
from edgekit.pareto import spearman
from edgekit.report_int8 import not_worth_it
from edgekit.report_rows import Row

COLUMNS = (
    *("label", "short", "variant", "model", "format", "precision", "weights", "place", "runtime", "runtime_version"),
    *("threads", "batch", "setting", "macs", "params", "bytes", "top1", "top1_ci95", "top5", "top5_ci95", "images"),
    *("median_ms", "ci95_ms", "p90_ms", "first_ms", "load_ms", "samples", "processes", "quantiles_ms"),
    *("peak_memory_bytes", "baseline_memory_bytes", "parity", "parity_error", "verdict", "reasons", "created"),
    *("artifact", "sha256", "missing"),
)
LONGEST = 400  # characters of one value in the provenance; all of it is in the JSON report
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(rows: Sequence[Row], created: str, library: str) -> str:
    """The whole page; `library` is `charts.script()`."""
    parts = {
        "library": library,
        "css": _file("report.css"),
        "js": _file("report.js"),
        "title": html.escape(_title(rows)),
        "lead": html.escape(_lead(rows)),
        "facts": "\n".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in _facts(rows)),
        "cautions": _caution(cautions(rows)),
        "overlay": _overlay(rows),
        "footer": html.escape(
            f"Made by edgekit {edgekit.__version__} on {created} from {len(rows)} rows of its store."
        ),
        "data": _data(rows),
    }
    text = _file("report.html")
    pieces = text.split("{{")  # one pass, so that nothing inside a value is taken for a place
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _title(rows: Sequence[Row]) -> str:
    models = _distinct(row.model or row.variant for row in rows)
    names = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    devices = _distinct(row.device for row in rows)
    return f"{names} on {', '.join(devices)}" if 0 < len(devices) <= 2 else names


def _lead(rows: Sequence[Row]) -> str:
    artifacts = _count(len({row.sha256 for row in rows}), "exported file", "exported files")
    measured = _count(sum(row.median_ms is not None for row in rows), "latency", "latencies")
    evaluated = _count(len({row.sha256 for row in rows if row.top1 is not None}), "accuracy", "accuracies")
    numbers = " and ".join(filter(None, (measured, evaluated))) or "nothing measured yet"
    return f"What {artifacts} cost, and how accurate they still are: {numbers}."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}" if number else ""


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _some(values: list[str], limit: int = 4) -> str:
    between = "; " if any("," in value for value in values) else ", "
    return between.join(values[:limit]) + (f" and {len(values) - limit} more" if len(values) > limit else "") or "–"


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What, where and when, in a few lines."""
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
    return [(name, value) for name, value in found if value != "–"]


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


def cautions(rows: Sequence[Row]) -> list[str]:
    """What a reader must know before comparing rows."""
    said = []
    for verdict, advice in (("invalid", "do not use their latency"), ("suspect", "read their reasons in the table")):
        number = sum(row.verdict == verdict for row in rows)
        if number:
            said.append(f"{_count(number, 'measurement is', 'measurements are')} {verdict}: {advice}.")
    datasets = {row.provenance["Evaluated"]["dataset_hash"] for row in rows if row.top1 is not None}
    if len(datasets) > 1:
        said.append(f"Accuracies come from {len(datasets)} different sets of images: compare them only within one.")
    random = sum(row.trained is False for row in rows)
    if random:
        said.append(f"{_count(random, 'row has', 'rows have')} random weights: only the latency means anything there.")
    failed = sum(row.parity is False for row in rows)
    if failed:
        said.append(f"{_count(failed, 'file', 'files')} did not pass the parity check.")
    return said + not_worth_it(rows)


def _caution(said: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in said)
    return f'<div class="caution"><ul class="cautions">{items}</ul></div>' if said else ""


def _overlay(rows: Sequence[Row]) -> str:
    """What the crosses are, and how well their order agrees with what was measured."""
    if not charts.published_points(rows) or all(row.top1 is None for row in rows):
        return ""
    said = " Grey marks are published accuracies of the float networks, diamonds where they stand in a paper's table."
    both = {row.sha256: row for row in rows if row.precision == "fp32" and row.published and row.top1 is not None}
    correlation = (
        spearman(*zip(*((row.published[0]["top1"], row.top1) for row in both.values()), strict=True)) if both else None
    )
    return (
        said if correlation is None else f"{said} Rank correlation with ours: {correlation:.3f} over {len(both)} files."
    )


def _data(rows: Sequence[Row]) -> str:
    missing = _Pool()
    provenance = _Pool()
    layouts, values = _Pool(), _Pool()
    lines = []
    for row in rows:
        cells = row.to_json()
        cells["missing"] = missing.place(row.missing)
        lines.append([_short(cells[name]) for name in COLUMNS])
        pairs = list(flat(row.provenance))
        places = [values.place(value) for _, _, value in pairs]
        provenance.things.append([layouts.place([[section, label] for section, label, _ in pairs]), *places])
    document = {
        "columns": COLUMNS,
        "rows": lines,
        "missing": missing.things,
        "provenance": provenance.things,
        "layouts": layouts.things,
        "values": values.things,
        "published": charts.published_points(rows),
        "pictures": {
            "latency": charts.tradeoff("latency", rows),
            "macs": charts.tradeoff("macs", rows),
            "params": charts.tradeoff("params", rows),
            "strips": charts.distributions(rows),
        },
        "config": charts.config(),
        "max_strips": charts.MAX_STRIPS,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class _Pool:
    """Things told apart by their JSON, each kept once: thousands of rows share most of their provenance."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, thing: Any) -> int:
        key = thing if isinstance(thing, str) else json.dumps(thing)
        if key not in self._places:
            self._places[key] = len(self.things)
            self.things.append(thing)
        return self._places[key]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value


def flat(provenance: dict[str, dict[str, Any]]) -> Iterable[tuple[str, str, str]]:
    """(section, label, value as text), nested labels joined by a dot; what is empty or unknown is left out."""

    def walk(label: str, value: Any) -> Iterable[tuple[str, str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(f"{label}.{key}" if label else str(key), item)
        elif value not in (None, "", [], ()):
            yield label, _words(value)

    for section, values in provenance.items():
        for label, value in walk("", values):
            yield section, label.replace("_", " "), value


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        value = ("; " if any(isinstance(item, dict) for item in value) else ", ").join(map(_words, value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
