"""The command `models`: the networks that edgekit defines."""

from __future__ import annotations

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def models(json: o.Json = False) -> Outcome:
    """List the networks, their MACs and published accuracy.

    MACs are multiply-accumulates of one image through the convolution and linear layers.

    \b
    Example:
      edgekit models
    """
    from edgekit.cli.views import network as views

    return Outcome(edgekit.models().to_json(), views.models)
