"""The command `summary`: a network layer by layer."""

from __future__ import annotations

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def summary(
    model: o.Models,
    alpha: o.Alpha = None,
    res: o.Resolution = None,
    classes: o.Classes = None,
    option: o.NetworkOptions = None,
    input: o.Inputs = None,
    format: o.Format = "text",
    json: o.Json = False,
) -> Outcome:
    """Show a network layer by layer, with parameters and MACs.

    Also each layer's output shape and how many input pixels it sees. Nothing is
    downloaded, and no weights are allocated.

    \b
    Example:
      edgekit summary mobilenet --alpha 0.5 --res 160
    """
    from edgekit.cli import written
    from edgekit.cli.views import network as views

    format, options, inputs = written.checked(format), o.pairs(option), o.inputs(input)
    told = edgekit.summary(model, alpha=alpha, res=res, classes=classes, options=options, input=inputs)
    found = [one.to_json() for one in told]
    document = found[0] if len(found) == 1 else {"summaries": found}
    text = written.text(format, document, views.LAYERS, views.layers(found, sums=format != "csv"))
    return Outcome(document, views.summary, text=text)
