"""The command `report`: what was measured, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def report(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the report goes.")] = Path("report.html"),
    format: Annotated[str, typer.Option("--format", "-f", metavar="F,F", help="html, md, csv, json.")] = "html",
    assets: Annotated[
        Path | None, typer.Option("--assets", metavar="DIR", help="Also write the pictures as SVG and PNG here.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", help="Of the last N measurements.  [default: all]")
    ] = None,
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Write what was measured as one self-contained HTML file.

    A table, pictures of accuracy against MACs and latency, and where each row comes from. It opens without a network.

    \b
    Example:
      edgekit report --out report.html
    """
    from edgekit.cli.views import measure as views

    result = edgekit.report(out=out, format=o.words(format, "--format"), assets=assets, last=last, store=store)
    return Outcome(result.to_json(), views.report)
