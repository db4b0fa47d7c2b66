"""The pictures of a report as Vega-Lite specifications (plain data).

Color tells the precision (the Okabe-Ito palette, which color-blind readers tell apart) and so does the filling;
shape tells the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgekit.records.formats import FORMATS, PRECISIONS
from edgekit.reporting.rows import Row, counts_for_latency, has_latency

Spec = dict[str, Any]

GRAY = "#8a8f98"
COLORS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", GRAY)  # fp32, fp16, int8, int8w, unknown
FILLINGS = (0.9, 0.4, 0.0, 0.6, 0.2)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
INK, SOFT, LINE = "#1d2329", "#5c6670", "#dfe3e8"
LABEL = 130  # pixels of a name in a picture
NARROW = 400  # pixels: below it names would push the picture aside
SHIFT = {"expr": "datum.shift"}  # pixels by which a mark stands beside others of equal cost
APART, MAX_APART = 8, 36  # pixels between marks of equal cost, and of all of them
MAX_STRIPS = 40
MAX_INTERVALS = 300  # more lines than these hide the points

COSTS = {
    "macs": ("macs_millions", "MACs of one image (millions, log scale)"),
    "params": ("params_millions", "Parameters (millions, log scale)"),
    "latency": ("median_ms", "Median latency (ms, log scale)"),
}


def points(rows: Iterable[Row], cost: str) -> list[dict[str, Any]]:
    """Return the points of `tradeoff`: one for each row (latency), else one for each file."""
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index, row in enumerate(rows):
        if cost != "latency" and (row.sha256 in seen or getattr(row, cost) is None or row.top1 is None):
            continue
        if cost == "latency" and not counts_for_latency(row):
            continue
        seen.add(row.sha256)
        found.append(_point(index, row, getattr(row, f"front_{cost}")))
    return found


def _point(index: int, row: Row, on_front: bool) -> dict[str, Any]:
    low, high = row.top1_ci95 or (None, None)
    return {
        "id": index,
        "label": row.label,
        "variant": row.variant,
        "short": row.short,
        "precision": row.precision or "unknown",
        "format": row.format,
        "runtime": " ".join(part for part in (row.runtime, row.runtime_version) if part) or None,
        "setting": row.setting,
        "conditions": row.conditions,
        "macs_millions": None if row.macs is None else row.macs / 1e6,
        "params_millions": None if row.params is None else row.params / 1e6,
        "median_ms": row.median_ms,
        "accuracy": 100 * (row.top1 or 0),
        "low": None if low is None else 100 * low,
        "high": None if high is None else 100 * high,
        "images": row.images,
        "verdict": row.verdict,
        "weights": row.weights,
        "sha256": row.sha256[:12],
        "created": row.created,
        "front": on_front,
    }


def published_points(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Published top-1 of the same networks, at the cost that we counted or measured."""
    return [
        {
            "id": index,
            "variant": row.variant,
            "source": str(line.get("source", "")),
            "accuracy": 100 * line["top1"],
            "macs_millions": None if row.macs is None else row.macs / 1e6,
            "params_millions": None if row.params is None else row.params / 1e6,
            "median_ms": row.median_ms if has_latency(row) else None,
        }
        for index, row in enumerate(rows)
        if row.precision == "fp32"
        for line in row.published
    ]


