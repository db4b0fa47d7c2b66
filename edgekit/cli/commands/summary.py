"""The command `summary`: a network layer by layer."""

from __future__ import annotations

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


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
