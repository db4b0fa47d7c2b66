"""What a report's page holds of its rows, as JSON: thousands of rows share most of their provenance, said once."""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterator, Sequence
from typing import Any

from edgekit.reporting import charts, charts_profile, charts_sustained
from edgekit.reporting.page_profile import profiles
from edgekit.reporting.rows import Row

COLUMNS = (
    *("label", "short", "variant", "model", "format", "precision", "weights", "place", "runtime", "runtime_version"),
    *("way", "threads", "batch", "conditions", "setting", "macs", "params", "bytes"),
    *("top1", "top1_ci95", "top5", "top5_ci95", "images", "dataset_hash"),
    *("median_ms", "ci95_ms", "p90_ms", "first_ms", "load_ms", "samples", "processes", "quantiles_ms"),
    *(
        "peak_memory_bytes",
        "baseline_memory_bytes",
        "ideal_memory_bytes",
        "arena_memory_bytes",
        "parity",
        "parity_error",
        "verdict",
        "reasons",
        "created",
    ),
    *("artifact", "sha256", "missing"),
)
LONGEST = 400  # characters of one value in the provenance; all of it is in the JSON report


def data(rows: Sequence[Row]) -> str:
    """JSON in which `<` does not occur, so that it can stand in a script element."""
    missing, provenance = _Pool(), _Provenance()
    lines = []
    for row in rows:
        values = [_short(getattr(row, name)) for name in COLUMNS]
        values[COLUMNS.index("missing")] = missing.place(row.missing)
        lines.append(values)
        provenance.add(row.provenance)
    document = {
        "columns": COLUMNS,
        "rows": lines,
        "missing": missing.things,
        "provenance": provenance.lines,
        "layouts": provenance.layouts.things,
        "values": provenance.values.things,
        "published": charts.published_points(rows),
        "pictures": {
            "latency": charts.tradeoff("latency", rows),
            "macs": charts.tradeoff("macs", rows),
            "params": charts.tradeoff("params", rows),
            "strips": charts.distributions(rows),
            "layers": charts_profile.layers(),
            "roofline": charts_profile.roofline(),
            "sustained": charts_sustained.sustained(),
        },
        "profiles": profiles(rows),
        "sustained": [_lasting(index, row) for index, row in enumerate(rows) if row.sustained],
        "config": charts.config(),
        "max_strips": charts.MAX_STRIPS,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _lasting(index: int, row: Row) -> dict[str, Any]:
    """Of a row under sustained load: its id, what the table says of it, and its curve."""
    names = ("seconds", "part_seconds", "first_ms", "last_ms", "ratio", "ratio_ci95", "settled_s", "facts")
    told = {name: (row.sustained or {})[name] for name in names}
    return {"id": index, **told, "curve": charts_sustained.curve(row)}


class _Pool:
    """Things told apart by their JSON, each kept once."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, thing: Any, key: str | None = None) -> int:
        if key is None:
            key = thing if isinstance(thing, str) else json.dumps(thing)
        if key not in self._places:
            self._places[key] = len(self.things)
            self.things.append(thing)
        return self._places[key]


class _Provenance:
    """A line for each row: its layout, which names [section, label] pairs, then a place among the values for each."""

    def __init__(self) -> None:
        self.lines: list[list[int]] = []
        self.layouts, self.values = _Pool(), _Pool()
        self._parts = _Pool()  # the names of a section
        self._sections: dict[tuple[str, bytes], tuple[int, list[int]]] = {}

    def add(self, provenance: dict[str, dict[str, Any]]) -> None:
        found = [self._section(section, content) for section, content in provenance.items()]
        names = [name for part, _ in found for name in self._parts.things[part]]
        layout = self.layouts.place(names, key=str([part for part, _ in found]))
        self.lines.append([layout, *(place for _, places in found for place in places)])

    def _section(self, section: str, content: dict[str, Any]) -> tuple[int, list[int]]:
        """The names and values of a section; of sections that are equal, one is looked at."""
        key = (section, marshal.dumps(content, 2))  # only to tell them apart, and quicker than JSON
        if key not in self._sections:
            pairs = list(flat(content))
            names = self._parts.place([[section, label] for label, _ in pairs])
            self._sections[key] = names, [self.values.place(text) for _, text in pairs]
        return self._sections[key]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value


def flat(value: Any, label: str = "") -> Iterator[tuple[str, str]]:
    """(label, value as text), nested labels joined by a dot; what is empty or unknown is left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{label}.{key}" if label else str(key))
    elif value not in (None, "", [], ()):
        yield label.replace("_", " "), _words(value)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        value = ("; " if any(isinstance(item, dict) for item in value) else ", ").join(map(_words, value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
