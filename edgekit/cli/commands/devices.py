"""The command `devices`: which there are, whether one answers, and the tool that a phone needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, Progress
from edgekit.errors import UsageError


def devices(
    action: Annotated[
        str | None, typer.Argument(metavar="check|tool", help="Try to reach a device, or fetch a phone's tool.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one.")] = None,
    devices: o.Devices = None,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch without asking.")] = False,
    json: o.Json = False,
) -> Outcome:
    """List the devices of devices.yaml, or check that one answers.

    `devices tool litert` and `devices tool classic` fetch Google's benchmark_model for phones, after asking.

    \b
    Example:
      edgekit devices
    """
    from edgekit.cli.views import devices as views

    if action == "tool" and name is not None:
        with Progress() as progress:
            fetched = edgekit.devices(
                devices=devices,
                tool=_agreed(name, yes),
                progress=lambda done, total: progress("fetching benchmark_model", done, total),
            )
        return Outcome(fetched.to_json(), views.devices)
    check = _checked(action, name, lambda: edgekit.devices(devices=devices).devices)
    found = edgekit.devices(check=check, devices=devices)
    return Outcome(found.to_json(), views.devices, found.exit_code)


def _agreed(tool: str, yes: bool) -> str:
    """The benchmark_model that `devices tool NAME` names, after a person has agreed that it is fetched."""
    from edgekit.device.android_download import BUILT_FOR, address

    url = address(tool)
    if yes:
        return tool
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError(f"nobody is here to agree to a download from {url}", "add --yes")
    what = f"Fetch a program for {BUILT_FOR} from {url}? No hash is published; what comes is named by its own."
    if not typer.confirm(what, err=True):
        raise UsageError("nothing was fetched", "say yes, or name a benchmark_model of your own in devices.yaml")
    return tool


def _checked(action: str | None, name: str | None, known: Callable[[], Iterable[str]]) -> str | None:
    """The device that `devices check NAME` names, of those that are `known`; None for plain `devices`."""
    if action is None:
        return None
    if action != "check":
        remedy = "write `edgekit devices check NAME`, or `edgekit devices tool litert`"
        raise UsageError(f"`edgekit devices` does not know '{action}'", remedy)
    if name is None:
        raise UsageError("`edgekit devices check` needs a name", f"add one of: {', '.join(known())}")
    return name