def strips(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the strips of `distributions`, fastest first, `MAX_STRIPS` at most."""
    timed = sorted((row for row in rows if row.quantiles_ms), key=lambda row: row.median_ms or 0)
    names = ("least", "q10", "q25", "q50", "q75", "q90", "q99", "most")
    return [
        {
            "label": row.label,
            "precision": row.precision or "unknown",
            "samples": row.samples,
            "processes": row.processes,
            "verdict": row.verdict,
            "setting": row.setting,
            **dict(zip(names, row.quantiles_ms or (), strict=True)),
        }
        for row in timed[:MAX_STRIPS]
    ]


def tradeoff(cost: str, rows: Iterable[Row]) -> Spec:
    """Accuracy over a cost, its front as a staircase; reads the data sets `points` and `published`."""
    field, title = COSTS[cost]
    x = _axis(field, title)
    y = {"field": "accuracy", "type": "quantitative", "title": "Top-1 accuracy (%)", "scale": {"zero": False}}
    y["axis"] = {"tickCount": 6}
    rows = list(rows)
    layers = [
        *([_published(field)] if published_points(rows) else []),
        _staircases(cost, rows),
        _intervals(y),
        {
            "mark": {"type": "point", "filled": True, "strokeWidth": 1.6, "xOffset": SHIFT},
            "encoding": _dots(cost, rows),
        },
        {
            "transform": _named(field),
            "mark": _beside(field) | {"type": "text", "xOffset": SHIFT, "dy": -7, "fontSize": 10, "limit": LABEL},
            "encoding": {"text": {"field": "short"}},
        },
    ]
    return {
        "data": {"name": "points"},
        "width": "container",
        "height": 380,
        "transform": _side_by_side(field),
        "encoding": {"x": x, "y": y},
        "layer": layers,
    }


def _side_by_side(field: str) -> list[Spec]:
    """Pixels by which marks of equal cost stand apart: fp32 and int8 of a network have the same MACs."""
    order = [{"field": name, "order": "ascending"} for name in ("precision", "format")]
    pixels = f"(datum.nth - (datum.equal + 1) / 2) * min({APART}, {MAX_APART} / datum.equal)"
    return [
        {"window": [{"op": "row_number", "as": "nth"}], "sort": order, "groupby": [field]},
        {"joinaggregate": [{"op": "count", "as": "equal"}], "groupby": [field]},
        {"calculate": pixels, "as": "shift"},
    ]


def _published(field: str) -> Spec:
    """What was published, under all else: the paper's tables as diamonds."""
    is_paper = {"test": "indexof(datum.source, 'Table') >= 0", "value": "diamond"}
    return {
        "data": {"name": "published"},
        "transform": [{"filter": f"isValid(datum.{field})"}],
        "mark": {"type": "point", "size": 34, "opacity": 0.75, "strokeWidth": 0, "fill": GRAY},
        "encoding": {
            "shape": {"condition": is_paper, "value": "cross"},
            "tooltip": [tip("variant", "Published for"), tip("accuracy", "Top-1 (%)"), tip("source")],
        },
    }


def _staircases(cost: str, rows: Sequence[Row]) -> Spec:
    """The fronts: one for each set of conditions of a latency, told apart by their dashes."""
    encoding: Spec = {"detail": {"field": "conditions" if cost == "latency" else "nothing"}}
    if cost == "latency" and len({row.conditions for row in rows if row.front_latency}) > 1:
        encoding = {"strokeDash": {"field": "conditions", "type": "nominal", "title": "Front of"}}
    line = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "color": GRAY}
    return {"transform": [{"filter": "datum.front"}], "mark": line, "encoding": encoding}


def _intervals(y: Spec) -> Spec:
    """The intervals of the accuracies, unless there are too many to be told apart."""
    total = {"joinaggregate": [{"op": "count", "as": "total"}]}
    return {
        "transform": [total, {"filter": f"isValid(datum.low) && datum.total <= {MAX_INTERVALS}"}],
        "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.35, "color": GRAY, "xOffset": SHIFT},
        "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
    }


def _color(rows: Iterable[Row]) -> dict[str, Any]:
    scale = {"domain": [*PRECISIONS, "unknown"], "range": list(COLORS)}
    present = {row.precision or "unknown" for row in rows}
    legend = {"values": [name for name in scale["domain"] if name in present]}
    return {"field": "precision", "type": "nominal", "title": "Precision", "scale": scale, "legend": legend}


def _axis(field: str, title: str) -> dict[str, Any]:
    """A logarithmic x axis; over a wide range only 1, 2 and 5 of each decade are labeled."""
    wide = "domain('x')[1] > 8 * domain('x')[0]"
    first = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
    label = f"{wide} && indexof([1, 2, 5], {first}) < 0 ? '' : format(datum.value, '~r')"
    axis = {"tickCount": 8, "labelExpr": label, "labelOverlap": "greedy", "labelSeparation": 6, "labelFlush": 8}
    # Pixels at either end, which on a log scale of few pixels would be decades.
    scale = {"type": "log", "nice": False, "padding": {"expr": "clamp(0.06 * width, 8, 34)"}}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _beside(cost: str) -> Spec:
    """Left of its point; right of it where the labels of the y axis would be under the name."""
    is_at_edge = f"scale('x', datum.{cost}) < min({LABEL}, 6 * length(datum.short)) + 7"
    return {"align": {"expr": f"{is_at_edge} ? 'left' : 'right'"}, "dx": {"expr": f"{is_at_edge} ? 7 : -7"}}


def _named(cost: str) -> list[Spec]:
    """The front's points whose names (about 6 pixels a letter) do not run into the next one's."""
    sort = [{"field": cost, "order": "ascending"}]
    lead = [{"op": "lead", "field": name, "as": f"next_{name}"} for name in (cost, "accuracy", "short")]
    ends = [{"op": op, "field": name, "as": f"{op}_{name}"} for op in ("min", "max") for name in (cost, "accuracy")]
    away = f"log(datum.next_{cost} / datum.{cost}) / log(datum.max_{cost} / datum.min_{cost})"
    above = "(datum.next_accuracy - datum.accuracy) / (datum.max_accuracy - datum.min_accuracy)"
    # The first name may stand right of its point, towards the next one's.
    own = f"(datum.{cost} == datum.min_{cost} ? 6 * length(datum.short) : 0)"
    clear = f"{away} * width > 6 * length(datum.next_short) + {own} + 10 || {above} * height > 15"
    return [
        {"filter": "datum.front"},
        {"window": lead, "sort": sort},
        {"joinaggregate": ends},
        {"filter": f"width > {NARROW} && (!isValid(datum.next_{cost}) || {clear})"},
    ]


