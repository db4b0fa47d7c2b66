"""The command `doctor`: what is installed."""

from __future__ import annotations

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def doctor(devices: o.Devices = None, store: o.Store = None, json: o.Json = False) -> Outcome:
    """Say what is installed, what is missing, and how to get it.

    \b
    Example:
      edgekit doctor
    """
    from edgekit.cli.views import devices as views

    return Outcome(edgekit.doctor(devices=devices, store=store).to_json(), views.doctor)
