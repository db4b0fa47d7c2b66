"""The command `models`: the networks that edgekit defines."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def models(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these.  [default: all]")] = None,
    format: o.Format = "text",
    json: o.Json = False,
) -> Outcome:
    """List the networks, their MACs and published accuracy.

    MACs are multiply-accumulates of one image through the convolution and linear layers.

    \b
    Example:
      edgekit models
    """
    from edgekit.cli import written
    from edgekit.cli.views import network as views
    from edgekit.network import catalog  # `edgekit.models` is the package, too, and that brings torch

    format = written.checked(format)
    document = catalog.models(*names or ()).to_json()
    text = written.text(format, document, views.MODELS, document["models"])
    return Outcome(document, views.models, text=text)
