"""One job on one worker: which one takes it, what must be sent first, and what happens when it is lost.

What is lost with a scheduler counts against nobody. What is lost with a worker is begun again, and so is what only its
machine refused, on another one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edgekit.errors import BackendMissing, DeviceUnreachable, EnvironmentRefused, Refusal, raised
from edgekit.sweeps.export import refused
from edgekit.sweeps.fleet import work
from edgekit.sweeps.fleet.announcement import DEVICE, SLOT, Announcement
from edgekit.sweeps.fleet.cluster import Cluster, Lost, SchedulerLost
from edgekit.sweeps.fleet.files import Parcel, pieces

TRIES = 3  # times that a job is begun whose worker is lost with it
WAIT_SECONDS = 60.0  # for a worker that may take a job
REFUSED_SECONDS = 5.0  # the same, where workers are there and all of them are refused
GLANCE_SECONDS = 0.2  # between two looks at who is there
OF_MACHINE = (BackendMissing.code, EnvironmentRefused.code)  # refusals for which it matters which machine it was
LOOK_AT = "see what ended the worker, and start it again"


class Dispatch:
    """Gives the jobs of one sweep to the workers of a cluster; each call waits until it is done."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._id = f"{time.time_ns():x}"  # of this sweep, for what it sends
        self._busy: Counter[str] = Counter()  # slots by the worker's address
        self._sending: dict[str, threading.Lock] = {}
        self._waiting: float | None = None  # since when there is no worker for a job
        self._is_told = False  # that one is waited for
        self._lock = threading.Lock()

    def anywhere(
        self,
        able: Callable[[], dict[str, Announcement]],
        what: str,
        needs: Mapping[str, float],
        parcels: Mapping[str, Parcel],
        function: Callable[..., Any],
        *arguments: Any,
    ) -> tuple[str, Any]:
        """Return the worker that did it, and what it gave. A job that is lost with its worker is begun again.

        One that a worker's machine refuses, as with a full disk, is given to the others.
        """
        lost, refusing = 0, set[str]()
        while True:
            address = self._take(able, what, needs, refusing)
            try:
                found = self._at(address, self._fitted(address, needs), parcels, function, *arguments)
            except SchedulerLost:
                time.sleep(GLANCE_SECONDS)
                continue
            except Lost as error:
                lost += 1
                if lost == TRIES:
                    return address, refused(DeviceUnreachable(f"{error}, {lost} times", LOOK_AT))
                continue
            finally:
                with self._lock:
                    self._busy[address] -= int(needs[SLOT])
            if not _is_machines(found):
                return address, found
            refusing.add(address)
            if not able().keys() - refusing:
                return address, self._named(found, address)

    def _named(self, found: Any, address: str) -> Any:
        """What a worker's machine refused, with the worker's name; what it writes is in its cache."""
        if isinstance(found, work.Brought):
            return replace(
                found, made=tuple(replace(one, refusal=self._named(one.refusal, address)) for one in found.made)
            )
        if not isinstance(found, Refusal) or found.code not in OF_MACHINE:
            return found
        remedy = found.remedy.replace("--out", "the worker's EDGEKIT_CACHE")
        return replace(found, message=f"worker {self.cluster.name(address)}: {found.message}", remedy=remedy)

    def _at(
        self,
        address: str,
        resources: Mapping[str, float],
        parcels: Mapping[str, Parcel],
        function: Callable[..., Any],
        *arguments: Any,
    ) -> Any:
        """Send what is lacking, and call."""
        refusal = self._send(address, list(parcels.values())) if parcels else None
        return refusal or self.cluster.call(address, resources, function, *arguments)

    def _send(self, address: str, parcels: list[Parcel]) -> Refusal | None:
        """Send the contents that a worker lacks; its refusal, where it cannot take one."""
        with self._lock:
            alone = self._sending.setdefault(address, threading.Lock())
        with alone:
            lacking = self.cluster.call(address, {}, work.lacking, parcels)
            if isinstance(lacking, Refusal):
                return lacking
            for sha256 in lacking:
                source = next(one for one in parcels if any(entry.sha256 == sha256 for entry in one.entries))
                path = source.source(sha256)
                size = path.stat().st_size
                for offset, piece in pieces(path):
                    is_last = offset + len(piece) >= size
                    found = self.cluster.call(address, {}, work.put, sha256, self._id, offset, piece, is_last)
                    if isinstance(found, Refusal):
                        return found
        return None

    def _take(
        self, able: Callable[[], dict[str, Announcement]], what: str, needs: Mapping[str, float], refusing: set[str]
    ) -> str:
        """The worker with the most room of those that are able, whose slots are taken then.

        Waits a while for one, and says so.
        """
        while True:
            self.cluster.reached()
            found = able()
            usable = {address: one for address, one in found.items() if address not in refusing} or found
            with self._lock:
                if usable:
                    self._waiting, self._is_told = None, False
                    address = max(usable, key=lambda one: usable[one].slots - self._busy[one])
                    self._busy[address] += int(needs[SLOT])
                    return address
                self._waiting = self._waiting or time.monotonic()
                waited = time.monotonic() - max(self._waiting, self.cluster.since)
                is_news = waited > REFUSED_SECONDS and not self._is_told
                self._is_told |= is_news
            none = f"no worker of {self.cluster.where.scheduler} {what}"
            if is_news:
                self.cluster.changed(f"{none}: waiting for one")
            refused_all = self.cluster.roster.refused if not self.cluster.roster.workers else {}
            if waited > (REFUSED_SECONDS if refused_all else WAIT_SECONDS):
                if refused_all:
                    raise BackendMissing("; ".join(refused_all.values()), "install the same versions there and here")
                raise DeviceUnreachable(none, self._start)
            time.sleep(GLANCE_SECONDS)

    def _fitted(self, address: str, needs: Mapping[str, float]) -> dict[str, float]:
        """What a job needs, as far as a worker has it."""
        worker = self.cluster.roster.workers.get(address)
        return {name: min(need, worker.resources[name]) if worker else need for name, need in needs.items()}

    def on(self, device: str, parcels: Mapping[str, Parcel], function: Callable[..., Any], *arguments: Any) -> Any:
        """Have the worker of a device do something. Raises DeviceUnreachable where there is none, and its refusal."""
        while True:
            address = self._owner(device)
            try:
                found = self._at(address, {f"{DEVICE}{device}": 1}, parcels, function, *arguments)
            except SchedulerLost:
                time.sleep(GLANCE_SECONDS)
                continue
            except Lost as error:
                raise DeviceUnreachable(f"{device}: {error}", LOOK_AT) from error
            if isinstance(found, Refusal):
                raise raised(self._named(found, address))
            return found

    def topic(self, device: str) -> str:
        """Under which a worker tells this sweep what a device does; the scheduler remembers each."""
        return f"edgekit-{self._id}-{device}"

    def _owner(self, device: str) -> str:
        """The one worker that announces a device; after the scheduler has come back, it may take a while to do so."""
        while True:
            self.cluster.reached()
            owners = self.cluster.roster.owners(device)
            if len(owners) == 1:
                return owners[0]
            if time.monotonic() >= self.cluster.since + WAIT_SECONDS:
                break
            time.sleep(GLANCE_SECONDS)
        if owners:
            both = " and ".join(map(self.cluster.name, owners))
            raise DeviceUnreachable(f"{both} both announce {device}", "let one worker alone name it")
        refused_ones = "; ".join(self.cluster.roster.refused.values())
        raise DeviceUnreachable(
            f"no worker announces {device}" + (f" ({refused_ones})" if refused_ones else ""), self._start
        )

    @property
    def _start(self) -> str:
        return f"start one that does: edgekit worker --scheduler {self.cluster.where.scheduler}"


def _is_machines(found: Any) -> bool:
    """Whether it is the worker's machine that refused, and another might not."""
    refusals = [one.refusal for one in found.made] if isinstance(found, work.Brought) else [found]
    return any(isinstance(one, Refusal) and one.code == EnvironmentRefused.code for one in refusals)
