"""What a worker says of itself to the scheduler, where every sweep reads it; and which workers a sweep may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgekit.device.config import ONE, AnyDevice
from edgekit.exporting.inputs import tools
from edgekit.records.runtime import RUNTIMES

KEY = "edgekit"  # of the announcement, in what Dask tells of a worker
SLOT, DEVICE = "edgekit-slot", "edgekit-device:"  # resources of Dask


@dataclass(frozen=True)
class Announcement:
    """One worker: versions of what shapes files and of runtimes, entries of its devices, and what it has for jobs."""

    name: str
    tools: Mapping[str, str]
    runtimes: Mapping[str, str | None]
    devices: Mapping[str, Mapping[str, Any]]
    slots: int
    memory: int  # bytes

    @property
    def resources(self) -> dict[str, float]:
        """The same for Dask, which lets no two sweeps use a device or a slot at once."""
        return {SLOT: self.slots, **{f"{DEVICE}{name}": 1 for name in self.devices}}

    @property
    def exports(self) -> bool:
        """Whether it can make files."""
        return "torch" in self.tools

    def entry(self, device: str) -> AnyDevice:
        """Return the entry of one of its devices."""
        return ONE.validate_python(self.devices[device])


def announcement(name: str, devices: Mapping[str, AnyDevice], slots: int, memory: int) -> Announcement:
    """Return what this machine says of itself."""
    runtimes = {runtime: one.version for runtime, one in RUNTIMES.items()}
    entries = {device: entry.model_dump(mode="json") for device, entry in devices.items()}
    return Announcement(name, tools(), runtimes, entries, slots, memory)


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """Return why a worker may not be used: the first version that differs, both named.

    A worker without torch makes no files; all that must agree then is edgekit itself.
    """
    names = dict.fromkeys(["edgekit", "torch", *ours, *theirs]) if "torch" in theirs else ["edgekit"]
    for name in names:
        if ours.get(name) != theirs.get(name):
            there, here = (_told(one.get(name)) for one in (theirs, ours))
            return f"it has {name} {there}, and this sweep {here}"
    return None


def _told(version: str | None) -> str:
    """A version for people; behind edgekit's own is a digest of its source, where two of one version differ."""
    return " of source ".join((version or "not installed").split(" ", 1)) if version else "not at all"


@dataclass(frozen=True)
class Roster:
    """The workers of a cluster, by their addresses: those that may be used, and why others may not."""

    workers: Mapping[str, Announcement] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def owners(self, device: str) -> list[str]:
        """Return the workers that announce a device."""
        return [address for address, one in self.workers.items() if device in one.devices]

    @property
    def exporters(self) -> dict[str, Announcement]:
        """The workers that can make files."""
        return {address: one for address, one in self.workers.items() if one.exports}

    def judges(self, runtime: str, version: str | None) -> dict[str, Announcement]:
        """Return the workers that have a runtime in just this version."""
        found = self.workers.items()
        return {address: one for address, one in found if version is not None and one.runtimes.get(runtime) == version}


def roster(info: Mapping[str, Any], ours: Mapping[str, str]) -> Roster:
    """Read what a scheduler tells of its workers; those that are none of edgekit's are passed over."""
    workers, refused = {}, {}
    for address, worker in info["workers"].items():
        told = worker.get(KEY)
        if not isinstance(told, dict):
            continue
        try:
            found = Announcement(**told)
            why = difference(ours, found.tools)
        except (TypeError, AttributeError):
            why = f"it has another edgekit than this sweep, {_told(ours.get('edgekit'))}"
        if why is None:
            workers[address] = found
        else:
            refused[address] = f"worker {told.get('name', address)} is refused: {why}"
    return Roster(workers, refused)


def to_dask(said: Announcement) -> dict[str, Any]:
    """Return the announcement as plain data."""
    return asdict(said)
