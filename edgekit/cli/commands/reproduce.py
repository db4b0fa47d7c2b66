"""The command `reproduce`: published results beside our own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.artifact_options import FORMAT_NAMES
from edgekit.cli.output import Outcome, Progress, notice

Effort = Annotated[
    str | None,
    typer.Option("--int8-effort", metavar="fast|default", help="Time spent on int8 accuracy.", show_default=False),
]


def reproduce(
    model: Annotated[str, typer.Argument(metavar="mobilenet|zoo", help="Whose published results.")] = "mobilenet",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="DIR", help="A file for each variant.  [default: the cache]")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Labeled images, for accuracy.")] = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", metavar="DIR", help="Other images, to calibrate int8 with.")
    ] = None,
    alpha: Annotated[str | None, typer.Option("--alpha", metavar="A,A", help="Only these widths.")] = None,
    res: Annotated[str | None, typer.Option("--res", "--imgsz", metavar="R,R", help="Only these resolutions.")] = None,
    format: Annotated[str, typer.Option("--format", "-f", metavar="F,F", help=FORMAT_NAMES)] = "onnx,tflite",
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", metavar="P,P", help="[default: fp32, and int8 with --calibration]", show_default=False
        ),
    ] = None,
    int8_effort: Effort = None,
    device: o.Device = "local",
    threads: o.Threads = 1,
    preset: o.Preset = None,
    jobs: o.Jobs = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("reproduction"),
    own: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="FILE.py:function[=P]", help="Own network beside; for zoo with its top-1 in %."),
    ] = None,
    preprocess: Annotated[
        Path | None, typer.Option("--preprocess", metavar="FILE", help="How own networks take images, as YAML.")
    ] = None,
    save: Annotated[
        list[Path] | None,
        typer.Option("--save", metavar="FILE", help="Also the rows as .csv or .tex, the chart as .svg or .png."),
    ] = None,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
) -> Outcome:
    """Measure a published trade-off, and lay it beside the paper's.

    MobileNet at all published widths and resolutions, with the weights that are here; rows without weights show latency
    only. Run it again to go on where it stopped. `zoo` measures nothing: every network's published accuracy over exact
    MACs, and which printed comparisons follow.

    \b
    Example:
      edgekit reproduce mobilenet --alpha 0.25 --res 128 --preset quick
      edgekit reproduce zoo --save zoo.csv --save zoo.svg
    """
    from edgekit.cli.views import network
    from edgekit.cli.views import reproduce as views

    with Progress() as progress:
        result = edgekit.reproduce(
            model, weights=weights, data=data, calibration=calibration,
            alpha=() if alpha is None else o.decimals(alpha, "--alpha"),
            res=() if res is None else o.numbers(res, "--res"), format=o.words(format, "--format"),
            precision=() if precision is None else o.words(precision, "--precision"),
            int8_effort=int8_effort or "default", device=device, threads=threads, preset=preset or "default",
            jobs=jobs, out=out, own=own or (), preprocess=preprocess, save=save or (), store=store, devices=devices,
            progress=progress,
        )  # fmt: skip
    for note in result.notes:
        notice(f"note: {note}")
    view = network.zoo if model == "zoo" else views.reproduce
    return Outcome(result.to_json(), view, result.exit_code)
