"""The table of a page with a device a column, as HTML. Every value goes through `html.escape`."""

from __future__ import annotations

import html
from collections.abc import Sequence

from edgekit.records.reasons import LEVELS
from edgekit.reporting.by_device import ByDevice, Line, by_device
from edgekit.reporting.rows import Row
from edgekit.util.formatting import DASH, milliseconds, percent


def devices_html(rows: Sequence[Row]) -> str:
    """The section, or nothing where fewer than two devices measured. The page's script hides lines by their file."""
    found = by_device(rows)
    if found is None:
        return ""
    heads = "".join(f'<th scope="col" class="number">{html.escape(place)}</th>' for place in found.places)
    body = "".join(_line(found, line) for line in found.lines)
    return (
        '<section id="devices"><div class="heading"><h2>Device by device</h2></div>'
        '<p class="soft">The median latency of each file in milliseconds. Bold: on the Pareto front of accuracy over '
        "latency there.</p>"
        '<div class="scroll"><table class="plain"><thead><tr><th scope="col">File</th>'
        f'<th scope="col" class="number">Top-1, %</th>{heads}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _line(found: ByDevice, line: Line) -> str:
    top1 = DASH if line.file.top1 is None else percent(line.file.top1)
    cells = "".join(f'<td class="number">{_cell(found, some)}</td>' for some in line.cells)
    return (
        f'<tr data-sha="{html.escape(line.file.sha256)}"><th scope="row">{html.escape(_name(line.file))}</th>'
        f'<td class="number">{top1}</td>{cells}</tr>'
    )


def _name(row: Row) -> str:
    return " ".join(filter(None, (row.variant, row.precision, row.format)))


def _cell(found: ByDevice, some: Sequence[Row]) -> str:
    """Its measurements, one below the other where there are several."""
    return "".join(_time(row, found.how(row)) for row in some) or DASH


def _time(row: Row, how: str) -> str:
    value = milliseconds(row.median_ms or 0)
    shown = f"<b>{value}</b>" if row.front_latency else value
    doubt = row.verdict if row.verdict in LEVELS else ""
    small = ", ".join(filter(None, (doubt, how)))
    return f"<div>{shown}{f'<small>{html.escape(small)}</small>' if small else ''}</div>"
