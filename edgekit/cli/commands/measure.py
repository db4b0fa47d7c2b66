"""The commands that measure files and show what was measured: bench, eval, report, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress, notice, refused


def bench(
    artifacts: o.Artifacts,
    device: o.Device = "local",
    runtime: o.Runtime = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Execution provider of onnxruntime.")] = None,
    delegate: Annotated[str | None, typer.Option("--delegate", help="Delegate of LiteRT.")] = None,
    threads: o.Threads = 1,
    batch: Annotated[str, typer.Option("--batch", metavar="N,N", help="Batch sizes to measure.")] = "1",
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="[NAME=]1,3,224,224", help="Shape of an input whose sizes are free; repeatable."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="quick|default|rigorous", help="How long to measure.")
    ] = "default",
    versus: Annotated[
        bool, typer.Option("--versus", help="Interleave the files, and compare each with the first.")
    ] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Also measure each layer, in a pass of its own.")] = False,
    power_mode: Annotated[
        str | None, typer.Option("--power-mode", metavar="MODE", help="Set a Jetson's mode, put back afterwards.")
    ] = None,
    store: o.Store = None,
    devices: o.Devices = None,
    json: o.Json = False,
) -> Outcome:
    """Measure latency and memory of files, in fresh processes.

    Every sample is kept in the store, which `edgekit report` reads. Each number has a verdict: valid, suspect or
    invalid, from what the device did meanwhile; where one is invalid the exit code is 6.

    \b
    Example:
      edgekit bench artifacts/mobilenet_0.5_160/*.tflite --threads 1 --preset quick
      edgekit bench artifacts/mobilenet_0.5_160/*.onnx --profile --preset quick
      edgekit bench artifacts/mobilenet_0.5_160/*.tflite artifacts/mobilenet_0.5_160/*.onnx --versus --preset quick
    """
    from edgekit.cli.views import measure as views

    with Progress() as progress:
        result = edgekit.bench(
            artifacts,
            device=device,
            runtime=runtime,
            provider=provider,
            delegate=delegate,
            threads=threads,
            batch=o.numbers(batch, "--batch"),
            input=o.shapes(input),
            preset=preset,
            versus=versus,
            profile=profile,
            power_mode=power_mode,
            store=store,
            devices=devices,
            progress=progress,
        )
    refused(result.unstored)
    return Outcome(result.to_json(), views.bench, result.exit_code)


def eval(
    artifacts: o.Artifacts,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Images with labels.csv, or a folder per class.")],
    device: o.Device = "local",
    preprocess: Annotated[
        Path | None, typer.Option("--preprocess", metavar="FILE", help="YAML for a file that edgekit did not make.")
    ] = None,
    output_name: Annotated[
        str | None, typer.Option("--output-name", metavar="NAME", help="Which of several outputs classifies.")
    ] = None,
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


def devices(
    action: Annotated[
        str | None, typer.Argument(metavar="check|tool", help="Try to reach a device, or fetch a phone's tool.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one.")] = None,
    devices: o.Devices = None,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch without asking.")] = False,
    json: o.Json = False,
) -> Outcome:
    """List the devices of devices.yaml, or check that one answers.

    `devices tool litert` and `devices tool classic` fetch Google's benchmark_model for phones, after asking.

    \b
    Example:
      edgekit devices
    """
    from edgekit.cli.views import measure as views

    if action == "tool" and name is not None:
        with Progress() as progress:
            fetched = edgekit.devices(
                devices=devices,
                tool=o.agreed(name, yes),
                progress=lambda done, total: progress("fetching benchmark_model", done, total),
            )
        return Outcome(fetched.to_json(), views.devices)
    check = o.checked(action, name, lambda: edgekit.devices(devices=devices).devices)
    found = edgekit.devices(check=check, devices=devices)
    return Outcome(found.to_json(), views.devices, found.exit_code)
