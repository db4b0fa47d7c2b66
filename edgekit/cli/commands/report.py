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
    device: o.OfDevice = None,
    model: o.OfModel = None,
    since: o.Since = None,
    latest: Annotated[
        int | None, typer.Option("--latest", "--last", metavar="N", help="Only the last N measurements of these.")
    ] = None,
    file_format: o.OfFileFormat = None,
    precision: o.OfPrecision = None,
    runtime: o.OfRuntime = None,
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Write what was measured as one self-contained HTML file.

    It begins with the file to ship to each device, as `choose` names it without limits. Then tables, pictures of
    accuracy against latency and MACs, and where each row comes from. It opens without a connection.

    Formats: html; md for a pull request; csv and json with every value, its unit in the key (median_ms, bytes; top1 is
    a fraction of 1). The filters may be combined: --model is a network (mobilenet), a variant (mobilenet_0.5_160) or a
    file's name.

    \b
    Example:
      edgekit report --out report.html
      edgekit report --device local --since 7d
      edgekit report --file-format tflite --precision int8
      edgekit report --model lenet5 --latest 4 --format md,csv
    """
    from edgekit.cli.views import report as views

    result = edgekit.report(
        store,
        out,
        o.words(format, "--format"),
        assets,
        device=device,
        model=model,
        since=since,
        latest=latest,
        file_format=o.words_or_none(file_format, "--file-format"),
        precision=o.words_or_none(precision, "--precision"),
        runtime=o.words_or_none(runtime, "--runtime"),
    )
    return Outcome(result.to_json(), views.report)
