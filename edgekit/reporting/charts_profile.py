"""The pictures of one profile: how long each layer took, and its place under the machine's roofs.

Color tells what bounds a layer. The data are made here too, from `Profile.to_json()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.reporting.charts import GRAY, Spec, tip

BOUNDS = ("compute", "memory", "unknown", "none of ours")
COLORS = ("#0072b2", "#d55e00", "#009e73", GRAY)
MAX_BARS = 60
Data = list[dict[str, Any]]


def bars(profile: dict[str, Any]) -> Data:
    """Return the rows of `layers` in the order in which they ran; of many only the slowest, and one for all others."""
    rows = [_bar(one) for one in profile["layers"]]
    if profile["between_ms"]:
        share = profile["between_ms"] / profile["profiled_ms"]
        rows.append(_work("between the operators", profile["between_ms"], share))
    if len(rows) <= MAX_BARS:
        return rows
    least = sorted(row["ms"] for row in rows)[-MAX_BARS + 1]
    kept = [row for row in rows if row["ms"] >= least][: MAX_BARS - 1]
    names = {row["name"] for row in kept}
    rest = [row for row in rows if row["name"] not in names]
    more = _work(f"{len(rest)} others", sum(row["ms"] for row in rest), sum(row["share"] or 0 for row in rest))
    return [*kept, more]


def _bar(one: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "kind", "ms", "share", "gmacs_per_s", "gbytes_per_s", "intensity", "peak_share", "operators")
    bound = one["bound"] or ("unknown" if one["layers"] or one["macs"] else "none of ours")
    return {name: _short(one[name]) for name in names} | {"bound": bound, "layers": " + ".join(one["layers"])}


def _work(name: str, ms: float, share: float) -> dict[str, Any]:
    empty = dict.fromkeys(("kind", "gmacs_per_s", "gbytes_per_s", "intensity", "peak_share"))
    own = {"bound": "none of ours", "layers": "", "operators": ""}
    return {"name": name, "ms": _short(ms), "share": _short(share), **empty, **own}


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def spots(profile: dict[str, Any]) -> Data:
    """Return the points of `roofline`: layers that multiply, by intensity and what they reach."""
    return [_bar(one) for one in profile["layers"] if one["gmacs_per_s"] and one["intensity"]]


def roofs(profile: dict[str, Any]) -> Data:
    """The lines of `roofline`: up with the copy's bandwidth until the peak of each arithmetic that the network uses."""
    peaks, points = profile["peaks"], spots(profile)
    if not peaks or not points or not peaks["copy_gbytes"]:
        return []
    used = {"int8" if one["int8"] else "float32" for one in profile["layers"] if one["macs"]}
    low, high = (edge(point["intensity"] for point in points) for edge in (min, max))
    found = []
    for kind in sorted(used):
        roof, bandwidth = peaks[f"gemm_{kind}_gmacs"], peaks["copy_gbytes"]
        if roof:
            ridge = roof / bandwidth
            stops = (min(low, ridge) * 0.8, ridge, max(high, ridge) * 1.25)
            found += [{"roof": kind, "intensity": at, "gmacs_per_s": min(roof, bandwidth * at)} for at in stops]
    return found


def layers() -> Spec:
    """Return a bar for each row of the data set `bars`."""
    return {
        "data": {"name": "bars"},
        "width": "container",
        "height": {"step": 17},
        "mark": {"type": "bar", "height": 11},
        "encoding": {
            "x": {"field": "ms", "type": "quantitative", "title": "Milliseconds of one inference"},
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 300, "ticks": False},
            },
            "color": _color(),
            "tooltip": _tips(),
        },
    }


def roofline() -> Spec:
    """Return what each layer reaches over its intensity, log axes; reads the data sets `spots` and `roofs`."""
    x: Spec = {"field": "intensity", "type": "quantitative", "title": "Multiply-accumulates on a byte (log scale)"}
    y: Spec = {"field": "gmacs_per_s", "type": "quantitative", "title": "GMAC/s (log scale)"}
    x["scale"], y["scale"] = ({"type": "log", "nice": False, "padding": 12} for _ in range(2))
    x["axis"], y["axis"] = ({"tickCount": 6, "format": "~r", "labelOverlap": "greedy"} for _ in range(2))
    line = {"type": "line", "color": GRAY, "strokeWidth": 1.5}
    name = {"type": "text", "align": "right", "dx": -2, "dy": -8, "fontSize": 10}
    size = {"field": "share", "type": "quantitative", "scale": {"range": [16, 320]}, "legend": None}
    last = [
        {"joinaggregate": [{"op": "max", "field": "intensity", "as": "end"}], "groupby": ["roof"]},
        {"filter": "datum.intensity == datum.end"},
    ]
    named = {"encoding": {"x": x, "y": y, "text": {"field": "roof"}}, "transform": last, "mark": name}
    return {
        "data": {"name": "spots"},
        "width": "container",
        "height": 340,
        "layer": [
            {"data": {"name": "roofs"}, "mark": line, "encoding": {"x": x, "y": y, "detail": {"field": "roof"}}},
            {"data": {"name": "roofs"}, **named},
            {
                "mark": {"type": "point", "filled": True, "opacity": 0.75},
                "encoding": {"x": x, "y": y, "size": size, "color": _color(), "tooltip": _tips()},
            },
        ],
    }


def _color() -> dict[str, Any]:
    scale = {"domain": list(BOUNDS), "range": list(COLORS)}
    return {"field": "bound", "type": "nominal", "title": "Bound by", "scale": scale}


def _tips() -> list[dict[str, Any]]:
    words = (("name", "Layer"), ("layers", "Run together"), ("kind", "Kind"), ("operators", "Run as"))
    numbers = (
        ("ms", "Milliseconds", ".4~r"), ("share", "Share", ".1%"), ("gmacs_per_s", "GMAC/s", ".3~r"),
        ("peak_share", "Of the peak", ".1%"), ("gbytes_per_s", "GB/s", ".3~r"), ("intensity", "MACs/byte", ".3~r"),
    )  # fmt: skip
    return [*(tip(*one) for one in words), *(tip(*one) for one in numbers)]


def datasets(profile: dict[str, Any]) -> dict[str, dict[str, Data]]:
    """Return what both pictures of a profile read, by picture."""
    return {"layers": {"bars": bars(profile)}, "roofline": {"spots": spots(profile), "roofs": roofs(profile)}}


def heaviest(profile: dict[str, Any], most: int = 3) -> Sequence[tuple[str, float]]:
    """Return the names of the slowest rows, with their shares."""
    slowest = sorted(profile["layers"], key=lambda one: -one["ms"])[:most]
    return [(one["name"], one["share"]) for one in slowest if one["share"]]
