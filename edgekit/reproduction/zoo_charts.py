"""The pictures of `edgekit reproduce zoo` as Vega-Lite specifications: over arithmetic, over time, per parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgekit.reporting import charts
from edgekit.util.formatting import UNKNOWN
from edgekit.util.tabled import OWN_FAMILY

Json = dict[str, Any]
APART = (0.034, 1.15)  # decades per letter and points of top-1 that two names need between them
STAR_REACH = 0.07  # decades from the middle of a star to its side
LETTER, BESIDE = 6.2, 14  # pixels of a letter, and between a name and what is left of it
PALETTE = (  # of families; a user's own networks are black
    *("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b79a20", "#b279a2", "#ff9da6", "#9d755d", charts.GRAY),
    *("#9ecae9", "#88d27a", "#ffbf79", "#5b3a9b", "#0b6b4f", "#d6a5c9"),
)
COMPARED = ("vgg16_224", "alexnet_227", "googlenet_224", "squeezenet1_0_224")  # what papers compare with: named early
STAR: Json = {"type": "point", "size": 400, "filled": True, "opacity": 1, "color": "black", "stroke": "white"}
STAR_SHAPE = "M0,-1L.23,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.23,-.31Z"
# The star of one's own networks, as an entry of the legend.
OWN_SHAPE: Json = {"datum": "your own", "type": "nominal", "scale": {"domain": ["your own"], "range": [STAR_SHAPE]}}
OWN_SHAPE["legend"] = {"title": None, "symbolFillColor": "black", "symbolStrokeWidth": 0, "symbolSize": 200}
_TIPS = [
    charts.tip("variant", "Network"),
    charts.tip("accuracy", "Top-1 (%)", ".1f"),
    charts.tip("macs_millions", "MACs (millions)", ",.2f"),
    charts.tip("params_millions", "Parameters (millions)", ",.3f"),
    charts.tip("per_million", "Points of top-1 per million parameters", ".2f"),
    charts.tip("told_fp32", "Median latency here, fp32 (ms)"),
    charts.tip("told_int8", "int8 (ms)"),
    charts.tip("source"),
]


def _values(points: Sequence[Json]) -> list[Json]:
    """A line of data for each point, those with many parameters first, so that no bubble hides a smaller one."""
    named = names(points)
    return [
        {
            "name": point["label"] if point["variant"] in named else "",
            **{key: point[key] for key in ("variant", "label", "family", "source", "front")},
            "accuracy": 100 * point["top1"],
            "macs_millions": point["macs"] / 1e6,
            "params_millions": point["params"] / 1e6,
            "per_million": point["top1_points_per_million_params"],
            **{f"ms_{name}": value for name, value in point["ms"].items()},
            **{f"told_{name}": UNKNOWN if value is None else f"{value:.4g}" for name, value in point["ms"].items()},
        }
        for point in sorted(points, key=lambda point: -point["params"])
    ]


def colors(points: Sequence[Json]) -> Json:
    """Return a color for each family, none twice."""
    families = sorted({point["family"] for point in points} - {OWN_FAMILY})
    known = dict(zip(families, PALETTE, strict=False)) | ({OWN_FAMILY: "black"} if _has_own(points) else {})
    scale = {"domain": [*known], "range": [*known.values()]}
    legend = {"values": families}  # the star has an entry of its own
    return {"field": "family", "type": "nominal", "title": "Family", "scale": scale, "legend": legend}


def _has_own(points: Sequence[Json]) -> bool:
    return any(point["family"] == OWN_FAMILY for point in points)


def _accuracy(points: Sequence[Json]) -> Json:
    own = {point["source"] == "given" for point in points if point["family"] == OWN_FAMILY}
    whose = " or ".join(["Published", *["given"] * (True in own), *["evaluated"] * (False in own)])
    return {"field": "accuracy", "type": "quantitative", "title": f"{whose} top-1 accuracy (%)"}


def tips(points: Sequence[Json]) -> list[Json]:
    """Return the lines of the tooltip: of latencies those that some point has; "-" stands for one that is missing."""
    timed = {f"told_{name}" for point in points for name, value in point["ms"].items() if value is not None}
    return [tip for tip in _TIPS if tip["field"] in timed or not tip["field"].startswith("told_")]


def accuracy_over_macs(points: Sequence[Json]) -> charts.Spec:
    """Top-1 over MACs, bubbles for parameters, the front as a staircase."""
    family, tooltip = colors(points), tips(points)
    x: Json = {"field": "macs_millions", "type": "quantitative", "title": charts.COSTS["macs"][1]}
    x["scale"] = {"type": "log", "nice": False, "padding": _padding(points)}
    size: Json = {"field": "params_millions", "type": "quantitative", "title": "Parameters (millions)"}
    size["scale"] = {"type": "linear", "domainMin": 0, "range": [0, 2000]}  # of areas
    size["legend"] = {"values": [1, 10, 50, 140], "orient": "bottom-right", "offset": 12}
    staircase = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "color": charts.COLORS[-1]}
    is_own = {"filter": f"datum.family == '{OWN_FAMILY}'"}
    own = {"transform": [is_own], "mark": STAR, "encoding": {"shape": OWN_SHAPE, "tooltip": tooltip}}
    bubble = {"type": "circle", "opacity": 0.55, "stroke": "white", "strokeWidth": 0.6}
    return {
        "data": {"values": _values(points)},
        "height": 460,
        "encoding": {"x": x, "y": _accuracy(points) | {"scale": {"zero": False}}},
        "layer": [
            {"transform": [{"filter": "datum.front"}], "mark": staircase},
            {"mark": bubble, "encoding": {"size": size, "color": family, "tooltip": tooltip}},
            {"mark": {"type": "circle", "size": 8, "opacity": 1}, "encoding": {"color": family, "tooltip": tooltip}},
            *([own] if _has_own(points) else []),  # a layer without points has no extent, which Vega complains of
            _labels("name"),
        ],
    }


def _padding(points: Sequence[Json]) -> float:
    """The pixels that the name of the leftmost network needs beside the axis."""
    first = min(points, key=lambda point: point["macs"], default=None)
    return max(60.0, LETTER * len(first["label"]) + BESIDE) if first else 60.0


def _labels(field: str) -> Json:
    mark = {"type": "text", "align": "right", "dx": -8, "dy": -8, "fontSize": 10}
    return {"mark": mark, "encoding": {"text": {"field": field}}}


def accuracy_over_time(points: Sequence[Json]) -> charts.Spec:
    """Top-1 as published over latency as measured here, fp32 and int8."""
    values = [
        {"precision": precision, "ms": value["ms_" + precision], **value}
        for value in _values(points)
        for precision in ("fp32", "int8")
        if value["ms_" + precision] is not None
    ]
    x: Json = {"field": "ms", "type": "quantitative", "title": charts.COSTS["latency"][1]}
    x["scale"] = {"type": "log", "nice": False, "padding": 90}
    color: Json = {"field": "precision", "type": "nominal", "title": "Precision"}
    color["scale"] = {"domain": ["fp32", "int8"], "range": [charts.COLORS[0], charts.COLORS[2]]}
    return {
        "data": {"values": values},
        "height": 360,
        "encoding": {"x": x, "y": _accuracy(points) | {"scale": {"zero": False, "padding": 20}}},
        "layer": [
            {
                "mark": {"type": "circle", "size": 60, "opacity": 0.9},
                "encoding": {"color": color, "tooltip": tips(points)},
            },
            _labels("label"),
        ],
    }


def accuracy_per_parameter(points: Sequence[Json]) -> charts.Spec:
    """Points of top-1 per million parameters, the most accurate variant of each network."""
    best: dict[str, Json] = {}
    for value in _values(points):
        model = value["label"].partition(" ")[0]
        if model not in best or value["accuracy"] > best[model]["accuracy"]:
            best[model] = value
    x: Json = {"field": "per_million", "type": "quantitative", "title": "Points of top-1 per million parameters"}
    x["scale"] = {"domainMax": 1.1 * max((value["per_million"] for value in best.values()), default=1.0)}
    order = [value["label"] for value in sorted(best.values(), key=lambda value: -value["per_million"])]
    y = {"field": "label", "type": "nominal", "title": None, "sort": order, "axis": {"labelLimit": 220}}
    return {
        "data": {"values": list(best.values())},
        "height": 15 * len(best),
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "bar", "height": 9, "opacity": 0.85},
                "encoding": {"color": colors(points) | {"legend": None}, "tooltip": tips(points)},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 10},
                "encoding": {"text": {"field": "per_million", "format": ".2f"}},
            },
        ],
    }


def names(points: Sequence[Json]) -> set[str]:
    """The variants that bear their name: one's own, the front, then by accuracy, each as far as none is in its way.

    A name ends at its point; a star is as wide on the other side, too.
    """
    taken: list[tuple[float, float, float]] = []
    found: set[str] = set()

    def rank(point: Json) -> tuple[bool, bool, bool, float]:
        own, compared = point["family"] == OWN_FAMILY, point["variant"] in COMPARED
        return not own, not point["front"], not compared, -point["top1"]

    for point in sorted(points, key=rank):
        end, height = math.log10(point["macs"]), 100 * point["top1"]
        start = end - APART[0] * len(point["label"])
        if all(end < left or start > right or abs(height - level) > APART[1] for left, right, level in taken):
            taken.append((start, end + STAR_REACH * (point["family"] == OWN_FAMILY), height))
            found.add(point["variant"])
    return found
