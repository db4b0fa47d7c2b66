"""The command `sweep`: every cell of a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.export_options import from_text, parameter, takes
from edgekit.cli.output import Outcome, notice, refused
from edgekit.exporting.options import DEFAULTS, HINTS, OPTIONS, flag
from edgekit.sweeps.grid.axes import VARIED

# Axes among the options of export: words of a choice, and numbers. A free text may have commas of its own.
_VARIED = [name for name in VARIED if OPTIONS[name].choices or HINTS[name] == int | None]
_READ: dict[str, Callable[[str, str], Any]] = {
    **{name: o.numbers if HINTS[name] == int | None else o.words for name in _VARIED},
    "alpha": o.decimals,
    "res": o.numbers,
    "device": o.devices,
    **dict.fromkeys(("runtime", "provider", "delegate", "power_mode"), o.words),
    **dict.fromkeys(("threads", "batch"), o.numbers),
}
# Where a sweep takes several values, or says more than an export.
_OWN: dict[str, dict[str, Any]] = {
    **{
        name: {
            "hint": str | None,
            "metavar": "|".join(OPTIONS[name].choices) + ",.." if OPTIONS[name].choices else "N,N",
        }
        for name in _VARIED
    },
    "alpha": {"hint": str | None, "metavar": "A,A", "help": "Width multipliers."},
    "res": {"hint": str | None, "metavar": "R,R", "help": "Input heights in pixels."},
    "device": {
        "hint": str | None,
        "metavar": "D,D",
        "help": "Devices; twins as pi=pi-1+pi-2.",
    },
    "weights": {"metavar": "random|pretrained|FILE|DIR", "help": "A folder has a file for each variant."},
    "data": {"help": "Calibration images, or .npz examples, for int8."},
    "out": {"help": "Where files go.  [default: artifacts]"},
}
_EXPORT = [
    parameter(name, default=False) if DEFAULTS[name] is False else parameter(name, default=None, **_OWN.get(name, {}))
    for name in OPTIONS
    if name != "devices"
]


@takes(_EXPORT)
def sweep(
    model: Annotated[
        list[str], typer.Argument(metavar="MODEL...|GRID.yaml", help="Networks, or a file that names a grid.")
    ],
    *,
    random_where_missing: Annotated[
        bool, typer.Option("--random-where-missing", help="Latency alone for variants that the folder lacks.")
    ] = False,
    eval: Annotated[Path | None, typer.Option("--eval", metavar="DIR", help="Labeled images for accuracy.")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", metavar="R,R", help="Names of runtimes.")] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="P,P", help="Execution providers of onnxruntime.")
    ] = None,
    delegate: Annotated[
        str | None, typer.Option("--delegate", metavar="D,D", help="LiteRT delegates, such as gpu or nnapi.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option("--threads", metavar="N,N", help="Threads that the runtime may use.")
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="N,N", help="Batch sizes to measure.")] = None,
    power_mode: Annotated[
        str | None, typer.Option("--power-mode", metavar="M,M", help="Power modes of Jetsons, by name.")
    ] = None,
    preset: o.Preset = None,
    export_only: Annotated[bool, typer.Option("--export-only", help="Measure no latency.")] = False,
    continue_: Annotated[bool, typer.Option("--continue", help="Redo only what is missing or changed.")] = False,
    retry: Annotated[
        str | None, typer.Option("--retry", metavar="failed", help="Of what is missing, only try again what failed.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and how long it will take.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Go on with more than 1,000 cells.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="local|dask", help="What runs the jobs: this machine, or a cluster.")
    ] = "local",
    scheduler: o.Scheduler = None,
    tls_ca: o.TlsCa = None,
    tls_cert: o.TlsCert = None,
    tls_key: o.TlsKey = None,
    insecure: o.Insecure = False,
    jobs: o.Jobs = None,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
    **given: Any,
) -> Outcome:
    """Export, measure and evaluate every cell of a grid.

    What fails is a row with its reason, and the rest goes on. --continue goes on with a sweep that was stopped: it
    redoes only what is missing or changed.

    \b
    Example:
      edgekit sweep mobilenet --alpha 0.5,0.25 --res 96 --preset quick --dry-run
      edgekit sweep lenet5 --format onnx --export-only --continue
    """
    from edgekit.cli.live import LiveTable
    from edgekit.cli.views import sweep as views

    given |= {"runtime": runtime, "provider": provider, "delegate": delegate, "power_mode": power_mode}
    asked = _asked(given | {"threads": threads, "batch": batch})
    with LiveTable() as progress:
        result = edgekit.sweep(
            model,
            **asked,
            random_where_missing=random_where_missing or None,
            eval=eval,
            preset=preset,
            export_only=export_only or None,
            continue_=continue_,
            retry=retry,
            dry_run=dry_run,
            yes=yes,
            engine=engine,
            scheduler=scheduler,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            insecure=insecure,
            jobs=jobs,
            store=store,
            devices=devices,
            progress=progress,
            watch=progress.watch,
        )
    for note in result.notes:
        notice(f"note: {note}")
    refused(result.unstored)
    return Outcome(result.to_json(), views.sweep, result.exit_code)


def _asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a grid that were given: an option that was left out replaces nothing that a file says."""
    return {
        name: _READ[name](value, flag(name)) if name in _READ else from_text(name, value)
        for name, value in given.items()
        if value is not None and value is not False and value != []
    }
