"""The command `inspect`: what a file is."""

from __future__ import annotations

from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.artifact_options import Artifacts
from edgekit.cli.output import Outcome
from edgekit.errors import UsageError


def inspect(
    artifact: Artifacts,
    layers: Annotated[
        bool, typer.Option("--layers", help="An int8 file's layers by signal-to-noise, worst first.")
    ] = False,
    snippet: Annotated[
        str | None,
        typer.Option("--snippet", metavar="python|cpp|kotlin", help="Print code that calls it, from any folder."),
    ] = None,
    format: o.Format = "text",
    json: o.Json = False,
) -> Outcome:
    """Say what a file is, what made it, and how to call it.

    A file that has changed since it was made is refused.

    \b
    Example:
      edgekit inspect artifacts/mobilenet_0.5_160/mobilenet_0.5_160_random0_fp32.tflite
    """
    from edgekit.cli import written
    from edgekit.cli.views import inspect as views
    from edgekit.cli.views.files import FILES

    format = written.checked(format)
    if snippet is not None and len(artifact) > 1 and format == "text" and not json:
        raise UsageError(
            f"--snippet prints one program, and {len(artifact)} files were given",
            f"give one file: edgekit inspect {artifact[0]} --snippet {snippet}",
        )
    found = [one.to_json() for one in edgekit.inspect(artifact, layers=layers, snippet=snippet)]
    document = found[0] if len(found) == 1 else {"files": found}
    return Outcome(document, views.inspect, text=written.text(format, document, FILES, found))
