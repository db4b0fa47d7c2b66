"""The command `eval`: accuracy of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.artifact_options import Artifacts
from edgekit.cli.output import Outcome, Progress, notice, refused


def eval(
    artifacts: Artifacts,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Images with labels.csv, or a folder per class.")],
    device: o.Device = "local",
    preprocess: Annotated[
        Path | None, typer.Option("--preprocess", metavar="FILE", help="YAML for a file that edgekit did not make.")
    ] = None,
    output_name: Annotated[
        str | None, typer.Option("--output-name", metavar="NAME", help="Which of several outputs classifies.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="The classes' names, for a file that has none.")
    ] = None,
    classes_by_order: Annotated[
        bool,
        typer.Option("--classes-by-order", help="Class folders count in their sorted order, whatever their names."),
    ] = False,
    runtime: o.Runtime = None,
    delegate: Annotated[str | None, typer.Option("--delegate", help="Delegate of LiteRT.")] = None,
    threads: o.Threads = 1,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
) -> Outcome:
    """Measure the accuracy of the files that ship.

    On labelled images, with their number and an interval. Images that the int8 ranges were calibrated on are refused.

    \b
    Example:
      edgekit eval demo/artifacts/lenet5_32/*.tflite --data demo/images/test
    """
    from edgekit.cli.views import measure as views

    with Progress() as progress:
        result = edgekit.eval(
            artifacts,
            data=data,
            device=device,
            preprocess=preprocess,
            output_name=output_name,
            labels=labels,
            classes_by_order=classes_by_order,
            runtime=runtime,
            delegate=delegate,
            threads=threads,
            store=store,
            devices=devices,
            progress=progress,
        )
    for note in result.notes:
        notice(f"note: {note}")
    refused(result.unstored)
    return Outcome(result.to_json(), views.eval, result.exit_code)
