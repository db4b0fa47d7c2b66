"""The command about pretrained weights: which are known, and getting them."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress


def weights(
    action: Annotated[str, typer.Argument(metavar="list|pull", help="Show what is known, or get some of it.")] = "list",
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Names from the list.")] = None,
    json: o.Json = False,
) -> Outcome:
    """List published weights, or download some.

    A file is checked by the hash that is published of it, where there is one, and kept in the cache ($EDGEKIT_CACHE).
    An interrupted download goes on where it stopped. `edgekit export MODEL --weights pretrained` gets what it needs by
    itself.

    \b
    Example:
      edgekit weights pull resnet18 mobilenet_0.5_160
    """
    from edgekit.checkpoints import pretrained
    from edgekit.cli.views import weights as views

    with Progress() as progress:
        result = pretrained.weights(action, names or (), progress=progress)
    view = views.listing if isinstance(result, pretrained.Listing) else views.pulled
    return Outcome(result.to_json(), view, result.exit_code)
