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
    min_top1: Annotated[
        str | None, typer.Option("--min-top1", metavar="P", help="Least top-1 of each file, in percent.")
    ] = None,
    max_drop: Annotated[
        str | None, typer.Option("--max-drop", metavar="P", help="Most points of top-1 under --against.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="The file to compare with, image by image.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write each file's classes, confusions and images here."),
    ] = None,
    runtime: o.Runtime = None,
    delegate: Annotated[str | None, typer.Option("--delegate", help="Delegate of LiteRT.")] = None,
    threads: o.Threads = 1,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
) -> Outcome:
    """Measure the accuracy of the files that ship.

    Top-1 and top-5 on labeled images, with their number and an interval. Images that the int8 ranges were calibrated
    on are refused. Each file is compared with its own fp32 file where that is named, else with the first.
    Exit code 3: top-1 is under --min-top1, or further under that of --against than --max-drop.

    \b
    Example:
      edgekit eval demo/artifacts/lenet5_32/*.tflite --data demo/images/test --min-top1 50
      edgekit eval demo/artifacts/lenet5_32/*.onnx --data demo/images/test --json
    """
    from edgekit.cli.views import accuracy as views

    with Progress() as progress:
        result = edgekit.eval(
            artifacts,
            data=data,
            device=device,
            preprocess=preprocess,
            output_name=output_name,
            labels=labels,
            classes_by_order=classes_by_order,
            min_top1=min_top1,
            max_drop=max_drop,
            against=against,
            csv=csv,
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
