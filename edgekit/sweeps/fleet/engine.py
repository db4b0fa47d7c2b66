"""The engine of a sweep whose jobs run on the workers of a Dask cluster.

Exports and accuracies go to the worker with the most room; a job of a device goes to the worker that announces it. This
machine's own devices, which no worker announces, are measured from here as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.device.registry import DeviceList
from edgekit.device.target import Identity
from edgekit.errors import DeviceUnreachable, EnvironmentRefused, Refusal, UsageError
from edgekit.records.formats import FORMATS
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.runtime import RUNTIMES, choose
from edgekit.sweeps.engine import Judging, Room, Say, Tell, Timing
from edgekit.sweeps.export import Job, Made, failed, refused, run
from edgekit.sweeps.fleet import luggage, work
from edgekit.sweeps.fleet.announcement import SLOT, Announcement
from edgekit.sweeps.fleet.cluster import Cluster, Lost, SchedulerLost
from edgekit.sweeps.fleet.connection import connection
from edgekit.sweeps.fleet.dispatch import LOOK_AT, Dispatch
from edgekit.sweeps.fleet.fetching import bring
from edgekit.sweeps.fleet.files import parcel
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.journal import device as locked_device
from edgekit.sweeps.local import Local

NEEDS_TORCH = "has torch, with which files are made"
BROUGHT = 2  # times that a job is done whose files come back as others
MEET_SECONDS = 5.0  # for workers to announce the devices of a grid, before they are unknown


def opened(reach: Mapping[str, Any], known: DeviceList, wanted: Grid, jobs: int | None) -> Fleet:
    """Return the engine of a grid, connected as `reach` says, which `connection` takes.

    Raises UsageError for what only this machine can do, and what `connection` and `look` do.
    """
    where = connection(**reach)
    if any(FORMATS[one].is_built for one in wanted.export.format):
        raise UsageError("an engine runs where it was built, and a worker may be any machine", "leave tensorrt out")
    if wanted.export.max_latency is not None:
        raise UsageError("--max-latency times files on the machine that exports them", "measure with --device instead")
    return Fleet(Cluster(where), known, jobs)


class Fleet:
    """A cluster as the engine of a sweep. `known` has the devices of this machine's file; `jobs`: exports at once."""

    where = "workers"

    def __init__(self, cluster: Cluster, known: DeviceList, jobs: int | None) -> None:
        self.cluster, self._dispatch, self._jobs = cluster, Dispatch(cluster), jobs
        self._here = Local(known, 1)
        self._own, self._entries = known, dict(known.devices)

    def known(self, wanted: tuple[str, ...]) -> DeviceList:
        """The devices of this machine's file, and those that workers announce; waits a moment for `wanted` ones."""
        deadline = time.monotonic() + MEET_SECONDS
        while True:
            for one in self.cluster.roster.workers.values():
                self._entries |= {name: one.entry(name) for name in one.devices}
            if all(name in self._entries for name in wanted) or time.monotonic() > deadline:
                return DeviceList(self._entries, self._own.file)
            time.sleep(0.1)

    # What a sweep asks of its engine

    @property
    def room(self) -> Room:
        """The slots and the memory of all workers that make files; for one export where there is none."""
        found = list(self.cluster.roster.exporters.values())
        slots = max(1, min(sum(one.slots for one in found), self._jobs or 1 << 30))
        return Room(slots, max(1, sum(one.memory for one in found)), slots)

    def is_here(self, device: str) -> bool:
        """Whether it is this machine, which no worker announces under this name."""
        is_own = device in self._own.devices and self._own[device].is_local
        return is_own and not self.cluster.roster.owners(device)

    def address(self, device: str) -> str:
        """Return the machine of a device; what is local is so to its worker."""
        if self.is_here(device):
            return self._here.address(device)
        entry = self._entries[device]
        owners = self.cluster.roster.owners(device)
        return f"{entry.address} of {self.cluster.name(owners[0])}" if entry.is_local and owners else entry.address

    def alone(self, device: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Exclude other sweeps of this machine; the worker excludes all others."""
        if self.is_here(device):
            return self._here.alone(device, waiting)
        return locked_device(f"{self.cluster.where.scheduler} {device}", measuring=True, waiting=waiting)

    def identity(self, device: str) -> Identity:
        """Let its worker ask it."""
        if self.is_here(device):
            return self._here.identity(device)
        found: Identity = self._dispatch.on(device, {}, work.identity, device)
        return found

    def export(self, job: Job) -> tuple[Made, ...]:
        """Let a worker make the files, and bring them here."""
        return run(job, self._make)

    def measure(self, wanted: Timing, say: Say) -> Measurement:
        """Let its worker measure; the file goes there first."""
        if self.is_here(wanted.device):
            return self._here.measure(wanted, say)
        assert wanted.made.path is not None
        file = luggage.of_artifact(wanted.made.path)
        topic = self._dispatch.topic(wanted.device)
        with self.cluster.hearing(topic, say):
            found: Measurement = self._dispatch.on(wanted.device, {"file": file}, work.measure, wanted, file, topic)
        return found.model_copy(update={"found": {**found.found, "path": str(wanted.made.path)}})

    def judge(self, wanted: Judging) -> Mapping[str, Accuracy | Refusal]:
        """Let a worker evaluate that has the runtimes in the versions of this machine, by which keys tell them."""
        data = parcel(wanted.data)
        files = {sha256: luggage.of_artifact(path) for path, sha256 in wanted.files.items()}
        names = {choose(path, wanted.runtime).name for path in wanted.files}
        needs = {SLOT: float(wanted.threads)}

        def able() -> dict[str, Announcement]:
            each = [self.cluster.roster.judges(name, RUNTIMES[name].version) for name in names]
            return {address: one for address, one in each[0].items() if all(address in other for other in each)}

        told = " and ".join(f"{name} {RUNTIMES[name].version}" for name in sorted(names))
        parcels = {**files, "data": data}
        _, found = self._dispatch.anywhere(able, f"has {told}", needs, parcels, work.judge, wanted, files, data)
        return dict.fromkeys(files, found) if isinstance(found, Refusal) else found

    def begin(self, exports: int, tell: Tell) -> None:
        """Tell of workers that come and go."""
        self.cluster.listen(tell)

    def close(self) -> None:
        """End the connection."""
        self._here.close()
        self.cluster.close()

    # Exports

    def _make(self, job: Job) -> Iterator[Made]:
        """Have the files made, and bring them here; once more where they do not arrive as what they are."""
        parcels, wrong = luggage.of_export(job), 0
        able, needs = (lambda: self.cluster.roster.exporters), {SLOT: 1.0}
        while True:
            address, found = self._dispatch.anywhere(able, NEEDS_TORCH, needs, parcels, work.export, job, parcels)
            if isinstance(found, Refusal):
                return iter(failed(job, found))
            try:
                bring(self.cluster, address, found, job.grid.out)
                return (_here(one, Path(found.out), job.grid.out) for one in found.made)
            except SchedulerLost:
                continue
            except (EnvironmentRefused, Lost) as error:
                wrong += 1
                if wrong == BROUGHT:
                    told = error if isinstance(error, EnvironmentRefused) else DeviceUnreachable(str(error), LOOK_AT)
                    return iter(failed(job, refused(told)))


def _here(made: Made, there: Path, out: Path) -> Made:
    """A file as it lies here; what is said of it names its place here, too, unless it is about the worker's disk."""
    if made.refusal is not None and made.refusal.code == EnvironmentRefused.code:
        return made
    if made.refusal is not None:
        said = {name: getattr(made.refusal, name).replace(str(there), str(out)) for name in ("message", "remedy")}
        return replace(made, refusal=replace(made.refusal, **said))
    assert made.path is not None
    return replace(made, path=out / made.path.relative_to(there))
