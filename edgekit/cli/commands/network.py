"""The commands about networks and the files made from them: models, summary, export, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress, notice


def models(json: o.Json = False) -> Outcome:
    """List the networks, their MACs and published accuracy.

    MACs are multiply-accumulates of one image through the convolution and linear layers.

    \b
    Example:
      edgekit models
    """
    from edgekit.cli.views import network as views

    return Outcome(edgekit.models().to_json(), views.models)


def summary(
    model: o.Model,
    alpha: o.Alpha = None,
    res: o.Resolution = None,
    classes: o.Classes = None,
    option: o.NetworkOptions = None,
    input: o.Input = None,
    json: o.Json = False,
) -> Outcome:
    """Show a network layer by layer, with parameters and MACs.

    Also each layer's output shape and how many input pixels it sees. Nothing is
    downloaded, and no weights are allocated.

    \b
    Example:
      edgekit summary mobilenet --alpha 0.5 --res 160
    """
    from edgekit.cli.views import network as views

    table = edgekit.summary(model, alpha=alpha, res=res, classes=classes, options=o.pairs(option), input=o.shape(input))
    return Outcome(table.to_json(), views.summary)


def export(
    model: o.Model,
    alpha: o.Alpha = None,
    res: o.Resolution = None,
    classes: o.Classes = None,
    input: o.Input = None,
    option: o.NetworkOptions = None,
    format: Annotated[str, typer.Option("--format", "-f", metavar="F,F", help=o.FORMAT_NAMES)] = "onnx,tflite",
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="P,P", help="fp32, fp16, int8.  [default: fp32]", show_default=False),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="The same as --precision fp16.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="random|pretrained|FILE",
            help="Where weights come from.  [default: random, or what a network of your own holds]",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Calibration images for int8, and for the proof.")
    ] = None,
    preprocess: Annotated[
        Path | None, typer.Option("--preprocess", metavar="FILE", help="YAML where the weights bring none.")
    ] = None,
    synthetic_calibration: Annotated[
        bool, typer.Option("--synthetic-calibration", help="int8 without images: only its latency means anything.")
    ] = False,
    ranges: Annotated[str, typer.Option("--ranges", metavar="data|file", help="Where int8 ranges come from.")] = "data",
    int8_effort: Annotated[
        str, typer.Option("--int8-effort", metavar="fast|default", help="Time spent on int8 accuracy.")
    ] = "default",
    max_drop: Annotated[
        float | None, typer.Option("--max-drop", metavar="P", help="Most points of top-1 that int8 may lose.")
    ] = None,
    io: Annotated[
        str, typer.Option("--io", metavar="float32|uint8|int8", help="Type of input and output.")
    ] = "float32",
    output: Annotated[
        str, typer.Option("--output", metavar="logits|softmax|argmax", help="What the file answers with.")
    ] = "logits",
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="Names of the outputs, one a line, to be in the file."),
    ] = None,
    opset: Annotated[int | None, typer.Option("--opset", help="ONNX operator set.")] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Leave the batch size open.")] = False,
    max_batch: Annotated[
        int | None, typer.Option("--max-batch", metavar="N", help="Largest batch of an open TensorRT engine.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option("--max-bytes", help="Largest file that is accepted.")] = None,
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", metavar="MS", help="Longest median inference that is accepted.")
    ] = None,
    device: o.Device = "local",
    devices: o.Devices = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where files go.")] = Path("artifacts"),
    json: o.Json = False,
) -> Outcome:
    """Write a network to files for devices, each proved.

    BatchNorm is folded away. Every file is opened again from disk, run, and compared; one that differs is kept under
    a .rejected name, and the exit code is 3.

    With --device the file runs there for that, and for --max-latency; TensorRT engines are built there, too, as they
    run nowhere else. A phone only times: the proof runs here.

    \b
    Example:
      edgekit export mobilenet --alpha 0.5 --res 160
    """
    from edgekit.cli.views import measure as views

    asked = list(o.words(precision, "--precision")) if precision is not None else []
    asked += ["fp16"] * (half and "fp16" not in asked) + ["int8"] * (int8 and "int8" not in asked)
    with Progress() as progress:
        result = edgekit.export(
            model,
            alpha=alpha,
            res=res,
            classes=classes,
            input=o.shape(input),
            options=o.pairs(option),
            format=o.words(format, "--format"),
            precision=tuple(asked) or ("fp32",),
            weights=weights,
            data=data,
            preprocess=preprocess,
            synthetic_calibration=synthetic_calibration,
            ranges=ranges,
            int8_effort=int8_effort,
            max_drop=max_drop,
            io=io,
            output=output,
            labels=labels,
            opset=opset,
            dynamic_batch=dynamic_batch,
            max_bytes=max_bytes,
            max_latency=max_latency,
            max_batch=max_batch,
            device=device,
            devices=devices,
            out=out,
            progress=progress,
        )
    for note in result.notes:
        notice(f"note: {note}")
    return Outcome(result.to_json(), views.export, result.exit_code)


def inspect(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help=f"A file {o.SUFFIXES}.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="An int8 file's layers by signal-to-noise, worst first.")
    ] = False,
    snippet: Annotated[
        str | None, typer.Option("--snippet", metavar="python|cpp|kotlin", help="Print code that calls it.")
    ] = None,
    json: o.Json = False,
) -> Outcome:
    """Say what a file is, what made it, and how to call it.

    A file that has changed since it was made is refused.

    \b
    Example:
      edgekit inspect artifacts/mobilenet_0.5_160/mobilenet_0.5_160_random0_fp32.tflite
    """
    from edgekit.cli.views import measure as views

    return Outcome(edgekit.inspect(artifact, layers=layers, snippet=snippet).to_json(), views.inspect)