def _dots(cost: str, rows: list[Row]) -> dict[str, Any]:
    color = _color(rows)
    filling = {key: value for key, value in color.items() if key != "scale"}
    scale = {"type": "ordinal", "domain": [*PRECISIONS, "unknown"], "range": list(FILLINGS)}
    tips = [
        tip("label", "What"),
        tip("accuracy", "Top-1 (%)", ".2f"),
        tip("images", "Images"),
        tip("macs_millions", "MACs (millions)", ",.2f"),
        tip("median_ms", "Median latency (ms)", ".4~r"),
        tip("setting", "Measured on"),
        tip("runtime", "Runtime"),
        tip("verdict", "Verdict"),
        tip("weights", "Weights"),
        tip("sha256", "File's sha256"),
        tip("created", "Recorded"),
    ]
    left_out = set[str]() if cost == "latency" else {"median_ms", "setting", "verdict"}
    return {
        "color": color,
        "stroke": color,
        "fillOpacity": filling | {"type": "ordinal", "scale": scale},
        "shape": {
            "field": "format",
            "type": "nominal",
            "title": "Format",
            "scale": {"domain": list(FORMATS), "range": [format.mark for _, format in FORMATS.items()]},
            "legend": {"values": [name for name in FORMATS if any(row.format == name for row in rows)]},
        },
        "size": {"condition": {"test": "datum.front", "value": 72}, "value": 40},
        "opacity": {"condition": {"test": "datum.front", "value": 1}, "value": 0.62},
        "tooltip": [tip for tip in tips if tip["field"] not in left_out],
    }


def tip(field: str, title: str | None = None, format: str | None = None) -> dict[str, Any]:
    """Return a line of a tooltip; what has a format is a number."""
    kind = "quantitative" if format else "nominal"
    return {"field": field, "type": kind, "title": title or field.capitalize()} | ({"format": format} if format else {})


def distributions(rows: Iterable[Row]) -> Spec:
    """Quantiles of the raw samples, a strip for each row; reads the data set `strips`."""
    x = _axis("q50", "Latency of one inference (ms, log scale)")
    tips = [tip("label", "What"), tip("setting", "Measured on")]
    tips += [tip("q50", "Median (ms)", ".4~r"), tip("q25", "25 % (ms)", ".4~r"), tip("q75", "75 % (ms)", ".4~r")]
    tips += [tip("q99", "99 % (ms)", ".4~r"), tip("least", "Least (ms)", ".4~r"), tip("most", "Most (ms)", ".4~r")]
    tips += [tip("samples", "Samples"), tip("processes", "Processes"), tip("verdict", "Verdict")]

    def band(start: str, end: str, **mark: Any) -> Spec:
        return {"mark": mark, "encoding": {"x": x | {"field": start}, "x2": {"field": end}}}

    def dots(field: str, **mark: Any) -> Spec:
        return {"mark": mark, "encoding": {"x": x | {"field": field}}}

    return {
        "data": {"name": "strips"},
        "width": "container",
        "height": {"step": 19},
        "encoding": {
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 330, "ticks": False},
            },
            "color": _color(rows),
            "tooltip": tips,
        },
        "layer": [
            band("least", "q99", type="rule", strokeWidth=1, opacity=0.55),
            band("q10", "q90", type="bar", height=6, opacity=0.3),
            band("q25", "q75", type="bar", height=11, opacity=0.6),
            dots("q50", type="tick", height=15, thickness=2.4, opacity=1),
            dots("most", type="point", size=9, filled=True, opacity=0.7),
        ],
    }


def config(ink: str = INK, soft: str = SOFT, line: str = LINE) -> Spec:
    """Return the look of every picture; a page restyles text and lines for dark mode."""
    words = {"labelFont": FONT, "titleFont": FONT, "labelColor": soft, "titleColor": ink, "titleFontWeight": 500}
    words |= {"labelFontSize": 11, "titleFontSize": 12}
    axis = words | {"gridColor": line, "domain": False, "tickColor": soft, "titlePadding": 10, "labelPadding": 5}
    legend = words | {
        "orient": "bottom",
        "direction": "horizontal",
        "titleOrient": "left",
        "offset": 14,
        "layout": {"bottom": {"direction": "vertical"}},
    }
    legend |= {"symbolStrokeWidth": 1.6, "symbolSize": 70, "columnPadding": 16}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"titleAnchor": "end", "titleAngle": 0, "titleAlign": "left", "titleX": 0, "titleY": -12},
        "legend": legend,
        "text": {"font": FONT, "color": soft},
    }
