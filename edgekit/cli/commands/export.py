"""The command `export`: a network as files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.export_options import from_text, keyword, parameter, takes
from edgekit.cli.output import Outcome, Progress, notice
from edgekit.exporting.options import OPTIONS
from edgekit.records.formats import PRECISIONS

_PRECISION = (
    parameter("precision", default=None, hint=str | None, help=f"{', '.join(PRECISIONS)}.  [default: fp32]"),
    keyword("half", Annotated[bool, typer.Option("--half", help="The same as --precision fp16.")], False),
    keyword("int8", Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")], False),
)
_FORCE = keyword(
    "force",
    Annotated[bool, typer.Option("--force", help="Make files again that are there already from the same inputs.")],
    False,
)
_EXPORT = [one for name in OPTIONS for one in (_PRECISION if name == "precision" else (parameter(name),))]
_EXPORT += [_FORCE]


@takes(_EXPORT)
def export(model: o.Model, *, half: bool, int8: bool, force: bool, json: o.Json = False, **given: Any) -> Outcome:
    """Write a network to files for devices, each proved.

    BatchNorm is folded away. Every file is opened again from disk, run, and compared; one that differs is kept under
    a .rejected name, and the exit code is 3.

    With --device it runs there, for the proof and for --max-latency. TensorRT engines are built there, too, as they run
    nowhere else. On a phone only the time is taken: the proof runs here.

    \b
    Example:
      edgekit export mobilenet --alpha 0.5 --res 160
    """
    from edgekit.cli.views import export as views

    asked = {name: from_text(name, value) for name, value in given.items()}
    precision = [*(asked.pop("precision") or ()), *["fp16"] * half, *["int8"] * int8]
    with Progress() as progress:
        result = edgekit.export(model, **asked, precision=tuple(precision) or ("fp32",), force=force, progress=progress)
    for note in result.notes:
        notice(f"note: {note}")
    return Outcome(result.to_json(), views.export, result.exit_code)
