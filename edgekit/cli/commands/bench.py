"""The command `bench`: latency and memory of files."""

from __future__ import annotations

from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.artifact_options import Artifacts
from edgekit.cli.output import Outcome, Progress, refused


def bench(
    artifacts: Artifacts,
    device: o.Device = "local",
    runtime: o.Runtime = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Provider of onnxruntime or torch.")] = None,
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
    sustained: Annotated[
        str | None,
        typer.Option(
            "--sustained",
            metavar="TIME",
            help="Run for so long, say 10m, and compare the first minute with the last.",
        ),
    ] = None,
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
    from edgekit.cli.views import bench as views

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
            sustained=sustained,
            power_mode=power_mode,
            store=store,
            devices=devices,
            progress=progress,
        )
    refused(result.unstored)
    return Outcome(result.to_json(), views.bench, result.exit_code)
