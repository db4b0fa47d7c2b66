"""The picture of sustained load: the latency of each window over the time, with what the device did in its tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.reporting.charts import GRAY, Spec, tip
from edgekit.reporting.rows import Row

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", GRAY)
FACTS = (
    ("celsius", "Temperature (°C)", ".1f"),
    ("mhz", "Clock (MHz)", ".0f"),
    ("gpu_celsius", "Temperature of the GPU (°C)", ".1f"),
    ("gpu_mhz", "Clock of the GPU (MHz)", ".0f"),
    ("foreign_processors", "Processors busy with others", ".2f"),
)


def curve(row: Row) -> list[dict[str, Any]]:
    """Return the points of a row's windows for the data set `curves`; none of a row without sustained load."""
    windows = row.sustained["windows"] if row.sustained else ()
    return [
        {
            "label": row.label,
            "minute": round(one["began_s"] / 60, 4),
            "ms": float(f"{one['median_ms']:.5g}"),
            **{name: one[name] for name, *_ in FACTS},
        }
        for one in windows
    ]


def curves(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the data set `curves` of all rows."""
    return [point for row in rows for point in curve(row)]


def sustained() -> Spec:
    """Return a line for each file over the minutes; reads the data set `curves`."""
    numbers = (("minute", "Minute", ".2f"), ("ms", "Median (ms)", ".4~r"), *FACTS)
    tips = [tip("label", "What"), *(tip(*one) for one in numbers)]
    return {
        "data": {"name": "curves"},
        "width": "container",
        "height": 300,
        "mark": {"type": "line", "point": {"size": 22, "filled": True}, "strokeWidth": 1.5},
        "encoding": {
            "x": {
                "field": "minute",
                "type": "quantitative",
                "title": "Minutes under load",
                "axis": {"tickCount": 8},
            },
            "y": {
                "field": "ms",
                "type": "quantitative",
                "title": "Median latency of a window (ms)",
                "scale": {"zero": False, "nice": True},
            },
            "color": {
                "field": "label",
                "type": "nominal",
                "title": None,
                "scale": {"range": list(COLORS)},
                "legend": {"direction": "vertical", "labelLimit": 600},
            },
            "tooltip": tips,
        },
    }
