"""The commands about many cells at once: sweep, reproduce, and store, where a team's numbers come together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.export_options import from_text, parameter, takes
from edgekit.cli.output import Outcome, Progress, notice, refused
from edgekit.exporting.options import DEFAULTS, OPTIONS, flag

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


# Where a sweep takes several values, or says more than an export.
_OWN: dict[str, dict[str, Any]] = {
    "alpha": {"hint": str | None, "metavar": "A,A", "help": "Width multipliers."},
    "res": {"hint": str | None, "metavar": "R,R", "help": "Input heights in pixels."},
    "device": {"hint": str | None, "metavar": "D,D", "help": "Names from devices.yaml."},
    "weights": {"metavar": "random|pretrained|FILE|DIR", "help": "A folder has a file for each variant."},
    "data": {"help": "Calibration images for int8."},
    "out": {"help": "Where files go.  [default: artifacts]"},
}
_EXPORT = [
    parameter(name, default=False) if DEFAULTS[name] is False else parameter(name, default=None, **_OWN.get(name, {}))
    for name in OPTIONS
    if name != "devices"
]


@takes(_EXPORT)
def sweep(
    model: Annotated[str, typer.Argument(metavar="MODEL|GRID.yaml", help="A network, or a file that names a grid.")],
    *,
    random_where_missing: Annotated[
        bool, typer.Option("--random-where-missing", help="Latency alone for variants that the folder lacks.")
    ] = False,
    eval: Annotated[Path | None, typer.Option("--eval", metavar="DIR", help="Labelled images for accuracy.")] = None,
    runtime: o.Runtime = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads that the runtime may use.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Batch size to measure.")] = None,
    preset: Preset = None,
    export_only: Annotated[bool, typer.Option("--export-only", help="Measure no latency.")] = False,
    continue_: Annotated[bool, typer.Option("--continue", help="Redo only what is missing or changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and how long it will take.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, that many cells are meant.")] = False,
    jobs: Jobs = None,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
    **given: Any,
) -> Outcome:
    """Export, measure and evaluate every cell of a grid.

    What fails is a row with its reason, and the rest goes on. A sweep that was stopped, or that has nothing new to do,
    goes on with --continue.

    \b
    Example:
      edgekit sweep mobilenet --alpha 0.5,0.25 --res 96 --preset quick --dry-run
    """
    from edgekit.cli.views import sweep as views

    axes = {"alpha": o.decimals, "res": o.numbers, "device": o.words}
    asked: dict[str, Any] = {}  # a flag that was not given replaces nothing that a file says
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            asked[name] = axes[name](value, flag(name)) if name in axes else from_text(name, value)
    with Progress() as progress:
        result = edgekit.sweep(
            model,
            **asked,
            random_where_missing=random_where_missing or None,
            eval=eval,
            runtime=runtime,
            threads=threads,
            batch=batch,
            preset=preset,
            export_only=export_only or None,
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
