"""The page of `edgekit reproduce zoo`: one HTML that opens anywhere, in the look of the report."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgekit import charts

Json = dict[str, Any]
TITLE = "Published accuracy over exact arithmetic"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
APART = (0.024, 1.1)  # decades per letter and points of top-1 that two names need between them


def page(points: Sequence[Json], comparisons: Sequence[Json], notes: Sequence[str], created: str, library: str) -> str:
    """The whole page; `library` is `charts.script()`."""
    css = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    spec = chart(points) | {"width": "container", "config": charts.config()}
    drawing = json.dumps(spec, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    said = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{TITLE}</title>
<style>{css}</style>
</head>
<body>
<header><p class="kicker">edgekit reproduce zoo</p><h1>{TITLE}</h1>
<p class="lead">Every ImageNet network of the zoo: top-1 as published; multiply-accumulates and parameters as
counted.</p>
<div class="caution"><ul class="cautions">{said}</ul></div></header>
<main>
<figure><figcaption><h2>Accuracy over arithmetic</h2>
<p>Up and to the left is better; the area of a bubble is its number of parameters; the staircase is the front.</p>
</figcaption><div id="zoo" class="picture"></div></figure>
<section><h2>Comparisons that are printed</h2><div class="scroll">{_comparisons(comparisons)}</div></section>
<section><h2>Every network</h2><div class="scroll">{_networks(points)}</div></section>
</main>
<footer><p>Made by edgekit on {html.escape(created)}.</p></footer>
<script>{library}</script>
<script>window.vegaEmbed("#zoo", {drawing}, {{renderer: "svg", actions: false, ast: true}});</script>
</body>
</html>
"""


def chart(points: Sequence[Json]) -> charts.Spec:
    """Top-1 over MACs, bubbles for parameters."""
    named = names(points)
    values = [
        {
            "name": point["variant"] if point["variant"] in named else "",
            **{key: point[key] for key in ("variant", "family", "source", "front")},
            "accuracy": 100 * point["top1"],
            "macs_millions": point["macs"] / 1e6,
            "params_millions": point["params"] / 1e6,
            "per_million": point["top1_points_per_million_params"],
            **{f"ms_{name}": value for name, value in point["ms"].items()},
        }
        for point in points
    ]
    tips = [
        ("variant", "Network", None),
        ("accuracy", "Top-1, published (%)", ".1f"),
        ("macs_millions", "MACs (millions)", ",.2f"),
        ("params_millions", "Parameters (millions)", ",.3f"),
        ("per_million", "Points of top-1 per million parameters", ".2f"),
        ("ms_fp32", "Median latency here, fp32 (ms)", ".4~r"),
        ("ms_int8", "int8 (ms)", ".4~r"),
        ("source", "Source", None),
    ]
    tooltip = [
        {"field": field, "title": title, "type": "quantitative" if form else "nominal"}
        | ({"format": form} if form else {})
        for field, title, form in tips
    ]
    x: Json = {"field": "macs_millions", "type": "quantitative", "title": charts.COSTS["macs"][1]}
    x["scale"] = {"type": "log", "nice": False, "padding": 40}
    y = {"field": "accuracy", "type": "quantitative", "title": "Published top-1 accuracy (%)", "scale": {"zero": False}}
    size: Json = {"field": "params_millions", "type": "quantitative", "title": "Parameters (millions)"}
    size["legend"] = {"values": [1, 10, 50, 140]}
    size["scale"] = {"type": "linear", "range": [12, 1400]}  # of areas
    colour = {"field": "family", "type": "nominal", "title": "Family", "scale": {"scheme": "tableau20"}}
    only_front = [{"filter": "datum.front"}]
    return {
        "data": {"values": values},
        "height": 460,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "transform": only_front,
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "color": "#8a8f98"},
            },
            {
                "mark": {"type": "circle", "opacity": 0.65, "stroke": "white", "strokeWidth": 0.6},
                "encoding": {"size": size, "color": colour, "tooltip": tooltip},
            },
            {
                "mark": {"type": "text", "align": "right", "dx": -8, "dy": -8, "fontSize": 10},
                "encoding": {"text": {"field": "name"}},
            },
        ],
    }


def names(points: Sequence[Json]) -> set[str]:
    """The points that bear their name: the most accurate first, each as far as no other name is in its way."""
    taken: list[tuple[float, float, float]] = []
    found: set[str] = set()
    for point in sorted(points, key=lambda point: (not point["front"], -point["top1"])):
        end, height = math.log10(point["macs"]), 100 * point["top1"]
        start = end - APART[0] * len(point["variant"])
        if all(end < left or start > right or abs(height - level) > APART[1] for left, right, level in taken):
            taken.append((start, end, height))
            found.add(point["variant"])
    return found


def _comparisons(comparisons: Iterable[Json]) -> str:
    heads = ("printed", "by", "larger", "smaller", "exact ratio", "follows")
    return _table(
        heads,
        (
            (
                one["text"],
                one["source"],
                f"{one['large']}: {one['exact_large']:,}",
                f"{one['small']}: {one['exact_small']:,}",
                f"{one['ratio']:.2f}",
                one["follows"],
            )
            for one in comparisons
        ),
    )


def _networks(points: Iterable[Json]) -> str:
    heads = ("network", "MACs", "parameters", "top-1", "per million", "fp32 ms", "int8 ms", "source")
    return _table(
        heads,
        (
            (
                point["variant"],
                f"{point['macs']:,}",
                f"{point['params']:,}",
                f"{100 * point['top1']:.1f} %",
                f"{point['top1_points_per_million_params']:.2f}",
                *("–" if value is None else f"{value:.3g}" for value in point["ms"].values()),
                point["source"],
            )
            for point in points
        ),
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
