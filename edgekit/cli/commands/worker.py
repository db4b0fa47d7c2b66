"""The command `worker`: this machine does jobs of sweeps that run on a Dask cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome, notice


def worker(
    scheduler: o.Scheduler = None,
    *,
    devices: Annotated[
        Path | None,
        typer.Option("--devices", metavar="FILE", help="The devices.yaml of the devices that are connected here."),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Exports at once.  [default: by this machine]")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is called.  [default: host and process]")] = None,
    tls_ca: o.TlsCa = None,
    tls_cert: o.TlsCert = None,
    tls_key: o.TlsKey = None,
    insecure: o.Insecure = False,
    json: o.Json = False,
) -> Outcome:
    """Do jobs of sweeps that run on a Dask cluster.

    It exports and evaluates for `edgekit sweep --engine dask`, and measures on the devices of its --devices, until it
    is ended. The scheduler is Dask's own, `dask scheduler`. Whoever reaches it can run code here.

    \b
    Example:
      edgekit worker --scheduler tcp://127.0.0.1:8786 --devices bench-room.yaml
    """
    edgekit.worker(
        scheduler=scheduler,
        devices=devices,
        jobs=jobs,
        name=name,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure=insecure,
        progress=notice,
    )
    return Outcome({}, lambda document, width: ())
