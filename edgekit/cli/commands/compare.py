"""The command `compare`: a gate for pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, as_line

_SIDE = "latest, latest~1, a file that was measured, an id, another store, or results.json."
FORMATS = ("text", "json", "md")


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help=_SIDE)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, for what may have become slower.")],
    max_slowdown: Annotated[
        str | None,
        typer.Option(
            "--max-slowdown", metavar="P%", help="Slowdown that is still accepted: 5% if not given; none: any."
        ),
    ] = None,
    max_drop: Annotated[
        str | None, typer.Option("--max-drop", metavar="P", help="Most points of top-1 lost, image by image.")
    ] = None,
    max_growth: Annotated[str | None, typer.Option("--max-growth", metavar="P%", help="Most growth of a file.")] = None,
    max_memory_growth: Annotated[
        str | None, typer.Option("--max-memory-growth", metavar="P%", help="Most growth of the peak memory.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail also where the noise leaves it open.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write the outcome as JUnit XML here.")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", metavar="text|json|md", help="How to print it.")] = "text",
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Compare a new build with an old one; fail if it is worse.

    It compares latencies, and accuracies, sizes and memory where these have a limit. --max-slowdown none leaves
    latency out.
    Exit code 3: slower or beyond a limit, or missing on the new side. 6: a measurement is invalid.
    2: not comparable (another device, runtime or number of threads; other images).
    Where the noise leaves it open the code is 0; with --strict, 3.

    A ratio is the new median latency over the old one, with its 95 % interval: 1.05 is 5 % slower. --max-drop is in
    points of top-1. `latest` is what the last command measured, `latest~1` the one before; a store stands for the last
    measurement of each of its files.

    \b
    Example:
      edgekit compare latest~1 latest --max-slowdown 5%
      edgekit compare latest~1 latest --max-growth 10% --max-memory-growth 10%
      edgekit compare latest~1 latest --junit gate.xml --format md
    """
    from edgekit.cli import written
    from edgekit.cli.views import compare as views

    format = written.checked(format, FORMATS)
    result = edgekit.compare(
        base,
        new,
        max_slowdown=max_slowdown,
        max_drop=max_drop,
        max_growth=max_growth,
        max_memory_growth=max_memory_growth,
        strict=strict,
        junit=junit,
        store=store,
    )
    document = result.to_json()
    text = as_line(document) if format == "json" else result.to_markdown() if format == "md" else None
    return Outcome(document, views.compare, result.exit_code, text)
