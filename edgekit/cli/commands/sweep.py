"""The commands about many cells at once: sweep, reproduce, and store, where a team's numbers come together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress, notice, refused

Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Exports at once.  [default: one for each processor]", show_default=False)
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="quick|default|rigorous",
        help="How long to measure.  [default: default]",
        show_default=False,
    ),
]
Effort = Annotated[
    str | None,
    typer.Option("--int8-effort", metavar="fast|default", help="Time spent on int8 accuracy.", show_default=False),
]


def sweep(
    model: Annotated[str, typer.Argument(metavar="MODEL|GRID.yaml", help="A network, or a file that names a grid.")],
    alpha: Annotated[str | None, typer.Option("--alpha", metavar="A,A", help="Width multipliers.")] = None,
    res: Annotated[str | None, typer.Option("--res", "--imgsz", metavar="R,R", help="Input heights in pixels.")] = None,
    classes: o.Classes = None,
    input: o.Input = None,
    option: o.NetworkOptions = None,
    format: Annotated[str | None, typer.Option("--format", "-f", metavar="F,F", help=o.FORMAT_NAMES)] = None,
    precision: Annotated[str | None, typer.Option("--precision", metavar="P,P", help="fp32, fp16, int8.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="D,D", help="Names from devices.yaml.")] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="random|pretrained|FILE|DIR", help="A folder has a file for each variant."),
    ] = None,
    random_where_missing: Annotated[
        bool, typer.Option("--random-where-missing", help="Latency alone for variants that the folder lacks.")
    ] = False,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Calibration images for int8.")] = None,
    synthetic_calibration: Annotated[
        bool, typer.Option("--synthetic-calibration", help="int8 without images: only its latency means anything.")
    ] = False,
    preprocess: Annotated[
        Path | None, typer.Option("--preprocess", metavar="FILE", help="YAML where the weights bring none.")
    ] = None,
    eval: Annotated[Path | None, typer.Option("--eval", metavar="DIR", help="Labelled images for accuracy.")] = None,
    int8_effort: Effort = None,
    runtime: o.Runtime = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads that the runtime may use.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Batch size to measure.")] = None,
    preset: Preset = None,
    export_only: Annotated[bool, typer.Option("--export-only", help="Measure no latency.")] = False,
    continue_: Annotated[bool, typer.Option("--continue", help="Redo only what is missing or changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and how long it will take.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, that many cells are meant.")] = False,
    jobs: Jobs = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where files go.  [default: artifacts]", show_default=False),
    ] = None,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
) -> Outcome:
    """Export, measure and evaluate every cell of a grid.

    What fails is a row with its reason, and the rest goes on. A sweep that was stopped, or that has nothing new to do,
    goes on with --continue.

    \b
    Example:
      edgekit sweep mobilenet --alpha 0.5,0.25 --res 96 --preset quick --dry-run
    """
    from edgekit.cli.views import sweep as views

    axes: dict[str, Any] = {
        "alpha": None if alpha is None else o.decimals(alpha, "--alpha"),
        "res": None if res is None else o.numbers(res, "--res"),
        "format": None if format is None else o.words(format, "--format"),
        "precision": None if precision is None else o.words(precision, "--precision"),
        "device": None if device is None else o.words(device, "--device"),
    }
    with Progress() as progress:
        result = edgekit.sweep(
            model,
            **axes,
            classes=classes,
            input=o.shape(input),
            options=o.pairs(option) or None,
            weights=weights,
            random_where_missing=random_where_missing or None,
            data=data,
            synthetic_calibration=synthetic_calibration or None,
            preprocess=preprocess,
            eval=eval,
            int8_effort=int8_effort,
            runtime=runtime,
            threads=threads,
            batch=batch,
            preset=preset,
            export_only=export_only or None,
            out=out,
            continue_=continue_,
            dry_run=dry_run,
            yes=yes,
            jobs=jobs,
            store=store,
            devices=devices,
            progress=progress,
        )
    for note in result.notes:
        notice(f"note: {note}")
    refused(result.unstored)
    return Outcome(result.to_json(), views.sweep, result.exit_code)


def reproduce(
    model: Annotated[str, typer.Argument(metavar="mobilenet|zoo", help="Whose published results.")] = "mobilenet",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="DIR", help="A file for each variant.  [default: the cache]")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Labelled images, for accuracy.")] = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", metavar="DIR", help="Other images, to calibrate int8 with.")
    ] = None,
    alpha: Annotated[str | None, typer.Option("--alpha", metavar="A,A", help="Only these widths.")] = None,
    res: Annotated[str | None, typer.Option("--res", "--imgsz", metavar="R,R", help="Only these resolutions.")] = None,
    format: Annotated[str, typer.Option("--format", "-f", metavar="F,F", help=o.FORMAT_NAMES)] = "onnx,tflite",
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", metavar="P,P", help="[default: fp32, and int8 with --calibration]", show_default=False
        ),
    ] = None,
    int8_effort: Effort = None,
    device: o.Device = "local",
    threads: o.Threads = 1,
    preset: Preset = None,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("reproduction"),
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
      edgekit reproduce zoo
    """
    from edgekit.cli.views import network
    from edgekit.cli.views import sweep as views

    with Progress() as progress:
        result = edgekit.reproduce(
            model,
            weights=weights,
            data=data,
            calibration=calibration,
            alpha=() if alpha is None else o.decimals(alpha, "--alpha"),
            res=() if res is None else o.numbers(res, "--res"),
            format=o.words(format, "--format"),
            precision=() if precision is None else o.words(precision, "--precision"),
            int8_effort=int8_effort or "default",
            device=device,
            threads=threads,
            preset=preset or "default",
            jobs=jobs,
            out=out,
            store=store,
            devices=devices,
            progress=progress,
        )
    for note in result.notes:
        notice(f"note: {note}")
    view = network.zoo if model == "zoo" else views.reproduce
    return Outcome(result.to_json(), view, result.exit_code)


def store(
    action: Annotated[str, typer.Argument(metavar="merge", help="What to do.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A colleague's SQLite store.")],
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Bring what a colleague measured into your store.

    Each record comes once, however often the same file is merged. The file is only read.

    \b
    Example:
      edgekit store merge edgekit.db --store sqlite:///team.db
    """
    from edgekit.cli.views import sweep as views

    return Outcome(edgekit.store(action, file, store=store).to_json(), views.store)
