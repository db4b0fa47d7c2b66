"""What every device of a sweep does at the moment, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgekit.sweeps.scheduler import HERE, Scheduler
from edgekit.util.formatting import some

RUNNING, IDLE, PAUSED, GONE = "measuring", "idle", "does not answer", "given up"


class Row(NamedTuple):
    """One device. `seconds` is a guess of what is left of its job, or of the time until it is asked again."""

    device: str
    state: str
    job: str | None
    seconds: float | None


def board(scheduler: Scheduler, addresses: Mapping[str, str], where: str, now: float) -> list[Row]:
    """Return a row for each device, by the first name of each machine, and one for exports and accuracies `where`."""
    names: dict[str, str] = {}
    for name, address in addresses.items():
        names.setdefault(address, name)
    rows = [_row(scheduler, address, name, now) for address, name in names.items()]
    here = list(scheduler.here.running.values())
    if here:
        jobs = some([task.name for task in here])
        rows.insert(0, Row(where, here[0].kind, jobs, None))
    return rows


def _row(scheduler: Scheduler, address: str, name: str, now: float) -> Row:
    device = scheduler.devices[address]
    if device.gone:
        return Row(name, GONE, None, None)
    if device.paused:
        return Row(name, PAUSED, None, max(device.until - now, 0.0))
    if device.running is None:
        waits = address == HERE and bool(scheduler.here.running)
        return Row(name, "waits for exports" if waits else IDLE, None, None)
    task, since, guess = scheduler.at_work(address)
    return Row(name, RUNNING, task.name, max(guess - (now - since), 0.0))
