"""The command `worker`: this machine does jobs of sweeps, and measures on the devices that are connected to it.

It serves until it is ended. When the scheduler goes away it waits for it, and announces itself again.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.device.config import LOCAL
from edgekit.device.registry import DeviceList, load
from edgekit.errors import DeviceUnreachable, EdgekitError, UsageError
from edgekit.sweeps.fleet import work
from edgekit.sweeps.fleet.announcement import DEVICE, KEY, Announcement, announcement, to_dask
from edgekit.sweeps.fleet.connection import Connection, connection, look
from edgekit.sweeps.fleet.files import Files
from edgekit.sweeps.jobs import export_bytes
from edgekit.sweeps.workers import Workers, memory, processors
from edgekit.util.files import cache_folder, drafting
from edgekit.util.formatting import counted
from edgekit.util.quantity import count

SMALL = 4  # threads beside those of exports and devices: for pieces of files
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0  # between two looks for a scheduler that went away

Say = Callable[[str], None]


def worker(
    *,
    scheduler: str | None,
    devices: Path | None = None,
    jobs: int | None = None,
    name: str | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    insecure: bool = False,
    progress: Say | None = None,
) -> None:
    """Serve sweeps that use the same scheduler of Dask; returns never.

    `devices` is the devices.yaml whose devices this worker announces (None: it announces none); `jobs`: exports at
    once. Raises DeviceUnreachable where the scheduler does not answer, BackendMissing where it has another version of
    Dask, and UsageError where another worker announces a device of the same name.
    """
    where = connection(scheduler, tls_ca, tls_cert, tls_key, insecure)
    if jobs is not None:
        count(jobs, "--jobs", "as many as this machine takes")
    known = load(devices) if devices is not None else DeviceList({}, None)
    slots = jobs or max(1, min(processors(), memory() // export_bytes(None)))
    own = {device: entry for device, entry in known.devices.items() if entry is not LOCAL}
    said = announcement(name or f"{socket.gethostname()}-{os.getpid()}", own, slots, memory())
    with drafting(cache_folder() / "worker", "files") as folder, Workers(slots) as processes:
        folder.mkdir()
        work.HAND = work.Hand(folder, Files(folder), known, processes)
        _serve(where, said, folder, progress or (lambda message: None))


def _serve(where: Connection, said: Announcement, folder: Path, say: Say) -> None:
    """Serve a scheduler, and the one that comes after it."""
    pause: float | None = None
    while True:
        try:
            _serve_once(where, said, folder, say)
            pause = PAUSE_SECONDS
            say(f"the scheduler at {where.scheduler} went away: waiting for it")
        except EdgekitError as error:
            if pause is None:  # it has never served
                raise
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            say(error.message)
        time.sleep(pause)


def _serve_once(where: Connection, said: Announcement, folder: Path, say: Say) -> None:
    """Serve until the scheduler is gone. Raises what stands against it."""
    _meet(where, said)
    devices = f", devices {', '.join(said.devices)}" if said.devices else ""

    def ready() -> None:
        say(f"worker {said.name} serves {where.scheduler}: {counted(said.slots, 'export')} at once{devices}")

    asyncio.run(_until_it_goes(where, said, folder, ready))


def _meet(where: Connection, said: Announcement) -> None:
    """Raise what stands against serving this scheduler."""
    info = asyncio.run(look(where))
    for other in info["workers"].values():
        its = other.get(KEY) or {}
        if its.get("name") == said.name:
            raise UsageError(f"a worker called {said.name} is there already", "give this one another --name")
        twice = next((device for device in said.devices if f"{DEVICE}{device}" in other["resources"]), None)
        if twice is not None:
            raise UsageError(f"worker {its.get('name')} announces {twice} already", "let one worker alone name it")


async def _until_it_goes(where: Connection, said: Announcement, folder: Path, ready: Callable[[], None]) -> None:
    """Serve until the scheduler is gone. Raises DeviceUnreachable where it goes before that."""
    import dask
    from distributed import Worker

    own: dict[str, Any] = {"host": "127.0.0.1"} if where.is_local else {}
    with dask.config.set({"distributed.worker.memory.spill": False, "distributed.worker.memory.target": False}):
        try:
            served = await Worker(
                where.scheduler,
                name=said.name,
                nthreads=said.slots + len(said.devices) + SMALL,
                resources=said.resources,
                startup_information={KEY: lambda _: to_dask(said)},
                security=where.security(),
                local_directory=str(folder),
                memory_limit=None,
                dashboard=False,
                dashboard_address="127.0.0.1:0",
                **own,
            )
        except (OSError, ValueError, RuntimeError) as error:
            gone = f"the scheduler at {where.scheduler} went away: {error}"
            raise DeviceUnreachable(gone, "start it again") from error
        ready()
        await served.finished()
