"""The page of `edgekit reproduce zoo`: one HTML that opens anywhere, in the look of the report."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence

from edgekit.reporting import charts
from edgekit.reporting.page import ASSETS
from edgekit.reproduction.zoo_charts import Json, accuracy_over_macs, accuracy_over_time, accuracy_per_parameter
from edgekit.util.formatting import DASH, percent

TITLE = "Published accuracy over exact arithmetic"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
# Over the report's look: heads without buttons, and pictures that scroll where names would collide.
STYLE = """
thead th { padding: 8px 9px; font-size: 12.5px; color: var(--soft); }
.picture > div { width: 100%; min-width: 860px; }
.picture > div.narrow { min-width: 420px; }
figure { margin: 36px 0; }
.yes { color: var(--good); } .no { color: var(--bad); } .cut { color: var(--warn); }
"""


def page(points: Sequence[Json], comparisons: Sequence[Json], notes: Sequence[str], created: str, library: str) -> str:
    """Return the whole page; `library` is `drawing.script()`."""
    css = (ASSETS / "report.css").read_text(encoding="utf-8") + STYLE
    said = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    figures = _figures(points)
    drawn = "".join(_figure(*figure) for figure in figures)
    scripts = "".join(_draw(name, spec) for name, _, _, spec in figures)
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
<p class="lead">The ImageNet networks of the zoo: top-1 of one crop as published; multiply-accumulates and parameters as
counted.</p>
<div class="caution"><ul class="cautions">{said}</ul></div></header>
<main>
{drawn}
<section><h2>Comparisons that are printed</h2><p class="soft">Each with the exact counts: does it follow?</p>
<div class="scroll">{_comparisons(comparisons)}</div></section>
<section><h2>The networks</h2><div class="scroll">{_networks(points)}</div></section>
</main>
<footer><p>Made by edgekit on {html.escape(created)}.</p></footer>
<script>{library}</script>
<script>Promise.all([{scripts}]).then(() => document.body.dataset.drawn = "yes");</script>
</body>
</html>
"""


def _figures(points: Sequence[Json]) -> list[tuple[str, str, str, charts.Spec]]:
    """(name, title, caption, specification) of each picture; over latency only where something was measured."""
    figures = [
        (
            "macs",
            "Accuracy over arithmetic",
            "Up and to the left is better; the area of a bubble is its parameters; the staircase is the front.",
            accuracy_over_macs(points),
        ),
    ]
    if any(value is not None for point in points for value in point["ms"].values()):
        figures.append(
            (
                "time",
                "Accuracy over time",
                "Published accuracy over this machine's latency, one image on one thread. What int8 loses of it, "
                "only an evaluation tells.",
                accuracy_over_time(points),
            )
        )
    figures.append(
        (
            "density",
            "Accuracy per parameter",
            "Points of top-1 per million parameters, of each network its most accurate variant.",
            accuracy_per_parameter(points),
        )
    )
    return figures


def _figure(name: str, title: str, caption: str, spec: charts.Spec) -> str:
    narrow = ' class="narrow"' if name == "density" else ""
    return (
        f"<figure><figcaption><h2>{title}</h2><p>{caption}</p></figcaption>"
        f'<div class="picture"><div id="{name}"{narrow}></div></div></figure>'
    )


def _draw(name: str, spec: charts.Spec) -> str:
    whole = spec | {"width": "container", "config": charts.config()}
    drawing = json.dumps(whole, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'window.vegaEmbed("#{name}", {drawing}, {{renderer: "svg", actions: false, ast: true}}),'


def _comparisons(comparisons: Iterable[Json]) -> str:
    heads = ("printed", "#exact ratio", "follows", "by", "larger", "#", "smaller", "#")
    return _table(
        heads,
        (
            (
                one["text"],
                f"{one['ratio']:.2f}",
                one["follows"],
                one["source"],
                one["large"],
                f"{one['exact_large']:,}",
                one["small"],
                f"{one['exact_small']:,}",
            )
            for one in comparisons
        ),
    )


def _networks(points: Iterable[Json]) -> str:
    heads = ("network", "#MACs", "#parameters", "#top-1", "#points per million", "#fp32 ms", "#int8 ms", "source")
    return _table(
        heads,
        (
            (
                point["variant"],
                f"{point['macs']:,}",
                f"{point['params']:,}",
                f"{percent(point['top1'])} %",
                f"{point['top1_points_per_million_params']:.2f}",
                *(DASH if value is None else f"{value:.3g}" for value in point["ms"].values()),
                point["source"],
            )
            for point in points
        ),
    )


VERDICTS = {"yes": "yes", "no": "no", "cut off, not rounded": "cut"}


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A head that begins with # stands over numbers."""
    kinds = ["number" if head.startswith("#") else "" for head in heads]
    head = "".join(
        f'<th class="{kind}">{html.escape(text.lstrip("#"))}</th>' for text, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_td(text, kind) for text, kind in zip(line, kinds, strict=True))}</tr>" for line in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _td(text: str, kind: str) -> str:
    return f'<td class="{VERDICTS.get(text, kind)}">{html.escape(text)}</td>'
