"""The command `demo`: the whole way, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("demo"),
    json: o.Json = False,
) -> Outcome:
    """Go the whole way on handwritten digits, in minutes.

    Train, export, prove, measure and report, with nothing downloaded. LeNet-5
    and MobileNet at four widths, as ONNX and TFLite, in fp32 and int8.

    \b
    Example:
      edgekit demo
    """
    from edgekit.cli.views import report as views

    with Progress() as progress:
        result = edgekit.demo(out=out, progress=progress)
    return Outcome(result.to_json(), views.demo, result.exit_code)
