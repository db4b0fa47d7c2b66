"""The commands about networks and the files made from them: models, summary, export, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.export_options import from_text, keyword, parameter, takes
from edgekit.cli.output import Outcome, Progress, notice
from edgekit.exporting.options import OPTIONS


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
    input: o.Inputs = None,
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

    table = edgekit.summary(
        model, alpha=alpha, res=res, classes=classes, options=o.pairs(option), input=o.inputs(input)
    )
    return Outcome(table.to_json(), views.summary)


_PRECISION = (
    parameter("precision", default=None, hint=str | None, help="fp32, fp16, int8.  [default: fp32]"),
    keyword("half", Annotated[bool, typer.Option("--half", help="The same as --precision fp16.")], False),
    keyword("int8", Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")], False),
)
_EXPORT = [one for name in OPTIONS for one in (_PRECISION if name == "precision" else (parameter(name),))]


@takes(_EXPORT)
def export(model: o.Model, *, half: bool, int8: bool, json: o.Json = False, **given: Any) -> Outcome:
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

    asked = {name: from_text(name, value) for name, value in given.items()}
    precision = [*(asked.pop("precision") or ()), *["fp16"] * half, *["int8"] * int8]
    with Progress() as progress:
        result = edgekit.export(model, **asked, precision=tuple(precision) or ("fp32",), progress=progress)
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
